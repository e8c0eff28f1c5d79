import kinetix_py as kx

builder = kx.LevelBuilder("s")
bar = builder.box((1.2, 0.6), 0.9, 0.1)
wheel = builder.circle((1.6, 0.6), 0.2, "green")
builder.circle((4.2, 0.6), 0.2, "blue")
builder.motor(bar, wheel, (1.6, 0.6), power=0.2)
level = builder.level()

kx.save_level(level, "wheel_and_bar.json", name="wheel and bar")
kx.render_svg(kx.load_level("wheel_and_bar.json")).save("wheel_and_bar.svg")

import jax2d
import kinetix_py as kx

size = kx.SIZES["s"]
scene = jax2d.Scene(size.sim_spec())
scene.add_walls()
bar = scene.add_box((1.2, 0.55), 0.9, 0.1, rotation=0.16)
wheel = scene.add_circle((1.595, 0.614), 0.2)
goal = scene.add_circle((4.2, 0.6), 0.2)
scene.add_revolute_joint(bar, wheel, anchor_a=(0.4, 0), motor=True, motor_power=0.2)

role = [kx.NONE] * size.num_bodies
role[wheel.index], role[goal.index] = kx.GREEN, kx.BLUE
level = kx.from_scene(scene.build(), size, role=role)

kx.save_level(level, "wheel_and_bar.json", name="wheel and bar")
kx.render_svg(kx.load_level("wheel_and_bar.json")).save("wheel_and_bar.svg")

"""A car with two driven wheels climbs a ramp: the engine alone, in one page.

Run: python examples/car_over_ramp.py
"""

import jax
import jax.numpy as jnp

import jax2d

spec = jax2d.SimSpec(num_polygons=6, num_circles=2, num_joints=2, num_thrusters=0)
scene = jax2d.Scene(spec)
scene.add_walls()
scene.add_polygon((2.2, 0.4), [(1.4, 0.5), (1.4, 0), (0, 0)], static=True)
chassis = scene.add_box((1.0, 0.75), 0.8, 0.15)
wheels = [scene.add_circle((x, 0.6), 0.18) for x in (0.7, 1.3)]
motors = [
    scene.add_revolute_joint(chassis, wheel, anchor_a=(x, -0.15), motor=True)
    for wheel, x in zip(wheels, (-0.3, 0.3), strict=True)
]
start = scene.build()


@jax.jit
def drive(state, throttle):
    """Six seconds with the same action; returns the chassis' path, [360, 2] m."""
    actions = jnp.zeros(spec.num_actions).at[jnp.array([m.action for m in motors])].set(-throttle)

    def frame(state, _):
        state, _ = jax2d.step(state, actions, jax2d.SimParams(), spec)
        return state, state.position[chassis.index]

    return jax.lax.scan(frame, state, length=360)[1]


paths = jax.vmap(drive, in_axes=(None, 0))(start, jnp.array([0.0, 0.5, 1.0]))
for throttle, path in zip((0.0, 0.5, 1.0), paths, strict=True):
    print(f"throttle {throttle}: from x = {path[0, 0]:.2f} m to x = {path[-1, 0]:.2f} m")

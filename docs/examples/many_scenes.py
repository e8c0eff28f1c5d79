import dataclasses

import jax
import jax.numpy as jnp

import jax2d

spec = jax2d.SimSpec(num_polygons=5, num_circles=1, num_joints=0, num_thrusters=0)


def drop(restitution):
    """Height of a ball every step of two seconds after it is dropped."""
    state = dataclasses.replace(start, restitution=start.restitution.at[ball.index].set(restitution))
    step = lambda state: jax2d.step(state, jnp.zeros(0), jax2d.SimParams(), spec)[0]
    frame = lambda state, _: (step(state), state.position)
    return jax.lax.scan(frame, state, length=120)[1][:, ball.index, 1]


scene = jax2d.Scene(spec)
scene.add_walls(restitution=1.0)  # a pair has the smaller restitution of its two
ball = scene.add_circle((2.5, 2.0), radius=0.2)
start = scene.build()
heights = jax.jit(jax.vmap(drop))(jnp.array([0.0, 0.4, 0.8]))  # three scenes in one batch
print(
    "highest in the second of the two seconds [m]:",
    *(f"{height:.2f}" for height in heights[:, 60:].max(axis=1)),
)

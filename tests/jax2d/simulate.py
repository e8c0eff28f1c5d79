"""Running scenes in tests: one compiled rollout for each spec, whatever the scene and the number of steps."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

import jax2d

# One size for scenes of a few bodies, so that most tests share one compiled function.
SPEC = jax2d.SimSpec(num_polygons=9, num_circles=3, num_joints=3, num_thrusters=1)
STEPS = 60  # of one call of the compiled function


@functools.partial(jax.jit, static_argnames="spec")
def _roll(state: jax2d.SimState, actions: jax.Array, params: jax2d.SimParams, spec: jax2d.SimSpec):
    """Advances one scene by `STEPS` steps; its last state, and states after, and contacts of, every step."""

    def advance(state, _):
        after, contacts = jax2d.step(state, actions, params, spec)
        return after, (after, contacts)

    return jax.lax.scan(advance, state, length=STEPS)


def run(scene: jax2d.Scene, steps: int = 600, actions=None, params=None):
    """Builds a scene and steps it with the same actions; without actions, nothing is driven.

    Returns:
      states after, and contacts of, every step, stacked.
    """
    assert steps % STEPS == 0
    spec, state = scene.spec, scene.build()
    actions = jnp.zeros(spec.num_actions) if actions is None else jnp.asarray(actions, jnp.float32)
    params = jax2d.SimParams() if params is None else params
    parts = []
    for _ in range(steps // STEPS):
        state, part = _roll(state, actions, params, spec)
        parts.append(part)
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

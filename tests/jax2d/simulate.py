"""Running scenes in tests: one compiled rollout for each spec and length, whatever the scene."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

import jax2d

# One size for scenes of a few bodies, so that most tests share one compiled function.
SPEC = jax2d.SimSpec(num_polygons=9, num_circles=3, num_joints=3, num_thrusters=1)


@functools.partial(jax.jit, static_argnames=("spec", "steps"))
def rollout(
    state: jax2d.SimState,
    actions: jax.Array,
    params: jax2d.SimParams,
    spec: jax2d.SimSpec = SPEC,
    steps: int = 600,
) -> tuple[jax2d.SimState, jax2d.Contacts]:
    """Steps one scene with the same actions; states after, and contacts of, every step, stacked."""

    def advance(state, _):
        after, contacts = jax2d.step(state, actions, params, spec)
        return after, (after, contacts)

    return jax.lax.scan(advance, state, length=steps)[1]


def run(scene: jax2d.Scene, steps: int = 600, actions=None, params=None):
    """Builds a scene of `SPEC` and rolls it out; without actions, nothing is driven."""
    spec = scene.spec
    actions = jnp.zeros(spec.num_actions) if actions is None else jnp.asarray(actions, jnp.float32)
    params = jax2d.SimParams() if params is None else params
    return rollout(scene.build(), actions, params, spec, steps)

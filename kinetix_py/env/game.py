"""The game: green should touch blue and must not touch red."""

from __future__ import annotations

import jax
import jax.numpy as jnp

import jax2d
from kinetix_py.env.types import EnvState
from kinetix_py.spec import BLUE, GREEN, RED


def contact_outcomes(role: jax.Array, spec: jax2d.SimSpec) -> jax.Array:
    """What a touch in each contact slot means: +1 solved, -1 lost, 0 nothing.

    Args:
      role: int32 `[..., N]`.

    Returns:
      int32 `[..., K]`.
    """
    a, b = jax2d.contact_pairs(spec).T
    role_a, role_b = role[..., a], role[..., b]
    other = jnp.where(role_a == GREEN, role_b, jnp.where(role_b == GREEN, role_a, 0))
    return jnp.where(other == BLUE, 1, jnp.where(other == RED, -1, 0))


def outcome(active: jax.Array, meaning: jax.Array) -> jax.Array:
    """How a set of touches ends an episode: int32, +1 solved, -1 lost (which wins), 0 it goes on.

    Args:
      active: bool `[..., K]`, overlapping contact slots.
      meaning: int32 `[..., K]`, from `contact_outcomes`.

    Returns:
      int32 `[...]`.
    """
    lost, solved = (active & (meaning == -1)).any(-1), (active & (meaning == 1)).any(-1)
    return jnp.where(lost, -1, jnp.where(solved, 1, 0))


def goal_distance(sim: jax2d.SimState, role: jax.Array) -> jax.Array:
    """Distance between centers, summed over all pairs of a green and a blue shape: float `[]` m."""
    green, blue = (sim.active & (role == which) for which in (GREEN, BLUE))
    offset = sim.position[:, None] - sim.position[None]
    apart = jnp.sqrt((offset**2).sum(-1))
    return jnp.where(green[:, None] & blue[None], apart, 0).sum()


def is_finite(sim: jax2d.SimState) -> jax.Array:
    """Whether everything that moves is a finite number: bool `[]`."""
    moving = (sim.position, sim.rotation, sim.velocity, sim.angular_velocity)
    return jnp.stack([jnp.isfinite(value).all() for value in moving]).all()


def touching(state: EnvState, spec: jax2d.SimSpec) -> jax.Array:
    """Which bodies overlapped in the last physics step: bool `[N, N]`; none after a reset."""
    unused = jnp.zeros((), jnp.float32)
    contacts = jax2d.Contacts(state.contact, state.contact, unused, unused, unused)
    return jax2d.touching(contacts, spec)

"""Relations between bodies of a scene: joints and contacts."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.collision.detect import components
from jax2d.pairs import contact_pairs, num_contacts
from jax2d.params import SimSpec
from jax2d.types import Contacts, SimState


def connected(state: SimState) -> jax.Array:
    """Finds the pairs of bodies of one scene that a chain of active joints links.

    Returns:
      bool `[N, N]`, symmetric; a body is connected to itself. `vmap` it for a batch.
    """
    joints = jax.tree.map(lambda value: value[..., None], state.joints)
    labels = components(joints, state.rotation.shape[0])[:, 0]
    return labels[:, None] == labels[None]


def joint_adjacency(state: SimState) -> jax.Array:
    """Finds the pairs of bodies of one scene that share an active joint: bool `[N, N]`, symmetric."""
    index = jnp.arange(state.rotation.shape[0])
    a = (state.joints.body_a[:, None] == index[None]) & state.joints.active[:, None]
    b = (state.joints.body_b[:, None] == index[None]) & state.joints.active[:, None]
    ends = (a[:, :, None] & b[:, None, :]).any(axis=0)
    return ends | ends.T


@functools.cache
def _slots_of_pairs(spec: SimSpec) -> np.ndarray:
    """Lists the contact slots of every pair of bodies: int `[2, N, N]`; `num_contacts` for none."""
    slots = np.full((2, spec.num_bodies, spec.num_bodies), num_contacts(spec))
    for slot, (a, b) in enumerate(contact_pairs(spec)):
        place = int(slots[0, a, b] != num_contacts(spec))
        slots[place, a, b] = slots[place, b, a] = slot
    return slots


def body_pairs(flags: jax.Array, spec: SimSpec) -> jax.Array:
    """Turns flags of contact slots of one scene into flags of pairs of bodies.

    Args:
      flags: bool `[num_contacts(spec)]`, such as `Contacts.active`.
      spec: sizes of the scene.

    Returns:
      bool `[N, N]`, symmetric: some slot of the pair is set; False on the diagonal and between walls.
    """
    padded = jnp.concatenate([flags, jnp.zeros((1,), bool)])
    first, second = _slots_of_pairs(spec)
    return padded[first] | padded[second]


def touching(contacts: Contacts, spec: SimSpec) -> jax.Array:
    """Finds the pairs of bodies of one scene that overlapped when the step began.

    Two bodies that a joint links touch too when they overlap.

    Returns:
      bool `[N, N]`, symmetric, False on the diagonal and between walls.
    """
    return body_pairs(contacts.active, spec)

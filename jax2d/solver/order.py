"""Kinetix's order of contacts (docs/physics.md), for `SimSpec.contact_order == "kinetix"`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.pairs import PairKind

GROUP_SIZE = 16


def num_groups(kind: PairKind) -> int:
    """Counts the groups of a kind's pairs, which are solved one after another."""
    return math.ceil(kind.num_pairs / GROUP_SIZE)


def _running_count(flags: jax.Array) -> jax.Array:
    """Computes the inclusive running count along the leading axis in a logarithmic number of shifts."""
    count, reach = flags.astype(jnp.int32), 1
    while reach < count.shape[0]:
        count = count + jnp.concatenate([jnp.zeros_like(count[:reach]), count[:-reach]])
        reach *= 2
    return count


def group_of_pairs(kind: PairKind, active: Sequence[jax.Array]) -> list[jax.Array]:
    """Assigns every pair to a group; by block, int `[*shape, B]`.

    A pair with a contact is in group `(n - n_active + rank) mod n_groups`, where `rank` is its place among
    the pairs that have one.

    Args:
      kind: pairs.
      active: by block, bool `[*shape, B]`, whether the pair has a contact.
    """
    batch = active[0].shape[-1]
    flat = jnp.concatenate([flags.reshape(-1, batch) for flags in active])
    place = np.concatenate([block.kinetix_rank.reshape(-1) for block in kind.blocks])
    count = _running_count(flat[np.argsort(place)])
    group = (kind.num_pairs - count[-1:] + count - 1) % num_groups(kind)
    ends = np.cumsum([block.size for block in kind.blocks])[:-1]
    parts = jnp.split(group[place], ends)
    return [part.reshape(*block.shape, batch) for block, part in zip(kind.blocks, parts, strict=True)]


def zero_last_pair_like_kinetix(kind: PairKind, impulses: list) -> list:
    """Zeroes the accumulated impulses of the kind's last pair unless the pairs fill whole groups."""
    if kind.num_pairs % GROUP_SIZE == 0:
        return impulses
    # Over the contact points too: fields are [S, *shape, B].
    keeps = [block.kinetix_rank[..., None] != kind.num_pairs - 1 for block in kind.blocks]
    return [
        value if keep.all() else jax.tree.map(lambda field, keep=keep: jnp.where(keep, field, 0), value)
        for value, keep in zip(impulses, keeps, strict=True)
    ]

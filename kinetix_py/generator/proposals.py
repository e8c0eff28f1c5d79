"""What is known of all proposals before any shape has a place: sizes, corners, rotations.

`S` steps, `K` proposals, `V` vertices; batch-last. All of it is computed at once, outside the loop over
shapes, both for the case that the shape is a polygon and that it is a circle.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_py.generator.arrays import greatest, lerp, turn
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.plan import SIZE_DRAWS, Draws
from kinetix_py.generator.shapes import (
    corners,
    inner_box,
    polygon_area,
    sample_half_sizes,
    sample_num_vertices,
)
from kinetix_py.generator.table import SIZE_OF_PROPOSAL


class Proposals(NamedTuple):
    """Candidates for a shape and its place: `[S, K, B]` (without leading axes inside the loops)."""

    num_vertices: jax.Array  # int, of a polygon
    half_width: jax.Array  # m, of a polygon
    half_height: jax.Array  # m, of a polygon
    radius: jax.Array  # m, of a circle
    rotation: jax.Array  # rad
    arm_x: jax.Array  # m, [S, K, V, B], a polygon's turned corners, from its centre
    arm_y: jax.Array  # m, [S, K, V, B]
    extent_x: jax.Array  # m, of the turned polygon
    extent_y: jax.Array  # m
    anchor_x: jax.Array  # m, of a joint, in a polygon's frame
    anchor_y: jax.Array  # m
    joint_arm_x: jax.Array  # m, the same, turned
    joint_arm_y: jax.Array  # m
    fixed_polygon: jax.Array  # bool, immovable if it is a free polygon
    fixed_circle: jax.Array  # bool, immovable if it is a free circle
    x: jax.Array  # 1, where it is in the range that is open to it
    y: jax.Array  # 1


def propose(draws: Draws, joined: jax.Array, params: GeneratorParams, max_vertices: int) -> Proposals:
    """All proposals of all steps.

    Args:
      draws: uniforms of the steps, `[S, B]`, `[S, NUM_SIZES, B]` and `[S, K, B]`.
      joined: bool `[S, B]`, the step adds a joined shape.
    """
    step = draws["num_vertices"].shape
    count = sample_num_vertices(draws["num_vertices"], params, max_vertices)
    num_vertices = jnp.broadcast_to(count[:, None], draws["x"].shape)
    draws = draws | {name: share_sizes(draws[name], joined) for name in SIZE_DRAWS}
    width, height = sample_half_sizes(draws["width"], draws["height"], draws["elongation"], params)
    radius = lerp(draws["width"], params.min_radius, params.max_radius)  # it is a circle or has a width
    rotation = 2 * jnp.pi * draws["rotation"]
    cos, sin = jnp.cos(rotation), jnp.sin(rotation)
    x, y = corners(num_vertices, width, height, max_vertices)
    arm_x, arm_y = turn(cos[None], sin[None], x, y)
    inner = inner_box(num_vertices, max_vertices)
    anchor_x, anchor_y = ((2 * draws[name] - 1) * inner for name in ("anchor_x", "anchor_y"))
    anchor_x, anchor_y = anchor_x * width, anchor_y * height
    joint_arm_x, joint_arm_y = turn(cos, sin, anchor_x, anchor_y)
    chosen = jnp.broadcast_to(draws["immovable"][:, None], (step[0], *draws["x"].shape[1:]))
    fixed = lambda area: chosen < immovable_chance(params.density * area, params)
    return Proposals(
        num_vertices=num_vertices,
        half_width=width,
        half_height=height,
        radius=radius,
        rotation=rotation,
        arm_x=jnp.moveaxis(arm_x, 0, 2),
        arm_y=jnp.moveaxis(arm_y, 0, 2),
        extent_x=greatest(jnp.abs(arm_x)),
        extent_y=greatest(jnp.abs(arm_y)),
        anchor_x=anchor_x,
        anchor_y=anchor_y,
        joint_arm_x=joint_arm_x,
        joint_arm_y=joint_arm_y,
        fixed_polygon=fixed(polygon_area(num_vertices, width, height, max_vertices)),
        fixed_circle=fixed(jnp.pi * radius**2),
        x=draws["x"],
        y=draws["y"],
    )


def share_sizes(draws: jax.Array, joined: jax.Array) -> jax.Array:
    """One size for all proposals of a free shape, more for a joined one: `[S, NUM_SIZES, B] -> [S, K, B]`."""
    chosen = jnp.where(joined[:, None], draws, draws[:, :1])
    return jnp.stack([chosen[:, size] for size in SIZE_OF_PROPOSAL], axis=1)


def immovable_chance(mass: jax.Array, params: GeneratorParams) -> jax.Array:
    """How likely a free shape of a mass [kg] is immovable."""
    chance = params.immovable_chance + params.immovable_chance_per_mass * mass
    return jnp.minimum(chance, params.max_immovable_chance)

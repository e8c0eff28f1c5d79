"""What is known of all proposals before any shape has a place: sizes, corners, rotations.

`S` steps, `K` proposals, `V` vertices; batch-last. All of it is computed at once, outside the loop over
shapes, both for the case that the shape is a polygon and that it is a circle.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_py.generator.arrays import lerp, turn
from kinetix_py.generator.overlap import Outline, outline
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.plan import Draws
from kinetix_py.generator.shapes import (
    CIRCUMRADIUS,
    corners,
    inner_box,
    polygon_area,
    sample_half_sizes,
    sample_num_vertices,
)

PASSED_ON = ("kind", "target_kind", "target", "role", "side", "low", "x", "y")


class Proposals(NamedTuple):
    """Candidates for a shape and its place: `[S, K, B]` (without leading axes inside the loops)."""

    num_vertices: jax.Array  # int, of a polygon
    half_width: jax.Array  # m, of a polygon
    half_height: jax.Array  # m, of a polygon
    radius: jax.Array  # m, of a circle
    rotation: jax.Array  # rad
    shape: Outline  # m, [S, K, V, B] each, a turned polygon about its center
    reach: jax.Array  # m, how far from the center a polygon may have corners
    anchor_x: jax.Array  # m, of a joint, in a polygon's frame
    anchor_y: jax.Array  # m
    joint_arm_x: jax.Array  # m, the same, turned
    joint_arm_y: jax.Array  # m
    fixed_polygon: jax.Array  # bool, static if it is a free polygon
    fixed_circle: jax.Array  # bool, static if it is a free circle
    # The rest are draws, in 0 .. 1, of what depends on the shapes so far.
    kind: jax.Array
    target_kind: jax.Array
    target: jax.Array
    role: jax.Array
    side: jax.Array
    low: jax.Array
    x: jax.Array  # where it is in the range that is open to it, or its anchor in its target
    y: jax.Array


def propose(draws: Draws, params: GeneratorParams, max_vertices: int) -> Proposals:
    """All proposals of all steps.

    Args:
      draws: uniforms of the proposals, `[S, K, B]` each.
    """
    num_vertices = sample_num_vertices(draws["num_vertices"], params, max_vertices)
    width, height = sample_half_sizes(draws["width"], draws["height"], draws["elongation"], params)
    radius = lerp(draws["width"], params.min_radius, params.max_radius)  # it is a circle or has a width
    rotation = 2 * jnp.pi * draws["rotation"]
    cos, sin = jnp.cos(rotation), jnp.sin(rotation)
    x, y = corners(num_vertices, width, height, max_vertices)
    shape = outline(*turn(cos[None], sin[None], x, y))
    inner = inner_box(num_vertices, max_vertices)
    anchor_x, anchor_y = ((2 * draws[name] - 1) * inner for name in ("anchor_x", "anchor_y"))
    anchor_x, anchor_y = anchor_x * width, anchor_y * height
    joint_arm_x, joint_arm_y = turn(cos, sin, anchor_x, anchor_y)
    fixed = lambda area: draws["static"] < static_chance(params.density * area, params)
    return Proposals(
        num_vertices=num_vertices,
        half_width=width,
        half_height=height,
        radius=radius,
        rotation=rotation,
        shape=Outline(*(jnp.moveaxis(part, 0, 2) for part in shape)),
        reach=CIRCUMRADIUS * jnp.maximum(width, height),
        anchor_x=anchor_x,
        anchor_y=anchor_y,
        joint_arm_x=joint_arm_x,
        joint_arm_y=joint_arm_y,
        fixed_polygon=fixed(polygon_area(num_vertices, width, height, max_vertices)),
        fixed_circle=fixed(jnp.pi * radius**2),
        **{name: draws[name] for name in PASSED_ON},
    )


def static_chance(mass: jax.Array, params: GeneratorParams) -> jax.Array:
    """How likely a free shape of a mass [kg] is static."""
    chance = params.static_chance + params.static_chance_per_mass * mass
    return jnp.minimum(chance, params.max_static_chance)

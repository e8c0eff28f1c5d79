"""From the generator's table to levels: joints' and thrusters' numbers, masses, walls. Batch-last inside."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from kinetix_py.generator.arrays import choose, lerp, pick
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.plan import Draws, Orders
from kinetix_py.generator.shapes import by_count, corners, inner_box, polygon_area
from kinetix_py.generator.table import Counts, Table
from kinetix_py.levels.level import empty_level
from kinetix_py.roles import BLUE, GREEN
from kinetix_py.sizes import LevelSize

FIRST_SHAPES = 3  # green, blue, and the control's


def swap_roles(role: jax.Array, swap: jax.Array) -> jax.Array:
    """Green for blue and blue for green where asked: `[N, B], bool [B]`."""
    swapped = jnp.where(role == GREEN, BLUE, jnp.where(role == BLUE, GREEN, role))
    return jnp.where(swap[None], swapped, role)


def masses(table: Table, params: GeneratorParams, counts: Counts) -> tuple[jax.Array, jax.Array]:
    """Mass [kg] and moment of inertia [kg m^2] of every free body, as if movable: `[N, B]`."""
    width, height, n = table.half_width, table.half_height, table.num_vertices
    polygons = polygon_area(n, width, height, counts.vertices) * params.density
    # Second moment of a regular polygon of circumradius sqrt 2, stretched along its axes.
    factors = {k: np.array((2 + np.cos(2 * np.pi / k)) / 6) for k in range(3, counts.vertices + 1)}
    inertia = polygons * by_count(n, factors) * (width**2 + height**2)
    mass, round_inertia = jax2d.geometry.circle_mass(table.radius, params.density)
    is_circle = jnp.arange(counts.bodies)[:, None] >= counts.polygons
    return jnp.where(is_circle, mass, polygons), jnp.where(is_circle, round_inertia, inertia)


def build_joints(
    table: Table, draws: Draws, orders: Orders, params: GeneratorParams, size: LevelSize, counts: Counts
) -> tuple[jax2d.Joints, jax.Array, jax.Array]:
    """Joints, and motors' bindings and whether they run by themselves; `[J, B]`, anchors `[J, 2, B]`."""
    on_circle = (table.body_a >= counts.polygons) | (table.body_b >= counts.polygons)
    chance = jnp.where(orders.joints < params.num_always_revolute, 1.0, params.revolute_chance)
    weld = table.joined & (draws["revolute"] >= chance)
    revolute = table.joined & ~weld
    motor_on = revolute & (draws["motor"] < params.motor_chance)
    power = lerp(draws["power"], params.min_motor_power, params.max_motor_power)
    ends = jnp.arange(counts.bodies)[:, None, None]
    angle = lambda body: pick(ends == body[None], table.rotation[:, None])
    number = lambda value: jnp.where(table.joined, value, 0)
    slot = lambda body: number(body + size.num_walls)
    joints = jax2d.Joints(
        body_a=slot(table.body_a),
        body_b=slot(table.body_b),
        anchor_a=jnp.stack([table.anchor_ax, table.anchor_ay], axis=1),
        anchor_b=jnp.stack([table.anchor_bx, table.anchor_by], axis=1),
        # Limits are counted from where both bodies' axes point the same way, not from how they start.
        reference_rotation=jnp.where(weld, number(angle(table.body_b) - angle(table.body_a)), 0),
        active=table.joined,
        weld=weld,
        motor_on=motor_on,
        motor_speed=number(lerp(draws["speed"], params.min_motor_speed, params.max_motor_speed)),
        motor_power=number(jnp.where(on_circle, params.circle_motor_power, power)),
        limits_on=revolute & ~on_circle & (draws["limits"] < params.limits_chance),
        min_rotation=number(draws["low"] * params.min_limit),
        max_rotation=number(draws["high"] * params.max_limit),
    )
    auto = motor_on & (draws["auto"] < params.motor_auto_chance)
    return joints, _binding(draws["binding"], size.num_motor_bindings), auto


def _binding(draw: jax.Array, count: int) -> jax.Array:
    return jnp.clip(jnp.int32(draw * count), 0, max(count - 1, 0))


def build_thrusters(
    table: Table,
    mass: jax.Array,
    draws: Draws,
    orders: Orders,
    forced: jax.Array,
    params: GeneratorParams,
    size: LevelSize,
    counts: Counts,
) -> tuple[jax2d.Thrusters, jax.Array]:
    """Thrusters and their bindings: `[T, B]`, anchors `[T, 2, B]`."""
    # The forced thruster comes before the shapes that are added by chance, and so never on one of them.
    eligible = (table.active & table.movable)[:, None]
    eligible &= (orders.thrusters > 0)[None] | (table.age < FIRST_SHAPES)[:, None]
    body = choose(jnp.where(eligible, 1.0, 0.0), draws["body"])
    chosen = lambda value: pick(body, value[:, None])
    inner = inner_box(chosen(table.num_vertices), counts.vertices)
    angle = 2 * jnp.pi * draws["y"]
    arm = chosen(table.radius) * draws["x"]  # 0 for polygons
    x = (2 * draws["x"] - 1) * chosen(table.half_width) * inner + arm * jnp.cos(angle)
    y = (2 * draws["y"] - 1) * chosen(table.half_height) * inner + arm * jnp.sin(angle)
    radial = draws["radial"] < params.thruster_radial_chance
    outward = draws["radial"] < params.thruster_radial_chance / 2
    along = jnp.arctan2(jnp.where(outward, y, -y), jnp.where(outward, x, -x))
    direction = jnp.where(radial, along, 2 * jnp.pi * draws["direction"])
    factor = lerp(draws["factor"], params.min_thruster_factor, params.max_thruster_factor)
    by_chance = (orders.thrusters > 0) & (draws["exists"] < params.thruster_chance)
    active = body.any(axis=0) & (by_chance | ((orders.thrusters == 0) & forced[None]))
    number = lambda value: jnp.where(active, value, 0)
    index = jnp.arange(size.num_walls, size.num_walls + counts.bodies)[:, None, None]
    thrusters = jax2d.Thrusters(
        body=number((body * index).sum(axis=0)),
        anchor=jnp.stack([number(x), number(y)], axis=1),
        direction=number(direction),
        power=number(params.thruster_power * chosen(mass) * factor),
        active=active,
    )
    return thrusters, _binding(draws["binding"], size.num_thruster_bindings)


def walls_of(size: LevelSize) -> dict[str, np.ndarray]:
    """Constant rows of the wall slots, by the names of `SimState`."""
    with jax.ensure_compile_time_eval():
        sim = empty_level(size).sim
        rows = {name: np.asarray(getattr(sim, name)) for name in ("position", "vertices")}
    return {name: value[: size.num_walls] for name, value in rows.items()}


def _vertices(table: Table, counts: Counts) -> jax.Array:
    """Vertices of the free polygons in their frames: `[P, V, 2, B]` m, 0 where unused."""
    polygons = (table.num_vertices, table.half_width, table.half_height)
    num_vertices, width, height = (value[: counts.polygons] for value in polygons)
    used = jnp.arange(counts.vertices)[:, None, None] < num_vertices[None]
    local = corners(num_vertices, width, height, counts.vertices)
    x, y = (jnp.where(used, value, 0) for value in local)
    return jnp.swapaxes(jnp.stack([x, y], axis=2), 0, 1)


def pad_rows(part, count: int):
    """Adds unused rows to every array of a pytree, up to a count."""
    pad = lambda value: jnp.pad(value, [(0, count - value.shape[0])] + [(0, 0)] * (value.ndim - 1))
    return jax.tree.map(pad, part)


def build_sim(
    table: Table,
    inverses: tuple[jax.Array, jax.Array],
    joints: jax2d.Joints,
    thrusters: jax2d.Thrusters,
    params: GeneratorParams,
    size: LevelSize,
    counts: Counts,
) -> jax2d.SimState:
    """The state of the scenes, batch-last."""
    batch, walls = table.x.shape[-1], size.num_walls
    wall = {
        name: jnp.broadcast_to(value[..., None], (*value.shape, batch))
        for name, value in walls_of(size).items()
    }
    rows = lambda count, value: jnp.full((count, batch), value)
    below = lambda value, fill: jnp.concatenate([jnp.full((walls, batch), fill, value.dtype), value])
    of_bodies = lambda value: jnp.where(table.active, value, 0)
    vertices = _vertices(table, counts)
    return jax2d.SimState(
        position=jnp.concatenate([wall["position"], jnp.stack([table.x, table.y], axis=1)]),
        rotation=below(table.rotation, 0),
        velocity=jnp.zeros((size.num_bodies, 2, batch)),
        angular_velocity=rows(size.num_bodies, 0.0),
        inverse_mass=below(inverses[0], 0),
        inverse_inertia=below(inverses[1], 0),
        friction=below(of_bodies(jnp.full_like(table.x, 1.0) * params.friction), 1),
        restitution=below(of_bodies(jnp.full_like(table.x, 1.0) * params.restitution), 0),
        collision_mode=below(table.active.astype(jnp.int32), 2),
        active=below(table.active, True),
        vertices=jnp.concatenate([wall["vertices"], vertices]),
        num_vertices=below(table.num_vertices[: counts.polygons], 4),
        radius=table.radius[counts.polygons :],
        gravity=jnp.stack([jnp.zeros((batch,)), jnp.full((batch,), 1.0) * params.gravity]),
        joints=joints,
        thrusters=thrusters,
        contact_impulse=jnp.zeros((jax2d.num_contacts(size.sim_spec()), 2, batch)),
        joint_impulse=jnp.zeros((size.num_joints, 3, batch)),
    )

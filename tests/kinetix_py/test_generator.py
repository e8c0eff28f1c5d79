"""Random levels: valid, reproducible, compiled once, and like those of Kinetix's own generator."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from jax2d.collision.polygons import polygon_manifolds
from jax2d.geometry import polygon_mass
from kinetix_py.generator import sample
from kinetix_py.generator.candidates import is_enclosed
from kinetix_py.generator.distribution import free_slots, generate_levels, num_uniforms
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.sample import (
    noop_outcome,
    noop_solves,
    sample_filtered_levels,
    sample_level,
    sample_levels,
)
from kinetix_py.generator.shapes import (
    area,
    corners,
    count_contacts,
    empty_slots,
    polygon_contacts,
    world_polygons,
)
from kinetix_py.levels.level import validate_level
from kinetix_py.roles import BLUE, GREEN, RED
from kinetix_py.sizes import SIZES, LevelSize
from tests.kinetix_py.reference_levels import assert_close, means_of, needs_reference, reference
from tools.level_statistics import structure

pytestmark = pytest.mark.usefixtures("compiled_fast")
EACH_SIZE = pytest.mark.parametrize(
    "size", ["s", *(pytest.param(size, marks=pytest.mark.slow) for size in "ml")]
)

NUM_LEVELS = 2048


@functools.cache
def drawn(size, **params):
    """One batch a size for all tests, and one program: parameters are traced."""
    return sample_levels(jax.random.key(1), NUM_LEVELS, SIZES[size], GeneratorParams(**params))


def check_all(levels):
    host = jax.device_get(levels)
    for i in range(host.batch_shape[0]):
        validate_level(jax.tree.map(lambda value, i=i: value[i], host))


@EACH_SIZE
def test_levels_are_valid(size):
    levels = jax.tree.map(lambda value: value[:256], drawn(size))
    check_all(levels)


@needs_reference
@EACH_SIZE
def test_structure_agrees_with_the_reference(size):
    assert_close(means_of(structure(drawn(size))), reference(size))


@EACH_SIZE
def test_rules_of_every_level(size):
    levels = jax.device_get(drawn(size))
    role, sim = levels.labels.role, levels.sim
    free = sim.active.copy()
    free[:, : levels.size.num_walls] = False
    count = lambda which: ((role == which) & sim.active).sum(axis=1)
    assert (count(GREEN) == 1).all()
    assert (count(BLUE) == 1).all()
    assert (((role == RED) & sim.active).sum(axis=1) <= 1).all()
    movable = sim.inverse_mass > 0
    assert (((role == GREEN) | (role == BLUE)) & movable & free).any(axis=1).all()
    assert (sim.joints.active.any(axis=1) | sim.thrusters.active.any(axis=1)).all()
    slots = np.arange(len(role))[:, None], sim.thrusters.body
    assert movable[slots][sim.thrusters.active].all()
    if size == "s":
        assert (movable | ~free).all()


def test_joined_shapes_meet_at_their_anchors():
    """Also: never green to blue, and red only to shapes without a role."""
    levels = jax.device_get(drawn("m"))
    sim, joints, rows = levels.sim, levels.sim.joints, np.arange(NUM_LEVELS)[:, None]

    def world(body, anchor):
        angle = sim.rotation[rows, body]
        cos, sin = np.cos(angle), np.sin(angle)
        turned = np.stack(
            [cos * anchor[..., 0] - sin * anchor[..., 1], sin * anchor[..., 0] + cos * anchor[..., 1]],
            axis=-1,
        )
        return sim.position[rows, body] + turned

    gap = np.abs(world(joints.body_a, joints.anchor_a) - world(joints.body_b, joints.anchor_b))
    assert gap[joints.active].max() < 1e-5
    turn = sim.rotation[rows, joints.body_b] - sim.rotation[rows, joints.body_a]
    expected = np.where(joints.weld, turn, 0)
    np.testing.assert_allclose(joints.reference_rotation[joints.active], expected[joints.active], atol=1e-6)
    assert (joints.body_a[joints.active] < SIZES["m"].num_polygons).all()
    roles = np.sort(
        np.stack([levels.labels.role[rows, joints.body_a], levels.labels.role[rows, joints.body_b]]), axis=0
    )
    assert not (roles.min(axis=0) > 0)[joints.active].any()


def test_free_shapes_are_inside_the_room():
    no_joints = {"joined_shape_weight": 0.0, "motor_only_weight": 0.0, "motor_and_thruster_weight": 0.0}
    sim = jax.device_get(drawn("m", **no_joints)).sim
    assert not sim.joints.active.any()
    corners_x = sim.position[:, :6, None, 0] + (
        np.cos(sim.rotation[:, :6, None]) * sim.vertices[..., 0]
        - np.sin(sim.rotation[:, :6, None]) * sim.vertices[..., 1]
    )
    inside = (corners_x > -1e-5) & (corners_x < 5 + 1e-5)
    assert inside[:, 4:][sim.active[:, 4:6]].all()


def test_a_level_depends_on_its_key_and_parameters_alone():
    """Whatever the size of the batch and the parameters of the other levels."""
    size, chances = SIZES["s"], jnp.array([0.0, 1.0, 0.08])
    keys = jax.random.split(jax.random.key(1), NUM_LEVELS)[:3]
    draw = lambda key, chance: sample_level(key, size, GeneratorParams(red_floor_chance=chance))
    together = jax.jit(jax.vmap(draw))(keys, chances)
    assert together.labels.role[1, 0] == RED
    assert together.labels.role[0, 0] != RED
    unlike = jax.tree.map(lambda value: value[:3], drawn("s"))
    for value, other in zip(*map(jax.tree.leaves, (together, unlike)), strict=True):
        np.testing.assert_allclose(value[2], other[2], rtol=1e-5, atol=1e-6)
    positions = np.asarray(drawn("s").sim.position)[:, size.num_walls :].reshape(NUM_LEVELS, -1)
    assert len(np.unique(positions, axis=0)) == NUM_LEVELS


@pytest.mark.slow
def test_a_level_is_the_same_alone():
    alone = sample_level(jax.random.split(jax.random.key(1), NUM_LEVELS)[2], "s")
    for value, one in zip(*map(jax.tree.leaves, (drawn("s"), alone)), strict=True):
        np.testing.assert_allclose(value[2], one, rtol=1e-5, atol=1e-6)


def test_one_program_whatever_the_parameters():
    drawn("s")
    programs = sample_levels._cache_size()
    for name in ("max_radius", "red_floor_chance", "num_candidates"):
        drawn("s", **{name: getattr(GeneratorParams(), name) / 2})
    assert sample_levels._cache_size() == programs


@pytest.mark.slow
@pytest.mark.parametrize("chances", [(1.0, 0.0), (0.0, 1.0), (0.3, 0.4)])
def test_other_polygons_in_a_size_without_joints(chances):
    size = dataclasses.replace(SIZES["m"], max_vertices=6, num_joints=0)
    params = GeneratorParams(triangle_chance=chances[0], many_vertices_chance=chances[1])
    levels = sample_levels(jax.random.key(0), 64, size, params)
    check_all(levels)
    free = np.asarray(levels.sim.active)[:, size.num_walls : size.num_polygons]
    counts = np.asarray(levels.sim.num_vertices)[:, size.num_walls :][free]
    least, most = {(1.0, 0.0): (3, 3), (0.0, 1.0): (5, 6), (0.3, 0.4): (3, 6)}[chances]
    assert (counts.min(), counts.max()) == (least, most)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"max_vertices": 6},
        {"num_thrusters": 0, "num_circles": 0, "num_polygons": 7},
        {"num_walls": 0, "max_vertices": 3},
        {"num_thrusters": 0},
        {"num_joints": 0, "num_thrusters": 0},
        {"num_polygons": 4},
        {"num_motor_bindings": 0},
        {"num_circles": 0, "num_polygons": 6},
    ],
)
def test_any_size(changes):
    size = dataclasses.replace(SIZES["m"], **changes)
    check_all(sample_levels(jax.random.key(0), 32, size, GeneratorParams()))


def test_no_game_without_two_free_shapes():
    with pytest.raises(ValueError, match="at least 2 body slots"):
        sample_levels(jax.random.key(0), 2, LevelSize(5, 0, 1, 1), GeneratorParams())
    with pytest.raises(ValueError, match="max_vertices must be at least 4"):
        sample_level(jax.random.key(0), LevelSize(6, 1, 1, 1, max_vertices=3))


@pytest.mark.slow
def test_extreme_draws_are_valid():
    """Uniforms at both ends of their range."""
    size = SIZES["s"]
    rows = num_uniforms(free_slots(size))
    ends = jnp.stack([jnp.zeros(rows), jnp.full(rows, 1 - 2.0**-24)], axis=1)
    levels = jax.jit(generate_levels, static_argnames="size")(ends, GeneratorParams(), size)
    check_all(levels)


def drawn_and_filtered(blue_floor_chance):
    """32 S levels that doing nothing does not solve, from at most 8 rounds of 8."""
    params = GeneratorParams(red_floor_chance=0.0, blue_floor_chance=blue_floor_chance)
    return sample_filtered_levels(jax.random.key(0), 32, SIZES["s"], params, max_rounds=8)


def solved_by_nothing(levels):
    """Tells whether doing nothing solves 32 levels, and 96 unfiltered ones; as many as evaluations play."""
    both = jax.tree.map(lambda value, other: np.concatenate([value, other[:96]]), levels, drawn("s"))
    return np.split(np.asarray(noop_solves(both)), [32])


@pytest.mark.slow
def test_filtered_levels_are_not_solved_by_doing_nothing():
    levels, passed = drawn_and_filtered(0.3)
    assert passed.all()
    check_all(levels)
    solved, others = solved_by_nothing(levels)
    assert not solved.any() and 0.05 < others.mean() < 0.5


@pytest.mark.slow
def test_rows_that_did_not_pass_hold_unfiltered_levels():
    """A blue floor under every level: doing nothing solves almost all of them."""
    levels, passed = drawn_and_filtered(1.0)
    assert 0 < passed.sum() < 32
    check_all(levels)
    rest = jax.device_get(jax.tree.map(lambda value: value[~np.asarray(passed)], levels))
    assert (rest.labels.role[:, 0] == BLUE).all()
    assert ((rest.labels.role == GREEN) & rest.sim.active).any(axis=1).all()
    assert solved_by_nothing(levels)[0][~np.asarray(passed)].mean() > 0.5


def test_a_reset_has_a_level_even_if_none_is_found(monkeypatch):
    """The filter refuses all: the size is of this test alone, so that no other test uses the program."""
    monkeypatch.setattr(sample, "noop_solves", lambda levels, *_: jnp.ones(levels.batch_shape, bool))
    size = LevelSize(num_polygons=6, num_circles=0, num_joints=1, num_thrusters=0)
    levels, passed = sample_filtered_levels(jax.random.key(0), 1, size)
    assert not passed.any()
    level = kx.RandomLevels().sample(jax.random.key(0), size)
    validate_level(level)
    assert all(((level.labels.role == role) & level.sim.active).sum() == 1 for role in (GREEN, BLUE))
    np.testing.assert_array_equal(level.sim.position, levels.sim.position[0])


def test_wrong_numbers_of_levels():
    with pytest.raises(ValueError, match="at least 1"):
        sample_filtered_levels(jax.random.key(0), 0, "s")
    with pytest.raises(ValueError, match="but the environment is of"):
        sample_filtered_levels(jax.random.key(0), 1, "s", env=kx.make("m"))


@pytest.mark.slow
def test_one_level_does_nothing_as_in_a_batch():
    levels = jax.tree.map(lambda value: value[:64], drawn("s"))
    outcome = noop_outcome(levels)
    for i in range(4):
        assert noop_outcome(jax.tree.map(lambda value, i=i: value[i], levels)) == outcome[i]


def bodies(*shape, **fields):
    """Shapes `[rows, B]` of the given fields, all others 0."""
    zeros = empty_slots(*shape)
    fill = lambda name, value: jnp.broadcast_to(jnp.asarray(value, getattr(zeros, name).dtype), shape)
    return dataclasses.replace(zeros, **{name: fill(name, value) for name, value in fields.items()})


def polygon(x, y, half, num_vertices=4, rotation=0.0):
    shape = {"num_vertices": num_vertices, "half_width": half, "half_height": half, "rotation": rotation}
    return bodies(1, 1, x=x, y=y, **shape)


@jax.numpy_rank_promotion("allow")
def test_contacts_of_known_polygons():
    compiled = jax.jit(lambda a, b: polygon_contacts(world_polygons(a, 4), world_polygons(b, 4))[0, 0])
    contacts = lambda a, b: float(compiled(a, b))
    here = polygon(0, 0, 1)
    assert contacts(here, polygon(1.9, 1.5, 1)) == 2
    assert contacts(here, polygon(2.1, 0, 1)) == 0
    # A corner of a square that stands on its tip, and one of a triangle, 0.1 within the box.
    reach = np.sqrt(2)
    assert contacts(here, polygon(0.9 + reach, 0, 1, rotation=np.pi / 4)) == 1
    assert contacts(here, polygon(0.9 + reach, 0, 1, num_vertices=3, rotation=3 * np.pi / 4)) == 1


@jax.numpy_rank_promotion("allow")
def test_contacts_of_polygons_are_those_of_the_engine():
    """Of 4,096 random pairs of 3 to 6 vertices, about half of which overlap."""

    def draw(seed):
        rng = np.random.default_rng(seed)
        near, long = (rng.uniform(low, high, (2, 1, 4096)) for low, high in ((0, 0.8), (0.05, 0.4)))
        return bodies(
            1,
            4096,
            x=near[0],
            y=near[1],
            half_width=long[0],
            half_height=long[1],
            rotation=rng.uniform(0, 2 * np.pi, (1, 4096)),
            num_vertices=rng.integers(3, 7, (1, 4096)),
        )

    a, b = world_polygons(draw(0), 6), world_polygons(draw(1), 6)
    got = np.asarray(jax.jit(polygon_contacts)(a, b))
    np.testing.assert_array_equal(got, jax.jit(polygon_manifolds)(a, b).active.sum(axis=0))
    assert all((got == count).mean() > 0.05 for count in range(3))


@jax.numpy_rank_promotion("allow")
def test_contacts_with_all_that_is_there():
    """A box of half size 0.5 at (2, 2), an empty slot, and a circle of radius 0.3 at (2.7, 2.5)."""
    row = lambda *values: np.array(values)[:, None]
    half = row(0.5, 0, 0)
    scene = bodies(
        3,
        1,
        number=row(1, 0, 2),
        x=row(2, 0, 2.7),
        y=row(2, 0, 2.5),
        radius=row(0, 0, 0.3),
        num_vertices=row(4, 0, 0),
        half_width=half,
        half_height=half,
    )
    polygons = world_polygons(jax.tree.map(lambda rows: rows[:2], scene), 4)
    compiled = jax.jit(lambda body: count_contacts(body, scene, polygons, 4)[0])
    count = lambda body: float(compiled(body))
    circle = lambda x, y, radius: bodies(1, 1, x=x, y=y, radius=radius)
    assert count(circle(2.7, 1.5, 0.1)) == 0
    assert count(circle(2.7, 2.0, 0.29)) == 2
    assert count(circle(2.7, 2.0, 0.19)) == 0
    # Near a corner the distance is what counts, not the faces.
    assert [count(circle(1.2, 1.2, radius)) for radius in (0.42, 0.43)] == [0, 1]
    # The box with two points, and the circle.
    assert count(polygon(2.6, 2.6, 0.2)) == 3
    # On the floor, whose top is at 0.4; one or two corners beyond the walls.
    assert count(circle(0.1, 0.44, 0.05)) == 1
    assert count(polygon(1.0, 0.6, 0.3)) == 2
    assert count(polygon(0.3, 3.0, 0.2, rotation=np.pi / 4)) == 0
    assert count(polygon(0.2, 3.0, 0.2, rotation=np.pi / 4)) == 1
    assert count(polygon(4.9, 4.9, 0.2)) == 4


@jax.numpy_rank_promotion("allow")
def test_joined_shapes_should_stick_out_of_each_other():
    """To a box of half sizes 1 and 0.3, at (0.5, 0) of it."""
    slots, params = free_slots(SIZES["m"]), GeneratorParams()
    target = bodies(1, num_vertices=4, half_width=1, half_height=0.3)
    enclosed = lambda **shape: bool(is_enclosed(bodies(1, target_x=0.5, **shape), target, params, slots)[0])
    # A circle must be wider than the box is high, 0.3, and must not hide its corners, 1.044 from the center.
    circles = [enclosed(radius=radius) for radius in (0.34, 0.36, 0.99, 1.0)]
    assert circles == [True, False, False, True]
    # A square about the joint: its corners against the box's side at 0.3; the box's corners are 1.53 away.
    square = {"num_vertices": 4}
    squares = [enclosed(half_width=half, half_height=half, **square) for half in (0.24, 0.25, 1.4, 1.5)]
    assert squares == [True, False, False, True]


def test_red_floors_have_no_red_shape_and_keep_the_sides():
    levels = jax.device_get(drawn("m", red_floor_chance=1.0, blue_floor_chance=0.0, own_half_chance=1.0))
    free = levels.sim.active.copy()
    free[:, : SIZES["m"].num_walls] = False
    assert not (free & (levels.labels.role == RED)).any()
    # Without chance, green starts within the left half and blue within the right one: colors do not swap.
    assert (levels.sim.position[..., 0][free & (levels.labels.role == GREEN)] < 2.5).all()
    assert (levels.sim.position[..., 0][free & (levels.labels.role == BLUE)] > 2.5).all()


@jax.numpy_rank_promotion("allow")
@pytest.mark.parametrize("count", range(3, 9))
def test_polygons_have_their_area_and_centroid(count):
    body = bodies(1, num_vertices=count, half_width=0.3, half_height=0.2)
    vertices = jnp.stack(corners(body, 8), axis=-1).swapaxes(0, 1)
    mass, _, centroid = polygon_mass(vertices, 1.0)
    np.testing.assert_allclose(mass, area(body, 8), rtol=1e-5)
    np.testing.assert_allclose(centroid, 0, atol=1e-6)

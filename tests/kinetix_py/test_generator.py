"""Random levels: valid, reproducible, compiled once, and like those of Kinetix's own generator."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax2d.geometry import polygon_mass
from kinetix_py.generator import overlap
from kinetix_py.generator.filters import filter_levels, noop_outcome, noop_solves, sample_filtered_levels
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.plan import num_uniforms
from kinetix_py.generator.sample import grow_levels, sample_level, sample_levels
from kinetix_py.generator.shapes import corners, polygon_area
from kinetix_py.generator.table import free_slots
from kinetix_py.levels.level import validate_level
from kinetix_py.spec import BLUE, GREEN, RED, SIZES, EnvSpec
from tests.kinetix_py import generator_statistics as statistics

pytestmark = pytest.mark.usefixtures("compiled_fast")

needs_reference = pytest.mark.skipif(not statistics.REFERENCE.exists(), reason="no reference figures")
COUNTS = {"s": 2048, "m": 2048, "l": 512}


@functools.cache
def drawn(size):
    return sample_levels(jax.random.key(1), COUNTS[size], SIZES[size], GeneratorParams())


def check_all(levels, spec):
    host = jax.device_get(levels)
    for i in range(host.role.shape[0]):
        validate_level(jax.tree.map(lambda value, i=i: value[i], host), spec)


def assert_close(got, expected, count=None):
    """Within 10 % or 0.03; shares of `count` levels, also within 2.5 standard errors of the two samples."""

    def noise(share):
        return 2.5 * (share * (1 - share) * (1 / expected["levels"] + 1 / count)) ** 0.5 if count else 0

    wrong = {
        name: (value, expected[name])
        for name, value in got.items()
        if abs(value - expected[name]) > max(0.1 * expected[name], 0.03, noise(expected[name]))
    }
    assert not wrong


@pytest.mark.parametrize("size", SIZES)
def test_levels_are_valid(size):
    levels = jax.tree.map(lambda value: value[:256], drawn(size))
    check_all(levels, SIZES[size])


@needs_reference
@pytest.mark.parametrize("size", SIZES)
def test_structure_agrees_with_the_reference(size):
    assert_close(statistics.structure(drawn(size), SIZES[size]), statistics.reference(size))


@needs_reference
@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_play_agrees_with_the_reference(size):
    """4,096 levels; 1,024 at L."""
    spec, count, reference = SIZES[size], 1024 if size == "l" else 4096, statistics.reference(size)
    levels = sample_levels(jax.random.key(2), count, spec, GeneratorParams())
    assert_close(statistics.play(levels, spec, reference), reference, count)


@pytest.mark.parametrize("size", SIZES)
def test_rules_of_every_level(size):
    spec, levels = SIZES[size], jax.device_get(drawn(size))
    role, sim = levels.role, levels.sim
    free = sim.active.copy()
    free[:, : spec.walls] = False
    count = lambda which: ((role == which) & sim.active).sum(axis=1)
    assert (count(GREEN) == 1).all()
    assert (count(BLUE) == 1).all()
    assert (((role == RED) & free).sum(axis=1) <= 1).all()
    movable = sim.inverse_mass > 0
    assert (((role == GREEN) | (role == BLUE)) & movable & free).any(axis=1).all()
    assert (sim.joints.active.any(axis=1) | sim.thrusters.active.any(axis=1)).all()
    slots = np.arange(len(role))[:, None], sim.thrusters.body
    assert movable[slots][sim.thrusters.active].all()
    if size == "s":
        assert (movable | ~free).all()


def test_joined_shapes_meet_at_their_anchors():
    """Also: never green to blue, and red only to shapes without a role."""
    levels = jax.device_get(drawn("l"))
    sim, joints, rows = levels.sim, levels.sim.joints, np.arange(COUNTS["l"])[:, None]

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
    np.testing.assert_allclose(joints.reference_rotation[joints.active], turn[joints.active], atol=1e-6)
    roles = np.sort(np.stack([levels.role[rows, joints.body_a], levels.role[rows, joints.body_b]]), axis=0)
    assert not (roles.min(axis=0) > 0)[joints.active].any()


def test_free_shapes_are_inside_the_room():
    params = GeneratorParams(joined_shape_weight=0.0, motor_only_weight=0.0, motor_and_thruster_weight=0.0)
    sim = jax.device_get(sample_levels(jax.random.key(4), 256, SIZES["m"], params)).sim
    assert not sim.joints.active.any()
    corners_x = sim.position[:, :6, None, 0] + (
        np.cos(sim.rotation[:, :6, None]) * sim.vertices[..., 0]
        - np.sin(sim.rotation[:, :6, None]) * sim.vertices[..., 1]
    )
    inside = (corners_x > -1e-5) & (corners_x < 5 + 1e-5)
    assert inside[:, 4:][sim.active[:, 4:6]].all()


def test_a_level_depends_on_its_key_alone():
    spec, params = SIZES["m"], GeneratorParams()
    many = sample_levels(jax.random.key(3), 5, spec, params)
    again = sample_levels(jax.random.key(3), 5, spec, params)
    keys = jax.random.split(jax.random.key(3), 5)
    alone = sample_level(keys[2], spec, params)
    for value, same, one in zip(*map(jax.tree.leaves, (many, again, alone)), strict=True):
        np.testing.assert_array_equal(value, same)
        np.testing.assert_allclose(value[2], one, rtol=1e-5, atol=1e-6)
    positions = np.asarray(many.sim.position)[:, SIZES["m"].walls :]
    assert len(np.unique(positions.reshape(5, -1), axis=0)) == 5


def test_parameters_may_be_batched():
    spec, keys = SIZES["s"], jax.random.split(jax.random.key(0), 2)
    draw = lambda key, chance: sample_level(key, spec, GeneratorParams(red_floor_chance=chance))
    levels = jax.jit(jax.vmap(draw))(keys, jnp.array([0.0, 1.0]))
    assert levels.role[:, 0].tolist()[1] == RED
    assert levels.role[0, 0] != RED


def test_one_trace_whatever_the_parameters():
    traces = []

    @jax.jit
    def draw(key, params):
        traces.append(1)
        return sample_levels(key, 4, SIZES["s"], params)

    for name in ("max_radius", "red_floor_chance", "num_proposals"):
        value = getattr(GeneratorParams(), name) / 2
        draw(jax.random.key(0), dataclasses.replace(GeneratorParams(), **{name: value}))
    assert len(traces) == 1


@pytest.mark.parametrize("chances", [(1.0, 0.0), (0.0, 1.0), (0.3, 0.4)])
def test_other_polygons(chances):
    spec = dataclasses.replace(SIZES["m"], max_vertices=8)
    params = GeneratorParams(triangle_chance=chances[0], many_vertices_chance=chances[1])
    levels = sample_levels(jax.random.key(0), 64, spec, params)
    check_all(levels, spec)
    free = np.asarray(levels.sim.active)[:, spec.walls : spec.num_polygons]
    counts = np.asarray(levels.sim.num_vertices)[:, spec.walls :][free]
    least, most = {(1.0, 0.0): (3, 3), (0.0, 1.0): (5, 8), (0.3, 0.4): (3, 8)}[chances]
    assert (counts.min(), counts.max()) == (least, most)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_joints": 0},
        {"num_thrusters": 0, "num_circles": 0, "num_polygons": 7},
        {"num_walls": 0, "max_vertices": 3},
        pytest.param({"num_thrusters": 0}, marks=pytest.mark.slow),
        pytest.param({"num_joints": 0, "num_thrusters": 0}, marks=pytest.mark.slow),
        pytest.param({"num_polygons": 4}, marks=pytest.mark.slow),
        pytest.param({"num_motor_bindings": 0}, marks=pytest.mark.slow),
        pytest.param({"num_circles": 0, "num_polygons": 6}, marks=pytest.mark.slow),
    ],
)
def test_any_size(changes):
    spec = dataclasses.replace(SIZES["m"], **changes)
    check_all(sample_levels(jax.random.key(0), 32, spec, GeneratorParams()), spec)


def test_no_game_without_two_free_shapes():
    with pytest.raises(ValueError, match="at least 2 body slots"):
        sample_levels(jax.random.key(0), 2, EnvSpec(5, 0, 1, 1), GeneratorParams())
    with pytest.raises(ValueError, match="max_vertices must be at least 4"):
        sample_level(jax.random.key(0), EnvSpec(6, 1, 1, 1, max_vertices=3))


def test_extreme_draws_are_valid():
    """Uniforms at both ends of their range."""
    spec = SIZES["s"]
    rows = num_uniforms(free_slots(spec))
    ends = jnp.stack([jnp.zeros(rows), jnp.full(rows, 1 - 2.0**-24)])
    check_all(jax.jit(grow_levels, static_argnames="spec")(ends, GeneratorParams(), spec), spec)


def drawn_and_filtered(blue_floor_chance):
    """64 S levels that doing nothing does not solve, from at most 16 rounds of 16."""
    params = GeneratorParams(red_floor_chance=0.0, blue_floor_chance=blue_floor_chance)
    return sample_filtered_levels(jax.random.key(0), 64, SIZES["s"], params, max_rounds=16)


def test_filtered_levels_are_not_solved_by_doing_nothing():
    spec = SIZES["s"]
    levels, passed = drawn_and_filtered(0.3)
    assert passed.all()
    assert not noop_solves(levels, spec).any()
    check_all(levels, spec)
    unfiltered = jax.tree.map(lambda value: value[:64], drawn("s"))
    solved = np.asarray(noop_solves(unfiltered, spec))
    assert 0.05 < solved.mean() < 0.5
    kept, mask = filter_levels(unfiltered, ~jnp.asarray(solved))
    assert mask.sum() == (~solved).sum()
    np.testing.assert_array_equal(kept.role[: mask.sum()], unfiltered.role[~solved])


def test_filter_says_when_nothing_is_left():
    """A blue floor under every level: doing nothing solves almost all of them."""
    levels, passed = drawn_and_filtered(1.0)
    assert 0 < passed.sum() < 64
    assert not np.asarray(levels.sim.active)[~np.asarray(passed)].any()
    with pytest.raises(ValueError, match="at least 1"):
        sample_filtered_levels(jax.random.key(0), 0, SIZES["s"])


@pytest.mark.slow
def test_one_level_does_nothing_as_in_a_batch():
    spec = SIZES["s"]
    levels = jax.tree.map(lambda value: value[:64], drawn("s"))
    outcome = noop_outcome(levels, spec)
    for i in range(4):
        assert noop_outcome(jax.tree.map(lambda value, i=i: value[i], levels), spec) == outcome[i]


def box(x, y, half):
    unit = np.array([[1, 1, -1, -1], [1, -1, -1, 1]], np.float32) * half
    return jnp.asarray(unit[0] + x), jnp.asarray(unit[1] + y)


def test_overlaps_of_known_shapes():
    here = box(0, 0, 1)
    assert overlap.polygons_overlap(here, box(1.9, 1.9, 1))
    assert not overlap.polygons_overlap(here, box(2.1, 0, 1))
    circle = lambda x, y, radius: overlap.circle_overlaps_polygon(*map(jnp.float32, (x, y, radius)), here)
    assert circle(0, 0, 0.1)
    assert circle(1.5, 0, 0.51)
    assert not circle(1.5, 0, 0.49)
    # Near a corner the distance is what counts, not the faces.
    assert not circle(1.5, 1.5, 0.70)
    assert circle(1.5, 1.5, 0.71)
    reach = overlap.reach_beyond_polygon(box(0.5, 0, 1), jnp.float32(0), here)
    np.testing.assert_allclose(reach, 0.5)


@pytest.mark.parametrize("count", range(3, 9))
def test_polygons_have_their_area_and_centroid(count):
    number, width, height = jnp.int32(count), jnp.float32(0.3), jnp.float32(0.2)
    vertices = jnp.stack(corners(number, width, height, 8), axis=-1)
    area, _, centroid = polygon_mass(vertices, 1.0)
    np.testing.assert_allclose(area, polygon_area(number, width, height, 8), rtol=1e-5)
    np.testing.assert_allclose(centroid, 0, atol=1e-6)

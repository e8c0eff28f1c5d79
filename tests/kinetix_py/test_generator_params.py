"""Parameters of the random distribution for each level of a batch, and boxes of them."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from kinetix_py.generator import sample
from kinetix_py.generator.box import DEFAULT_BOX
from kinetix_py.generator.sample import level_params, sample_filtered_levels, sample_level, sample_levels
from kinetix_py.roles import BLUE, GREEN, RED
from tests.kinetix_py.small_levels import TINY

pytestmark = pytest.mark.usefixtures("compiled_fast")

N = 128
ROOMY = dataclasses.replace(TINY, num_polygons=10, num_circles=3, num_joints=2)


def each(**numbers):
    """Parameters that all have the axis of levels."""
    params = dataclasses.replace(kx.GeneratorParams(), **numbers)
    return jax.tree.map(lambda value: jnp.broadcast_to(jnp.asarray(value, jnp.float32), (N,)), params)


@pytest.fixture(scope="module")
def draw():
    """Levels of one program, by the axes of the parameters."""
    return lambda params: jax.device_get(sample_levels(jax.random.key(3), N, ROOMY, params))


@pytest.mark.slow
def test_each_level_obeys_its_own_numbers(draw):
    """Bounds that rise from level to level: none is exceeded, and most shapes come near to theirs."""
    rising = jnp.linspace(0.0, 1.0, N)
    levels = draw(
        each(
            max_radius=0.1 + 0.3 * rising,
            elongation_chance=0.0,
            max_half_size=0.05 + 0.3 * rising,
            gravity=-15 * rising,
            red_floor_chance=jnp.where(rising > 0.5, 1.0, 0.0),
            blue_floor_chance=0.0,
            max_shapes=3.0 + 6 * rising,
            no_shape_weight=0.0,
            friction=rising,
        )
    )
    sim = levels.sim
    radius = sim.radius.max(1)
    assert (radius <= 0.1 + 0.3 * rising + 1e-6).all() and radius[-32:].max() > 0.3
    half = np.abs(sim.vertices[:, 4:]).max((1, 2, 3))
    assert (half <= 0.05 + 0.3 * rising + 1e-6).all() and half[-32:].max() > 0.25
    np.testing.assert_allclose(sim.gravity[:, 1], -15 * rising, rtol=1e-6)
    np.testing.assert_array_equal(levels.labels.role[:, 0] == RED, rising > 0.5)
    shapes = sim.active[:, 4:].sum(1)
    assert (shapes <= np.ceil(3 + 6 * rising)).all() and (shapes[:16] <= 4).all() and shapes.max() == 9
    friction = np.where(sim.active[:, 4:], sim.friction[:, 4:], rising[:, None])
    np.testing.assert_allclose(friction, np.repeat(rising[:, None], 9, 1), rtol=1e-6)


@pytest.mark.slow
def test_numbers_of_one_level_are_those_of_a_batch_of_it(draw):
    """Tells whether a number has the axis of levels or not: the same levels, for all numbers at once."""
    for value, other in zip(*map(jax.tree.leaves, (draw(each()), draw(kx.GeneratorParams()))), strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-5, atol=1e-5)


def test_nothing_is_compiled_anew_when_numbers_change(draw):
    draw(each())
    programs, levels = sample_levels._cache_size(), sample_level._cache_size()
    for name in ("max_radius", "num_candidates", "max_shapes"):
        draw(each(**{name: jnp.linspace(0.2, 1.0, N)}))
    assert (sample_levels._cache_size(), sample_level._cache_size()) == (programs, levels)


def test_levels_of_a_box_have_numbers_of_their_own():
    """Uniform within the bounds, all else as it is: means within four standard errors of a uniform mean."""
    box = kx.GeneratorBox(("gravity", "friction"), (-15.0, 0.2), (-5.0, 0.6))
    levels = jax.device_get(sample_levels(jax.random.key(3), N, TINY, kx.BoxLevels(box)))
    assert hash(kx.BoxLevels(box)) == hash(kx.BoxLevels(dataclasses.replace(box)))
    gravity, friction = levels.sim.gravity[:, 1], levels.sim.friction[:, -1]
    for values, low, high in ((gravity, -15, -5), (friction, 0.2, 0.6)):
        assert (values >= low).all() and (values <= high).all()
        error = (high - low) / np.sqrt(12 * N)
        assert abs(values.mean() - (low + high) / 2) < 4 * error and len(set(values.tolist())) > N // 2
    assert abs(np.corrcoef(gravity, friction)[0, 1]) < 4 / np.sqrt(N)


def test_numbers_of_another_batch_are_refused():
    params = kx.GeneratorParams(gravity=jnp.zeros(3))
    for draws in (sample_levels, sample_filtered_levels):
        with pytest.raises(ValueError, match=r"GeneratorParams.gravity must be of shape \(\) or \(4,\)"):
            draws(jax.random.key(0), 4, TINY, params)


@pytest.mark.slow
def test_filtered_levels_keep_their_own_numbers(monkeypatch):
    """The filter refuses all blue floors, and green shapes in the left half.

    So rows of even number pass after a few draws, and those of odd number never do.
    """

    def solved(levels, *_):
        green = (levels.labels.role == GREEN) & levels.sim.active
        return (levels.labels.role[:, 0] == BLUE) | (green & (levels.sim.position[..., 0] < 2.5)).any(1)

    monkeypatch.setattr(sample, "noop_solves", solved)
    blue_floor = jnp.tile(jnp.array([0.0, 1.0]), 16)
    params = kx.GeneratorParams(
        gravity=-5 - 0.1 * jnp.arange(32.0), red_floor_chance=0.0, blue_floor_chance=blue_floor
    )
    size = dataclasses.replace(TINY, num_joints=0)  # of this test alone, so that no other uses the program
    levels, passed = sample_filtered_levels(jax.random.key(0), 32, size, params, max_rounds=24)
    np.testing.assert_array_equal(passed, blue_floor == 0)
    assert not solved(levels)[::2].any()
    np.testing.assert_allclose(levels.sim.gravity[:, 1], params.gravity, rtol=1e-6)
    np.testing.assert_array_equal(levels.labels.role[:, 0] == BLUE, blue_floor == 1)
    assert ((levels.labels.role == GREEN) & levels.sim.active).any(1).all()
    rows = np.asarray(levels.sim.position).reshape(32, -1)
    assert len(np.unique(rows, axis=0)) == 32
    once, some = sample_filtered_levels(jax.random.key(0), 32, size, params, max_rounds=1)
    assert not some[1::2].any() and ((once.labels.role == GREEN) & once.sim.active).any(1).all()


def test_one_level_of_some_parameters():
    params = level_params(kx.GeneratorParams(gravity=jnp.arange(3.0)), jnp.array([2, 0]))
    assert params.gravity.tolist() == [2.0, 0.0] and params.friction == 1.0


def test_points_of_a_box_become_parameters():
    box = kx.GeneratorBox(("gravity", "friction"), (-15.0, 0.0), (0.0, 2.0), kx.GeneratorParams(density=2.0))
    points = box.from_unit(jnp.array([[0.0, 0.5], [1.0, 2.0]]))  # the last number is clipped
    assert points.tolist() == [[-15.0, 1.0], [0.0, 2.0]]
    assert box.to_unit(points).tolist() == [[0.0, 0.5], [1.0, 1.0]]
    params = box.params(points)
    assert params.gravity.tolist() == [-15.0, 0.0] and params.friction.tolist() == [1.0, 2.0]
    assert params.density == 2.0 and params.restitution == 0.0
    drawn = box.sample(jax.random.key(0), 1000)
    np.testing.assert_allclose(drawn.mean(0), [-7.5, 1.0], atol=0.5)
    assert (drawn >= jnp.array(box.low)[None]).all() and (drawn <= jnp.array(box.high)[None]).all()
    assert hash(box) == hash(dataclasses.replace(box))


def test_levels_all_over_the_default_box_are_valid():
    points = DEFAULT_BOX.sample(jax.random.key(1), N)
    levels = jax.device_get(sample_levels(jax.random.key(2), N, ROOMY, DEFAULT_BOX.params(points)))
    for row in range(N):
        kx.validate_level(jax.tree.map(lambda leaf, row=row: leaf[row], levels))


@pytest.mark.parametrize(
    ("names", "low", "high", "match"),
    [
        ((), (), (), "distinct fields of GeneratorParams"),
        (("gravity", "gravity"), (0.0, 0.0), (1.0, 1.0), "distinct fields"),
        (("weight",), (0.0,), (1.0,), r"distinct fields of GeneratorParams, got \('weight',\)"),
        (("gravity",), (0.0, 1.0), (1.0,), "two bounds for each of 1 names, got 2 low and 1 high"),
        (("gravity",), (1.0,), (1.0,), "gravity must have low < high, both finite, got 1.0, 1.0"),
    ],
)
def test_wrong_boxes_are_refused(names, low, high, match):
    with pytest.raises(ValueError, match=match):
        kx.GeneratorBox(names, low, high)
    with pytest.raises(ValueError, match="must have 15 coordinates"):
        DEFAULT_BOX.params(jnp.zeros((4, 3)))

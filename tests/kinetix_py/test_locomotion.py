"""Procedural locomotion: bodies that hold together on the ground, a goal, terrain; some can be solved."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from kinetix_py.generator.locomotion import GOAL_RADIUS, sample_locomotion
from kinetix_py.levels.open_loop import play_sequences
from kinetix_py.roles import BLUE, GREEN
from kinetix_py.sizes import FLOOR, ROOM, SIZES, LevelSize
from tests.kinetix_py.small_levels import rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

N = 128
L = SIZES["l"]


def draw(size, **numbers):
    params = kx.LocomotionParams(**numbers)
    return jax.device_get(kx.sample_levels(jax.random.key(2), N, size, params))


def each(**numbers):
    """Parameters that all have the axis of levels, so that all tests share a program."""
    params = kx.LocomotionParams(**numbers)
    return jax.tree.map(lambda value: jnp.broadcast_to(jnp.asarray(value, jnp.float32), (N,)), params)


def drawn(**numbers):
    return jax.device_get(kx.sample_levels(jax.random.key(2), N, L, each(**numbers)))


def corners(sim):
    """Vertices of polygons in the world `[N, P, 4, 2]`."""
    polygons = sim.vertices.shape[1]
    cos, sin = (f(sim.rotation[:, :polygons, None]) for f in (np.cos, np.sin))
    x, y = sim.vertices[..., 0], sim.vertices[..., 1]
    return sim.position[:, :polygons, None] + np.stack([cos * x - sin * y, sin * x + cos * y], -1)


def bodies(levels):
    """Movable shapes in use, static ones that are no walls: bool `[N, bodies]` each."""
    free = levels.sim.active & (np.arange(levels.size.num_bodies) >= levels.size.num_walls)
    moving = levels.sim.inverse_mass > 0
    return free & moving, free & ~moving


def place_of(levels, role):
    here = (levels.labels.role == role) & levels.sim.active
    assert (here.sum(1) == 1).all()
    return levels.sim.position[np.arange(N), here.argmax(1)], here


@pytest.mark.parametrize(
    "size",
    [
        "s",
        *[
            pytest.param(size, marks=pytest.mark.slow)
            for size in ("m", LevelSize(7, 0, 2, 0), LevelSize(6, 2, 1, 0, num_walls=0))
        ],
    ],
)
def test_levels_of_any_size_are_valid(size):
    levels = draw(size)
    for row in range(N):
        kx.validate_level(jax.tree.map(lambda leaf, row=row: leaf[row], levels))
    moving, static = bodies(levels)
    (trunk, green), (_, blue) = place_of(levels, GREEN), place_of(levels, BLUE)
    assert (green & moving).any(1).all() and (blue & static).any(1).all()
    assert (levels.sim.joints.active.sum(1) == moving.sum(1) - 1).all() and (moving.sum(1) >= 2).all()
    assert (trunk[:, 1] > FLOOR).all()


def test_bodies_stand_on_the_ground_between_the_walls():
    levels = drawn()
    sim = levels.sim
    moving, _ = bodies(levels)
    polygons, circles = moving[:, : L.num_polygons, None], moving[:, L.num_polygons :]
    points = corners(sim)
    balls = sim.position[:, L.num_polygons :]
    low = np.minimum(
        np.where(polygons, points[..., 1], np.inf).min((1, 2)),
        np.where(circles, balls[..., 1] - sim.radius, np.inf).min(1),
    )
    np.testing.assert_allclose(low, FLOOR + 0.02, atol=1e-5)
    x = np.where(polygons, points[..., 0], ROOM / 2)
    assert (x > 0).all() and (x < ROOM).all()


def test_joints_meet_and_drive_each_limb():
    """Anchors of both bodies coincide; motors turn legs within limits, and wheels without."""
    levels = drawn()
    sim, joints, row = levels.sim, levels.sim.joints, np.arange(N)[:, None]

    def world(body, anchor):
        cos, sin = (f(sim.rotation[row, body]) for f in (np.cos, np.sin))
        turned = [cos * anchor[..., 0] - sin * anchor[..., 1], sin * anchor[..., 0] + cos * anchor[..., 1]]
        return sim.position[row, body] + np.stack(turned, -1)

    gap = np.abs(world(joints.body_a, joints.anchor_a) - world(joints.body_b, joints.anchor_b))
    used = joints.active
    assert gap[used].max() < 1e-5
    np.testing.assert_array_equal(joints.motor_on, used)
    wheel = joints.body_b >= L.num_polygons
    np.testing.assert_array_equal(joints.limits_on, used & ~wheel)
    assert (joints.min_rotation[used & ~wheel] < -0.5).all()
    assert (joints.max_rotation[used & ~wheel] > 0.5).all()
    turn = sim.rotation[row, joints.body_b] - sim.rotation[row, joints.body_a]
    np.testing.assert_allclose(joints.reference_rotation[used], turn[used], atol=1e-5)
    shares = [len(set(b[u])) == u.sum() for b, u in zip(levels.labels.motor_binding, used, strict=True)]
    assert all(np.array(shares) | (used.sum(1) > L.num_motor_bindings))


def test_numbers_of_the_distribution_are_obeyed():
    """Distance, terrain, limbs and side, each from a number that differs from level to level."""
    rising = jnp.linspace(0.0, 1.0, N)
    levels = drawn(
        roughness=jnp.where(rising < 0.5, 0.0, rising),
        max_slope=0.0,
        wheel_chance=jnp.where(rising < 0.5, 1.0, 0.0),
        foot_wheel_chance=0.0,
        knee_chance=0.0,
        min_limbs=2.0,
        max_limbs=2.0,
        min_distance=0.5 + rising,
        max_distance=0.5 + rising,
        mirror_chance=jnp.where(rising < 0.5, 0.0, 1.0),
    )
    sim, flat = levels.sim, np.asarray(rising) < 0.5
    moving, static = bodies(levels)
    points = corners(sim)
    wheels = (moving[:, L.num_polygons :]).sum(1)
    assert (wheels[flat] == 2).all() and (wheels[~flat] == 0).all() and (moving.sum(1) == 3).all()
    blocks = static[:, : L.num_polygons]
    assert not blocks[flat].any() and blocks[~flat].any(1).mean() > 0.6
    top = np.where(blocks[..., None], points[..., 1], 0).max((1, 2)) - FLOOR
    assert (top <= rising + 1e-5).all() and top.max() > 0.5
    (trunk, _), (goal, _) = place_of(levels, GREEN), place_of(levels, BLUE)
    np.testing.assert_array_equal(goal[:, 0] > trunk[:, 0], flat)
    polygons = moving[:, : L.num_polygons, None]
    front = np.where(polygons, np.abs(points[..., 0] - np.where(flat, 0, ROOM)[:, None, None]), 0).max((1, 2))
    front = np.maximum(
        front,
        np.where(
            moving[:, L.num_polygons :],
            np.abs(sim.position[:, L.num_polygons :, 0] - np.where(flat, 0, ROOM)[:, None]) + sim.radius,
            0,
        ).max(1),
    )
    far = np.abs(goal[:, 0] - np.where(flat, 0, ROOM)) - GOAL_RADIUS - front
    free = np.abs(goal[:, 0] - ROOM / 2) < ROOM / 2 - GOAL_RADIUS - 0.03  # not stopped by the wall
    assert free.mean() > 0.6
    np.testing.assert_allclose(far[free], 0.5 + rising[free], atol=1e-4)


def test_limbs_grow_with_their_numbers():
    levels = drawn(
        wheel_chance=0.0,
        knee_chance=0.0,
        min_limbs=1 + jnp.arange(N) % 4,
        max_limbs=1 + jnp.arange(N) % 4,
        min_limb_length=0.4,
        max_limb_length=0.4,
    )
    moving, _ = bodies(levels)
    np.testing.assert_array_equal(moving.sum(1), 2 + np.arange(N) % 4)
    limb = moving & (levels.labels.role != GREEN)
    length = 2 * np.abs(levels.sim.vertices[..., 0]).max(2) - 0.08
    assert (np.abs(length[limb[:, : L.num_polygons]] - 0.4) < 0.4 * 0.15 + 1e-5).all()


def test_the_program_is_one_and_levels_differ():
    drawn()
    programs = kx.sample_levels._cache_size()
    levels = drawn(roughness=0.1, gravity=-3.0)
    assert kx.sample_levels._cache_size() == programs
    assert (levels.sim.gravity[:, 1] == -3).all()
    assert len(np.unique(levels.sim.position.reshape(N, -1), axis=0)) == N


@pytest.mark.slow
def test_some_are_solved_by_turning_the_wheel():
    """On S, a trunk on one wheel: of 32 levels, driving one way or the other solves at least a quarter.

    Doing nothing, the third way, solves none.
    """
    levels = jax.tree.map(lambda leaf: np.repeat(leaf[:32], 3, 0), draw("s"))
    way = jnp.arange(96, dtype=jnp.int8) % 3
    actions = jnp.zeros((96, 160, 6), jnp.int8).at[..., :4].set(way[:, None, None])
    solved = np.asarray(play_sequences(kx.make("s"), levels, actions).solved).reshape(32, 3)
    assert not solved[:, 0].any() and 0.25 < solved.any(1).mean() < 1


@pytest.mark.slow
def test_some_are_solved_by_swinging_legs():
    """On M, of 48 levels, 8 rhythms each: some are solved, and far from all attempts."""
    env, rng, tries = kx.make("m"), np.random.default_rng(0), 8
    levels = jax.tree.map(lambda leaf: np.repeat(leaf[:48], tries, 0), draw("m"))
    phase, rate = rng.uniform(0, 2 * np.pi, (384, 1, 4)), rng.uniform(0.01, 0.12, (384, 1, 1))
    wave = np.sin(phase + 2 * np.pi * rate * np.arange(256)[None, :, None])
    actions = np.where(np.abs(wave) > 0.3, np.where(wave > 0, 1, 2), 0)
    actions = np.concatenate([actions, np.zeros((384, 256, 2), int)], -1)
    solved = np.asarray(play_sequences(env, levels, jnp.asarray(actions, jnp.int8)).solved)
    assert 0.03 < solved.mean() < 0.4 and solved.reshape(48, tries).any(1).mean() > 0.2


def test_sizes_without_room_are_refused():
    with pytest.raises(ValueError, match=r"got 1 polygons and 2 circles .* 0 joints"):
        sample_locomotion(jax.random.key(0), LevelSize(5, 2, 0, 1))
    with pytest.raises(ValueError, match="got 2 polygons and 0 circles"):
        sample_locomotion(jax.random.key(0), LevelSize(6, 0, 1, 1))


def test_mixtures_and_boxes_hold_it():
    mixture = kx.LevelMixture((kx.LevelList([rocket(SIZES["s"])]), kx.LocomotionParams()), (1.0, 3.0))
    shapes = jax.eval_shape(lambda key: kx.sample_levels(key, 4, "s", mixture), jax.random.key(0))
    assert shapes.batch_shape == (4,) and hash(mixture) and not jax.tree.leaves(mixture)
    box = kx.GeneratorBox(("roughness",), (0.0,), (0.5,), kx.LocomotionParams(max_slope=0.0))
    assert box.params(jnp.array([[0.2]])).roughness.tolist() == [pytest.approx(0.2)]
    assert kx.RandomLevels(box.base) == kx.RandomLevels(kx.LocomotionParams(max_slope=0.0))

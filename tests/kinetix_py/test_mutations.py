"""Edits of levels: pure, total, and never a level that files would not accept."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from kinetix_py.generator.edits import EDITS
from kinetix_py.generator.mutations import mutate_level
from kinetix_py.generator.params import GeneratorParams
from tests.kinetix_py.small_levels import TINY, car, falling, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

SIZE = kx.SIZES["m"]
PARAMS = GeneratorParams()
KEYS = 24  # of every call, so that an edit is compiled once


def full():
    """A level without a free slot: every shape, joint and thruster in use."""
    key = jax.random.key(0)
    grow = jax.jit(lambda key, level, i: jax.lax.switch(i, adders, key, level))
    adders = [
        lambda key, level, name=name: EDITS[name](key, level, PARAMS)
        for name in ("add_shape", "add_joint", "add_thruster", "move_shape")
    ]
    level = kx.pad_level(falling(), SIZE)
    for i in range(200):
        level = grow(jax.random.fold_in(key, i), level, i % 4)
    return level


@pytest.fixture(scope="module")
def levels():
    return {"car": kx.pad_level(car(), SIZE), "rocket": kx.pad_level(rocket(), SIZE), "full": full()}


@pytest.fixture(scope="module")
def edit_many():
    """Applies an edit with many keys."""
    return {
        name: jax.jit(jax.vmap(lambda key, level, f=f: f(key, level, PARAMS), (0, None)))
        for name, f in EDITS.items()
    }


def one(batch, i):
    return jax.tree.map(lambda value: value[i], batch)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@pytest.mark.parametrize("name", EDITS)
def test_edited_levels_stay_valid(name, levels, edit_many):
    for level in levels.values():
        edited = edit_many[name](jax.random.split(jax.random.key(1), KEYS), level)
        for i in range(KEYS):
            kx.validate_level(one(edited, i))
        for which in (1, 2):
            before, after = (
                ((np.asarray(x.labels.role) == which) & np.asarray(x.sim.active)).any(-1)
                for x in (level, edited)
            )
            assert (after >= before).all()  # the last one stays


def test_a_full_level_takes_nothing_more(levels, edit_many):
    level = levels["full"]
    assert level.sim.active.all() and level.sim.thrusters.active.all() and level.sim.joints.active.all()
    keys = jax.random.split(jax.random.key(2), KEYS)
    for name in ("add_shape", "add_joint", "add_thruster"):
        edited = edit_many[name](keys, level)
        assert all(same(one(edited, i), level) for i in range(KEYS)), name


def test_an_empty_level_is_left_alone(edit_many):
    level = kx.empty_level(SIZE)
    keys = jax.random.split(jax.random.key(3), KEYS)
    for name in EDITS:
        if name not in ("add_shape", "change_gravity"):
            edited = edit_many[name](keys, level)
            assert all(same(one(edited, i), level) for i in range(KEYS)), name


def test_sizes_without_what_an_edit_needs_are_left_alone():
    bare = kx.LevelSize(5, 1, 1, 1, max_vertices=3, num_motor_bindings=0, num_thruster_bindings=0)
    level = kx.empty_level(dataclasses.replace(bare, num_walls=0))
    for name in ("add_shape", "add_joint", "add_thruster"):
        assert EDITS[name](jax.random.key(0), level, kx.GeneratorParams()) is level, name


def test_each_edit_does_what_it_says(levels, edit_many):
    keys, level = jax.random.split(jax.random.key(4), KEYS), levels["car"]
    done = {name: edit_many[name](keys, level) for name in EDITS}
    count = lambda edited: np.asarray(edited.sim.active).sum(1)
    assert (count(done["add_shape"]) == 7).all()
    # The box is the only green shape; the wheel can go, and its joint goes with it.
    assert (count(done["remove_shape"]) == 5).all() and not done["remove_shape"].sim.joints.active.any()
    assert (np.asarray(done["remove_joint"].sim.joints.active).sum(1) == 0).all()
    assert (np.asarray(done["add_thruster"].sim.thrusters.active).sum(1) == 1).all()
    assert not edit_many["remove_thruster"](keys, levels["rocket"]).sim.thrusters.active.any()
    assert (np.asarray(done["change_gravity"].sim.gravity)[:, 1] <= 0).all()
    wheel = SIZE.num_polygons
    assert (np.asarray(done["change_role"].labels.role)[:, wheel] > 0).all()
    assert (np.asarray(done["toggle_static"].sim.inverse_mass)[:, wheel] == 0).all()


def test_an_edit_at_a_place_takes_what_is_nearest():
    """The rocket's balls are at x = 1 and x = 3, both at y = 2.5."""
    level, key = kx.pad_level(rocket(), SIZE), jax.random.key(11)
    push = jax.jit(lambda place: EDITS["add_thruster"](key, level, PARAMS, place).sim.thrusters)
    for x, ball in ((0.4, 0), (1.9, 0), (2.1, 1), (4.6, 1)):
        thrusters = push(jnp.array([x, 1.0]))
        new = np.asarray(thrusters.active) & ~np.asarray(level.sim.thrusters.active)
        assert np.asarray(thrusters.body)[new].tolist() == [SIZE.num_polygons + ball]
    add = jax.jit(lambda place: EDITS["add_shape"](key, level, PARAMS, place).sim)
    new = np.asarray(add(jnp.array([2.0, 3.0])).active) & ~np.asarray(level.sim.active)
    np.testing.assert_allclose(np.asarray(add(jnp.array([2.0, 3.0])).position)[new], [[2.0, 3.0]])
    margin = PARAMS.max_half_size  # outside of the room it would be of no use
    np.testing.assert_allclose(np.asarray(add(jnp.array([9.0, 3.0])).position)[new], [[5 - margin, 3.0]])


def test_what_is_joined_moves_and_turns_as_one(levels, edit_many):
    keys, level = jax.random.split(jax.random.key(5), KEYS), levels["car"]
    arm = lambda sim: np.asarray(sim.position[..., SIZE.num_polygons, :] - sim.position[..., 4, :])
    moved = edit_many["move_shape"](keys, level).sim
    np.testing.assert_allclose(arm(moved), np.tile(arm(level.sim), (KEYS, 1)), atol=1e-5)
    assert np.ptp(np.asarray(moved.position)[:, 4, 0]) > 0.5
    turned = edit_many["rotate_shape"](keys, level).sim
    np.testing.assert_allclose(np.linalg.norm(arm(turned), axis=1), 0.4, atol=1e-5)
    rotation = np.asarray(turned.rotation)
    np.testing.assert_allclose(rotation[:, 4], rotation[:, SIZE.num_polygons], atol=1e-6)


def test_a_resized_shape_keeps_its_density(levels, edit_many):
    edited = edit_many["resize_shape"](jax.random.split(jax.random.key(6), KEYS), levels["rocket"])
    for i in range(4):
        sim = one(edited, i).sim
        mass = 1 / np.asarray(sim.inverse_mass)[SIZE.num_polygons : SIZE.num_polygons + 2]
        np.testing.assert_allclose(mass, np.pi * np.asarray(sim.radius)[:2] ** 2, rtol=1e-5)
    assert np.ptp(np.asarray(edited.sim.radius)) > 0.05


def test_fixing_and_freeing_gives_the_mass_back(edit_many):
    level = kx.pad_level(falling(), SIZE)  # an static blue box and a green ball, the only movable actor
    freed = one(edit_many["toggle_static"](jax.random.split(jax.random.key(7), KEYS), level), 0)
    assert freed.sim.inverse_mass[4] == pytest.approx(1 / (0.8 * 0.4), rel=1e-5)
    assert freed.sim.inverse_inertia[4] == pytest.approx(12 / (0.32 * (0.8**2 + 0.4**2)), rel=1e-5)


def test_joints_link_at_one_point(levels):
    sim = levels["full"].sim
    assert sim.joints.active.all()
    for j in np.flatnonzero(np.asarray(sim.joints.active)):
        ends = []
        for body, anchor in (
            (sim.joints.body_a[j], sim.joints.anchor_a[j]),
            (sim.joints.body_b[j], sim.joints.anchor_b[j]),
        ):
            cos, sin = np.cos(sim.rotation[body]), np.sin(sim.rotation[body])
            ends.append(np.asarray(sim.position[body]) + np.array([[cos, -sin], [sin, cos]]) @ anchor)
        np.testing.assert_allclose(*ends, atol=1e-5)


def test_mutate_draws_from_the_edits_named():
    level = kx.pad_level(rocket(), SIZE)
    move = jax.jit(lambda key: mutate_level(key, level, num_edits=2, edits=("move_shape",)))
    moved = move(jax.random.key(8))
    assert not same(moved, level)
    back = dataclasses.replace(moved, sim=dataclasses.replace(moved.sim, position=level.sim.position))
    assert same(back, level)
    with pytest.raises(ValueError, match="'explode'"):
        mutate_level(jax.random.key(0), level, edits=("explode",))


def test_many_random_edits_stay_valid_without_a_retrace():
    traces = []

    @jax.jit
    def run(key, params):
        traces.append(1)
        start = kx.pad_level(car(), SIZE)
        grow = lambda key: mutate_level(key, start, params, num_edits=20)
        return jax.vmap(grow)(jax.random.split(key, 16))

    edited = run(jax.random.key(9), PARAMS)
    run(jax.random.key(10), dataclasses.replace(PARAMS, thruster_power=1.0))
    assert len(traces) == 1
    for i in range(16):
        kx.validate_level(one(edited, i))
    assert len(np.unique(np.asarray(edited.sim.active).sum(1))) > 1
    assert jnp.isfinite(edited.sim.position).all() and TINY.num_joints == 1

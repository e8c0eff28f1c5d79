"""Levels as values: sizes, padding, batches, and what is refused."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jax2d
import kinetix_py as kx
from tests.kinetix_py.small_levels import TINY, car, falling, relabeled, rocket


def test_padding_moves_what_joints_and_thrusters_refer_to():
    level, large = car(), kx.SIZES["l"]
    padded = kx.pad_level(level, large)
    kx.validate_level(padded)
    assert padded.size == large and padded.sim.vertices.shape == (12, 4, 2)
    assert int(padded.sim.joints.body_b[0]) == 12 and int(padded.sim.joints.body_a[0]) == 4
    np.testing.assert_array_equal(padded.sim.position[12], level.sim.position[5])
    assert padded.labels.role.sum() == 1 and padded.sim.active.sum() == level.sim.active.sum()
    assert int(kx.pad_level(rocket(), large).sim.thrusters.body[0]) == 12


def test_padding_runs_inside_jit_and_is_nothing_at_the_same_size():
    level = falling()
    assert kx.pad_level(level, TINY) is level
    padded = jax.jit(lambda level: kx.pad_level(level, kx.SIZES["m"]))(level)
    assert padded.labels.role.shape == (9,)


def test_more_vertices_and_no_circles():
    size = dataclasses.replace(TINY, num_polygons=6, max_vertices=8)
    padded = kx.pad_level(falling(), size)
    assert padded.sim.vertices.shape == (6, 8, 2)
    kx.validate_level(padded)
    bare = kx.LevelSize(num_polygons=5, num_circles=0, num_joints=0, num_thrusters=0)
    kx.validate_level(kx.empty_level(bare))
    env = kx.make(bare)
    obs, state = env.reset_to_level(kx.empty_level(bare))
    obs, state, *_ = env.step(jax.random.key(0), state, env.noop_action)
    assert obs.joints.shape[0] == 0 and np.isfinite(obs.shapes).all()


def test_stacking_pads_to_the_largest():
    levels = kx.stack_levels([car(), falling(kx.SIZES["m"])])
    assert levels.labels.role.shape == (2, 9)
    assert kx.stack_levels([car()], "l").labels.role.shape == (1, 16)
    with pytest.raises(ValueError, match="at least one level"):
        kx.stack_levels([])
    with pytest.raises(ValueError, match="num_polygons is 6, but at most 5"):
        kx.stack_levels([falling(kx.SIZES["m"])], TINY)


def test_densities_are_mass_over_area():
    scene = jax2d.Scene(TINY.sim_spec())
    scene.add_walls()
    scene.add_polygon((2, 2), [(0, 0.3), (0.2, -0.1), (-0.2, -0.1)], density=2.5)
    scene.add_circle((3, 3), 0.2, density=0.5)
    density = kx.from_scene(scene.build(), TINY).labels.density
    np.testing.assert_allclose(density, [1, 1, 1, 1, 2.5, 0.5, 1], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"role": jnp.array([0, 0, 0, 0, 4, 0, 0])}, "body 4: role must be in 0 .. 3, got 4"),
        ({"density": jnp.array([1, 1, 1, 1, 1, -2.0, 1])}, "body 5: density must be above 0, got -2"),
        ({"motor_binding": jnp.array([7])}, "joint 0: motor_binding must be in 0 .. 3, got 7"),
    ],
)
def test_wrong_values_are_named(change, match):
    with pytest.raises(jax2d.SceneError, match=match):
        kx.validate_level(relabeled(car(), **change))


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="num_motor_bindings must be an integer of at least 0, got -1"):
        kx.LevelSize(5, 2, 1, 1, num_motor_bindings=-1)
    with pytest.raises(ValueError, match=r"LevelSize.max_vertices must be an integer of at least 3, got 2"):
        kx.LevelSize(5, 2, 1, 1, max_vertices=2)

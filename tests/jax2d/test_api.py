"""The entry points: transformations, batching, shapes, recompilation, memory."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jax2d
from agents.benchmark.scenes import SIZES, random_actions, random_scenes
from jax2d.pairs import contact_pairs, num_contacts

pytestmark = pytest.mark.usefixtures("compiled_fast")

SPEC = jax2d.SimSpec(num_polygons=5, num_circles=1, num_joints=1, num_thrusters=1)
PARAMS = jax2d.SimParams()


def scenes(count, spec=SPEC):
    states = jax.tree.map(jnp.asarray, random_scenes(3, count, spec))
    return states, jnp.asarray(random_actions(3, 1, count, spec)[0])


def assert_close(a, b, atol=1e-5):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x, float), np.asarray(y, float), atol=atol)


@pytest.fixture(scope="module")
def batch():
    states, actions = scenes(6)
    return states, actions, jax.jit(lambda s, a: jax2d.step_batch(s, a, PARAMS, SPEC))(states, actions)


def test_vmap_of_step_is_step_batch(batch):
    states, actions, expected = batch
    out = jax.jit(jax.vmap(lambda s, a: jax2d.step(s, a, PARAMS, SPEC)))(states, actions)
    assert_close(out, expected)


def test_batch_last_is_step_batch(batch):
    states, actions, expected = batch
    last = lambda tree: jax.tree.map(lambda value: jnp.moveaxis(value, 0, -1), tree)
    run = jax.jit(lambda s, a: jax2d.step_batch(s, a, PARAMS, SPEC, batch_axis=-1))
    assert_close(run(last(states), last(actions)), last(expected))


def test_one_scene_is_its_place_in_the_batch(batch):
    states, actions, expected = batch
    one = jax.tree.map(lambda value: value[2], (states, actions))
    out = jax.jit(lambda s, a: jax2d.step(s, a, PARAMS, SPEC))(*one)
    assert_close(out, jax.tree.map(lambda value: value[2], expected))


@pytest.mark.slow
def test_nested_vmap_and_parameters_by_scene(batch):
    states, actions, expected = batch
    grid = jax.tree.map(lambda value: value.reshape(2, 3, *value.shape[1:]), (states, actions))
    friction = jnp.full((2, 3), PARAMS.base_friction)

    def one(state, action, base_friction):
        params = dataclasses.replace(PARAMS, base_friction=base_friction)
        return jax2d.step(state, action, params, SPEC)

    out = jax.jit(jax.vmap(jax.vmap(one)))(*grid, friction)
    assert_close(jax.tree.map(lambda value: value.reshape(6, *value.shape[2:]), out), expected)


def test_one_scene_under_many_actions(batch):
    states, actions, _ = batch
    one = jax.tree.map(lambda value: value[0], states)
    step = jax.jit(jax.vmap(lambda s, a: jax2d.step(s, a, PARAMS, SPEC), in_axes=(None, 0)))
    assert step(one, actions)[0].position.shape == (6, SPEC.num_bodies, 2)


@pytest.mark.slow
def test_large_batches_are_cut_into_blocks_and_put_together_again():
    count = 2405  # not a multiple of anything that a block could hold
    states, actions = scenes(count)
    run = jax.jit(lambda s, a: jax2d.step_batch(s, a, PARAMS, SPEC)[0].position)
    part = jax.tree.map(lambda value: value[-6:], (states, actions))
    np.testing.assert_allclose(run(states, actions)[-6:], run(*part), atol=1e-5)


def test_numbers_are_traced_and_never_recompile():
    chex.clear_trace_counter()
    states, actions = scenes(6)
    traced = chex.assert_max_traces(lambda s, a, p: jax2d.step_batch(s, a, p, SPEC)[0], n=1)
    run = jax.jit(traced)
    for gravity in (-9.81, 0.0):
        for dt in (1 / 60, 1 / 120):
            changed = dataclasses.replace(states, gravity=states.gravity.at[:, 1].set(gravity))
            run(changed, actions, jax2d.SimParams(dt=dt, slop=dt))


def test_a_rollout_is_differentiable():
    """Pushing harder to the right moves a free body further: d x / d action = power dt^2 n^2 / 2 m."""
    spec = jax2d.SimSpec(0, 1, 0, 1)
    scene = jax2d.Scene(spec)
    scene.set_gravity((0, 0))
    scene.add_thruster(scene.add_circle((0, 0), 0.5, mass=2.0), power=0.3)
    state = jax.tree.map(lambda value: value[..., None], scene.build())

    def reach(action):
        advance = lambda s, _: (jax2d.step_batch(s, action, PARAMS, spec, batch_axis=-1)[0], None)
        return jax.lax.scan(advance, state, length=30)[0].position[0, 0, 0]

    slope = jax.jit(jax.grad(reach))(jnp.full((1, 1), 0.5))
    expected = 0.3 * PARAMS.base_thruster_power / 2.0 * PARAMS.dt**2 * 30 * 31 / 2
    np.testing.assert_allclose(slope[0, 0], expected, rtol=1e-4)


@pytest.mark.slow
def test_gradients_of_step_are_finite_differences():
    """A wheel on an axle, turned by a motor and by a thruster at its rim."""
    spec = jax2d.SimSpec(1, 1, 1, 1, num_walls=0)
    scene = jax2d.Scene(spec)
    hook = scene.add_box((2, 3), 0.2, 0.2, static=True, collision_mode=0)
    wheel = scene.add_circle((2, 3), 0.3, collision_mode=0)
    scene.add_revolute_joint(hook, wheel, (2, 3), motor=True)
    scene.add_thruster(wheel, anchor_local=(0.3, 0), direction=1.0, power=0.1)
    state = scene.build()

    def end(actions):
        advance = lambda state, _: (jax2d.step(state, actions, PARAMS, spec)[0], None)
        return jax.lax.scan(advance, state, length=10)[0].rotation[wheel.index]

    actions = jnp.array([[0.5, 0.4], [-0.3, 0.8]])
    both = jax.jit(jax.vmap(end))
    shifts = 0.02 * jnp.eye(2)[:, None]
    differences = jnp.stack([both(actions + shift) - both(actions - shift) for shift in shifts], 1) / 0.04
    gradients = jax.jit(jax.grad(lambda actions: both(actions).sum()))(actions)
    assert jnp.abs(differences).min() > 1e-3
    np.testing.assert_allclose(gradients, differences, rtol=5e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": jnp.zeros(7)}, r"actions has shape \(7,\).*needs \(2,\)"),
        ({"rotation": jnp.zeros(3)}, r"state\.rotation has shape \(3,\).*needs \(6,\)"),
        ({"active": jnp.ones(6)}, r"state\.active has dtype float32; it must be bool"),
        ({"num_vertices": jnp.ones(5)}, r"state\.num_vertices has dtype float32; it must be int32"),
    ],
)
def test_wrong_shapes_are_refused_before_compiling(change, message):
    states, actions = scenes(1)
    state = jax.tree.map(lambda value: value[0], states)
    actions = change.pop("actions", actions[0])
    with pytest.raises(ValueError, match=message):
        jax2d.step(dataclasses.replace(state, **change), actions, PARAMS, SPEC)


def test_wrong_batches_are_refused():
    states, actions = scenes(4)
    with pytest.raises(ValueError, match=r"state\.position has shape \(4, 6, 2\).*needs \(3, 6, 2\)"):
        jax2d.step_batch(states, actions[:3], PARAMS, SPEC)
    with pytest.raises(ValueError, match="batch_axis must be 0 or -1, got 1"):
        jax2d.step_batch(states, actions, PARAMS, SPEC, batch_axis=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_polygons": -1}, "num_polygons must be an integer of at least 0, got -1"),
        ({"num_circles": 1.5}, "num_circles must be an integer of at least 0, got 1.5"),
        ({"max_vertices": 2}, "max_vertices must be an integer of at least 3, got 2"),
        ({"solver_iterations": 0}, "solver_iterations must be an integer of at least 1, got 0"),
        ({"contact_order": "random"}, "contact_order must be one of .*, got 'random'"),
    ],
)
def test_impossible_specs_are_refused(arguments, message):
    sizes = {"num_polygons": 4, "num_circles": 0, "num_joints": 0, "num_thrusters": 0}
    with pytest.raises(ValueError, match=message):
        jax2d.SimSpec(**(sizes | arguments))


def test_there_are_no_more_walls_than_polygons():
    assert jax2d.SimSpec(3, 1, 0, 0).num_walls == 3
    assert jax2d.SimSpec(5, 1, 0, 0).num_walls == 4


@pytest.mark.parametrize(
    ("counts", "order"),
    [
        ((0, 0, 0, 0), "parallel"),
        ((0, 2, 0, 0), "parallel"),
        ((2, 0, 0, 0), "kinetix"),
        ((5, 0, 1, 0), "parallel"),
        ((4, 1, 0, 1), "kinetix"),
        pytest.param((7, 1, 0, 0), "kinetix", marks=pytest.mark.slow),
    ],
)
def test_any_count_from_0_runs(counts, order):
    spec = jax2d.SimSpec(*counts, solver_iterations=2, contact_order=order)
    state = jax2d.Scene(spec).build()
    after, contacts = jax.jit(lambda s: jax2d.step(s, jnp.zeros(spec.num_actions), PARAMS, spec))(state)
    assert after.position.shape == (spec.num_bodies, 2)
    assert contacts.active.shape == (num_contacts(spec),)
    assert not contacts.active.any()


def test_specs_are_hashable_and_states_are_pytrees():
    assert hash(SPEC) == hash(pickle.loads(pickle.dumps(SPEC)))
    state = jax2d.Scene(SPEC).build()
    assert jax.tree.structure(jax.tree.map(lambda value: value + 0, state)) == jax.tree.structure(state)
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.position = 0


def test_a_scene_of_size_l_takes_at_most_8_kilobytes():
    """Everything carried between steps; nothing else is kept, and nothing precomputed."""
    states = random_scenes(0, 1, SIZES["l"])
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(states)) <= 8192


def test_contact_pairs_name_every_pair_once():
    spec = SIZES["m"]
    pairs = contact_pairs(spec)
    n, p, w = spec.num_bodies, spec.num_polygons, spec.num_walls
    expected = {(i, j): 2 if j < p else 1 for i in range(n) for j in range(i + 1, n) if j >= w}
    found: dict[tuple[int, int], int] = {}
    for pair in pairs:
        key = tuple(sorted(int(body) for body in pair))
        found[key] = found.get(key, 0) + 1
    assert found == expected


def test_the_engine_imports_alone():
    """Beyond the standard library, jax2d needs jax and numpy (and what jax itself brings)."""
    code = (
        "import sys, jax, numpy; before = set(sys.modules); import jax2d;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(new - set(sys.stdlib_module_names) - {'jax', 'jaxlib', 'numpy', 'jax2d'}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.slow
def test_states_of_other_precisions_are_stepped():
    """Small integers step to the same bits; double precision, in a process of its own, to single rounding."""
    script = """
import jax, jax.numpy as jnp, numpy as np, jax2d
from agents.benchmark.scenes import SIZES, random_scenes
spec, params, count = SIZES["m"], jax2d.SimParams(), 32
states = random_scenes(0, count, spec)
actions = np.zeros((count, spec.num_actions), np.float32)
step = jax.jit(jax.vmap(lambda state, action: jax2d.step(state, action, params, spec)[0]))
usual = step(states, actions)
small = step(jax.tree.map(lambda v: v.astype(np.int8) if v.dtype == np.int32 else v, states), actions)
jax.tree.map(np.testing.assert_array_equal, usual, small)
jax.config.update("jax_enable_x64", True)
double = jax.tree.map(lambda v: v.astype(np.float64) if v.dtype == np.float32 else v, states)
after = step(double, actions)
assert after.position.dtype == jnp.float64
np.testing.assert_allclose(after.position, usual.position, atol=1e-4)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)

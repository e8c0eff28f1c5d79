"""The step on lists of what touches gives what the dense step gives, also where lists are full."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jax2d
from agents.benchmark.scenes import SIZES, random_actions, random_scenes
from jax2d.batching import lowering_for
from jax2d.collision.candidates import bounding_boxes, find_candidates, pair_tables
from jax2d.collision.detect import world_polygons
from jax2d.flat import running_count, running_count_of_list
from jax2d.pipeline import step_batch_last
from jax2d.sparse import ListSizes, is_sparse, list_sizes, step_sparsely

pytestmark = pytest.mark.usefixtures("compiled_fast")

# 20 wall pairs and 10 others of polygons, 27 of circles with polygons, 3 of circles: two groups of each
# of the first two kinds in Kinetix's order.
SPEC = jax2d.SimSpec(num_polygons=9, num_circles=3, num_joints=2, num_thrusters=1)
BATCH, STEPS = 32, 160
PARAMS = jax2d.SimParams()
ALWAYS = jnp.asarray(True)
EVERY_PAIR = list_sizes(SPEC, BATCH, room=100)  # lists that no batch can fill
# Lists with little more room than one scene may need.
SHORT = ListSizes((32,) * 3, (32,) * 3, tuple(dataclasses.replace(p, capacity=32) for p in EVERY_PAIR.phases))
SPREAD = jax.tree.map(lambda value: value * np.linspace(0.8, 1.3, BATCH, dtype=np.float32), PARAMS)


def to_last(tree):
    return jax.tree.map(lambda value: np.moveaxis(value, 0, -1), tree)


def piles():
    """Every body in a region of half a meter above the floor, in motion."""
    states = random_scenes(3, BATCH, SPEC)
    rng = np.random.default_rng(3)
    position, velocity = states.position.copy(), states.velocity.copy()
    shape = position[:, SPEC.num_walls :].shape
    position[:, SPEC.num_walls :] = [2.5, 0.6] + rng.uniform(-0.25, 0.25, shape)
    velocity[:, SPEC.num_walls :] = rng.normal(size=shape)
    return dataclasses.replace(states, position=position, velocity=velocity)


@functools.partial(jax.jit, static_argnames=("spec", "sizes"))
def step_both(states, actions, params, spec, sizes):
    """One step by lists and one dense step."""
    return (
        step_sparsely(states, actions, params, spec, sizes),
        step_batch_last(states, actions, params, spec),
    )


@jax.jit
def step_short(states):
    """One step by lists that are too short for most batches."""
    return step_sparsely(states, ACTIONS, SPREAD, SPEC, SHORT)


@functools.cache
def played():
    """5,120 states of random play, from each of which lists and the dense step make a step.

    Returns states at several times, and the largest difference of positions after a step [m].
    """
    states, kept, apart = to_last(random_scenes(1, BATCH, SPEC)), [], 0.0
    for t, actions in enumerate(np.moveaxis(random_actions(1, STEPS, BATCH, SPEC), 1, 2)):
        by_lists, (states, _) = step_both(states, actions, SPREAD, SPEC, EVERY_PAIR)
        apart = max(apart, float(np.abs(np.subtract(by_lists[0].position, states.position)).max()))
        kept += [states] if t in (0, 15, 40, 159) else []
    return kept, apart


ACTIONS = to_last(random_actions(2, 1, BATCH, SPEC)[0])


def assert_same(first, second):
    """Equal flags, and numbers equal to some roundings of what a step adds up."""
    for path, a in jax.tree_util.tree_leaves_with_path(first):
        b = dict(jax.tree_util.tree_leaves_with_path(second))[path]
        if a.dtype.kind == "f":
            scale, name = max(1, np.abs(b).max()), jax.tree_util.keystr(path)
            # The direction from a circle's center to an edge beside it is that of a tiny difference.
            atol = 2e-3 if name.endswith(".normal") else 1e-5 * scale
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol, err_msg=name)
        else:
            np.testing.assert_array_equal(a, b, err_msg=jax.tree_util.keystr(path))


@pytest.mark.parametrize("order", ["parallel", pytest.param("kinetix", marks=pytest.mark.slow)])
def test_lists_give_what_the_dense_step_gives(order):
    """Random play and piles of every body; groups, the reset of last pairs, numbers by scene."""
    spec = dataclasses.replace(SPEC, contact_order=order)
    sizes = list_sizes(spec, BATCH, room=100)
    pushing = 0
    for states in [*played()[0], to_last(piles())]:
        by_lists, dense = step_both(states, ACTIONS, SPREAD, spec, sizes)
        assert_same(by_lists, dense)
        pushing += int(dense[1].pushing.sum())
    assert pushing > 20 * BATCH


def test_slots_are_the_same_along_both_batch_axes():
    """Impulses and contacts of piles, read and written in the layout of the caller's arrays."""
    states, axes = piles(), (0, -1)
    actions = np.zeros((BATCH, SPEC.num_actions), np.float32)
    step = jax.jit(jax2d.step_batch, static_argnames=("spec", "batch_axis"))
    first = step(states, actions, PARAMS, SPEC, batch_axis=axes[0])
    last = step(to_last(states), actions.T, PARAMS, SPEC, batch_axis=axes[1])
    assert first[1].active.any() and first[0].contact_impulse.any()
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-3), to_last(first), last)


def test_bodies_that_turn_and_do_not_move_are_alike_both_ways():
    """Rotors: of infinite mass and a finite inertia, which is shared among contacts as others' is."""
    states = to_last(piles())
    loose = dataclasses.replace(states.joints, active=np.zeros_like(states.joints.active))
    states = dataclasses.replace(states, joints=loose)
    free = np.arange(SPEC.num_bodies) >= SPEC.num_walls
    rotor = (free & (np.arange(SPEC.num_bodies) % 2 == 0))[:, None]
    states = dataclasses.replace(states, inverse_mass=np.where(rotor, np.float32(0), states.inverse_mass))
    by_lists, dense = step_both(states, ACTIONS, SPREAD, SPEC, EVERY_PAIR)
    assert_same(by_lists, dense)
    turned = np.abs(dense[0].angular_velocity - states.angular_velocity)[rotor[:, 0]]
    assert turned.max() > 0.1


def test_lists_agree_with_the_dense_step_in_random_play():
    """After one step from any of 5,120 states bodies are where the dense step puts them, to rounding.

    To a rounding of a place in the room, 5e-7 m, as users compile it; to four as tests do.
    """
    assert played()[1] <= 4 * np.spacing(np.float32(5))


def test_lists_that_are_too_short_take_several_passes():
    """Nothing is lost: piles have more pairs and more contacts than these lists have entries."""
    states = to_last(piles())
    contacts = step_both(states, ACTIONS, SPREAD, SPEC, EVERY_PAIR)[1][1]
    assert int(contacts.pushing.sum()) > 4 * sum(phase.capacity for phase in SHORT.phases)
    assert_same(step_short(states), step_both(states, ACTIONS, SPREAD, SPEC, EVERY_PAIR)[1])


def test_results_do_not_depend_on_the_number_of_passes():
    """To the bit: a pile among empty scenes, which takes one pass, and among piles, which take many."""
    states = to_last(piles())
    for scene in (0, 13, BATCH - 1):
        others = np.arange(BATCH) != scene
        alone = dataclasses.replace(states, active=states.active & ~others[None])
        for a, b in zip(*map(jax.tree.leaves, (step_short(states), step_short(alone))), strict=True):
            np.testing.assert_array_equal(a[..., scene], b[..., scene])


def test_a_scene_does_not_depend_on_the_others_of_its_batch():
    """To the bit: a scene's contacts are summed in the order of its own list."""
    arguments = (played()[0][3], ACTIONS, SPREAD)
    order = np.random.default_rng(0).permutation(BATCH)
    shuffled = jax.tree.map(lambda value: value[..., order], arguments)
    plain = step_both(*arguments, SPEC, EVERY_PAIR)[0]
    other = step_both(*shuffled, SPEC, EVERY_PAIR)[0]
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a[..., order], b)


@pytest.mark.slow
def test_derivatives_are_those_of_the_dense_step():
    spec = jax2d.SimSpec(num_polygons=5, num_circles=1, num_joints=1, num_thrusters=0, solver_iterations=2)
    states = to_last(random_scenes(4, BATCH, spec))
    actions = jnp.ones((1, BATCH))

    def distance(velocity, step):
        after = step(dataclasses.replace(states, velocity=velocity), actions, PARAMS, spec)[0]
        return (after.position**2).sum()

    both = jax.jit(lambda v: [jax.grad(distance)(v, step) for step in (step_sparsely, step_batch_last)])
    slopes = both(states.velocity)
    assert np.abs(slopes[0]).max() > 0
    np.testing.assert_allclose(*slopes, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_candidates_are_all_pairs_that_touch_scene_after_scene():
    states = to_last(piles())
    polygons = world_polygons(states, jnp.cos(states.rotation), jnp.sin(states.rotation), SPEC)
    boxes = bounding_boxes(states, polygons, SPEC)
    contacts = step_both(states, ACTIONS, SPREAD, SPEC, EVERY_PAIR)[1][1]
    tables = pair_tables(SPEC)
    room = [table.num_pairs * BATCH for table in tables]
    everywhere = jnp.ones(BATCH, bool)
    found = find_candidates(ALWAYS, states, boxes, tables, room, everywhere)
    assert found.fits
    totals, starts = np.asarray(found.total.sum(1)), np.cumsum([0, *room])
    for kind, table in enumerate(tables):
        entries = slice(starts[kind], starts[kind] + totals[kind])
        assert (
            found.used[entries].all()
            and int(found.used[starts[kind] : starts[kind + 1]].sum()) == totals[kind]
        )
        scene, pair = np.asarray(found.scene)[entries], np.asarray(found.pair)[entries]
        assert list(zip(scene, pair, strict=True)) == sorted(zip(scene, pair, strict=True))
        listed = np.zeros((table.num_pairs, BATCH), bool)
        listed[pair, scene] = True
        assert (listed | ~np.asarray(contacts.active)[table.slots[0]]).all()
        few = totals - (np.arange(len(tables)) == kind)
        assert not find_candidates(ALWAYS, states, boxes, tables, few.tolist(), everywhere).fits
    assert find_candidates(ALWAYS, states, boxes, tables, totals.tolist(), everywhere).fits
    half = np.arange(BATCH) < BATCH // 2
    some = find_candidates(ALWAYS, states, boxes, tables, room, jnp.asarray(half)).total
    np.testing.assert_array_equal(some, np.where(half, found.total, 0))


@pytest.mark.parametrize("size", [1, 63, 64, 65, 300])
def test_running_counts(size):
    flags = np.random.default_rng(size).random((size, 3)) < 0.4
    np.testing.assert_array_equal(running_count(jnp.asarray(flags)), np.cumsum(flags, axis=0))
    np.testing.assert_array_equal(running_count_of_list(jnp.asarray(flags[:, 0])), np.cumsum(flags[:, 0]))


def whips(links, batch):
    """Chains of disks that hang together outside of themselves, all in fast motion, as a spec and states."""
    spec, rng, scenes = jax2d.SimSpec(0, links, links - 1, 0, num_walls=0), np.random.default_rng(0), []
    for _ in range(batch):
        scene, place, previous = jax2d.Scene(spec), np.full(2, 5.0), None
        for _ in range(links):
            near, far = 0.22 * np.stack([f(rng.uniform(0, 2 * np.pi, 2)) for f in (np.cos, np.sin)], axis=-1)
            motion = {"velocity": rng.uniform(-100, 100, 2), "angular_velocity": rng.uniform(-50, 50)}
            disk = scene.add_circle(place - near, 0.1, collision_mode=0, **motion)
            if previous is not None:
                scene.add_revolute_joint(previous[0], disk, anchor_a=previous[1], anchor_b=near)
            place, previous = place - near + far, (disk, far)
        scenes.append(scene.build())
    return spec, jax.tree.map(lambda *leaves: np.stack(leaves, axis=-1), *scenes)


@pytest.mark.parametrize(
    "way", [step_sparsely, pytest.param(step_batch_last, marks=pytest.mark.slow)], ids=["lists", "dense"]
)
def test_a_row_of_joints_cannot_overflow(way):
    """Where each joint hands on more spin than it takes, velocities stay bounded within a sweep too."""
    spec, states = whips(24, 32)
    step = jax.jit(lambda states: way(states, np.zeros((23, 32), np.float32), PARAMS, spec)[0])
    for _ in range(20):
        states = step(states)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(states) if leaf.dtype == jnp.float32)
    assert np.abs(states.velocity).max() == PARAMS.max_velocity  # they are as fast as anything may be


def test_lists_are_for_large_scenes_and_batches_on_a_cpu():
    if jax.default_backend() == "cpu":
        assert is_sparse(SIZES["l"], 256)
        assert is_sparse(SIZES["m"], 32)
    assert not is_sparse(SIZES["l"], 1)
    assert not is_sparse(SIZES["s"], 256)
    with lowering_for("cuda"):
        assert not is_sparse(SIZES["l"], 256)


def test_lists_have_room_for_all_pairs_of_one_scene():
    """Else a scene might never be stepped; also where there are few scenes, or many bodies."""
    for spec in (SPEC, jax2d.SimSpec(64, 16, 4, 4, contact_order="kinetix"), jax2d.SimSpec(5, 0, 0, 0)):
        for batch in (32, 300):
            sizes, tables = list_sizes(spec, batch), pair_tables(spec)
            for phase in sizes.phases:
                assert phase.capacity >= min(tables[phase.kind].num_pairs, 16 if phase.groups > 1 else 10**9)
            for table, chunk, room in zip(tables, sizes.chunks, sizes.candidates, strict=True):
                assert room >= table.num_pairs and room % chunk == 0


def test_lists_without_room_for_one_scene_are_refused():
    few = dataclasses.replace(EVERY_PAIR, candidates=(29, 27, 3))
    with pytest.raises(ValueError, match="29 entries has no room for the 30 pairs"):
        step_sparsely(to_last(piles()), ACTIONS, PARAMS, SPEC, few)


@pytest.mark.slow
def test_usual_lists_have_room_for_random_scenes():
    """A block of 256 random scenes of size L leaves a tenth of the candidates' lists free."""
    spec, batch = SIZES["l"], 256
    states = to_last(random_scenes(0, batch, spec))
    polygons = world_polygons(states, jnp.cos(states.rotation), jnp.sin(states.rotation), spec)
    boxes = bounding_boxes(states, polygons, spec)
    room = list_sizes(spec, batch).candidates
    found = find_candidates(ALWAYS, states, boxes, pair_tables(spec), room, jnp.ones(batch, bool))
    assert found.fits
    assert (found.total.sum(1) < 0.9 * np.array(room)).all()

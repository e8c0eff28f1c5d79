"""Properties that must hold for any scene: symmetries, independence of batch and padding, finiteness."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jax2d
from agents.benchmark.scenes import random_actions, random_scenes

pytestmark = pytest.mark.usefixtures("compiled_fast")

SMALL = jax2d.SimSpec(num_polygons=6, num_circles=2, num_joints=2, num_thrusters=1)
PADDED = jax2d.SimSpec(num_polygons=8, num_circles=4, num_joints=3, num_thrusters=2)
BATCH, STEPS = 8, 20
PARAMS = jax2d.SimParams()
seeds = st.integers(0, 2**31 - 1)
few = settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@functools.partial(jax.jit, static_argnames="spec")
def roll(states, actions, spec):
    """Steps a batch with actions `[STEPS, batch, ...]`; the final states."""
    step = jax.vmap(lambda state, action: jax2d.step(state, action, PARAMS, spec)[0])
    return jax.lax.scan(lambda s, a: (step(s, a), None), states, actions)[0]


def draw(seed, spec=SMALL, count=BATCH):
    return random_scenes(seed, count, spec), random_actions(seed, STEPS, count, spec)


def spread(a, b, bodies=slice(None)):
    """Median and largest distance of bodies between two final states, [m]."""
    apart = np.linalg.norm(np.asarray(a.position) - np.asarray(b.position)[:, bodies], axis=-1)
    return np.median(apart), np.quantile(apart, 0.9)


def permute(states, order):
    """Moves the movable bodies of a spec's tables to other slots; joints and thrusters follow."""
    place = np.argsort(order)
    bodies = {name: getattr(states, name)[:, order] for name in jax2d.field_specs(states, axis="N")}
    polygons = order[: SMALL.num_polygons]
    circles = order[SMALL.num_polygons :] - SMALL.num_polygons
    joints = dataclasses.replace(
        states.joints,
        body_a=place[states.joints.body_a].astype(np.int32),
        body_b=place[states.joints.body_b].astype(np.int32),
    )
    thrusters = dataclasses.replace(states.thrusters, body=place[states.thrusters.body].astype(np.int32))
    return dataclasses.replace(
        states,
        **bodies,
        vertices=states.vertices[:, polygons],
        num_vertices=states.num_vertices[:, polygons],
        radius=states.radius[:, circles],
        joints=joints,
        thrusters=thrusters,
    )


@few
@given(seeds)
def test_permuting_slots_permutes_the_result(seed):
    """The order of bodies matters for rounding, and for which of two equal faces a contact is on."""
    states, actions = draw(seed)
    order = np.array([0, 1, 2, 3, 5, 4, 7, 6])
    median, most = spread(roll(permute(states, order), actions, SMALL), roll(states, actions, SMALL), order)
    assert median < 1e-5
    assert most < 1e-3


def pad(states):
    """The same scenes with more slots, which are not in use."""
    wide = random_scenes(0, len(states.rotation), PADDED)
    extra = (PADDED.num_polygons - SMALL.num_polygons, PADDED.num_circles - SMALL.num_circles)
    polygons = SMALL.num_polygons
    kept = np.r_[0:polygons, polygons + extra[0] : polygons + extra[0] + SMALL.num_circles]

    def put(template, values, rows):
        out = np.array(template)
        out[:, rows] = values
        return out

    fields = {}
    for field in dataclasses.fields(states):
        name, value = field.name, getattr(states, field.name)
        if name in ("vertices", "num_vertices"):
            fields[name] = put(getattr(wide, name), value, slice(polygons))
        elif name == "radius":
            fields[name] = put(wide.radius, value, slice(SMALL.num_circles))
        elif name == "active":
            fields[name] = put(np.zeros_like(wide.active), value, kept)
        elif name == "gravity" or name.endswith("impulse"):
            fields[name] = value if name == "gravity" else getattr(wide, name)
        elif name in ("joints", "thrusters"):
            template = getattr(wide, name)
            rows = slice(SMALL.num_joints if name == "joints" else SMALL.num_thrusters)
            part = {k: put(getattr(template, k), v, rows) for k, v in vars(value).items()}
            part["active"] = put(np.zeros_like(template.active), value.active, rows)
            for index in {"body_a", "body_b", "body"} & part.keys():
                part[index] = put(part[index], kept[getattr(value, index)], rows)
            fields[name] = dataclasses.replace(template, **part)
        else:
            fields[name] = put(getattr(wide, name), value, kept)
    return dataclasses.replace(wide, **fields), kept


def pad_actions(actions):
    joints = SMALL.num_joints
    out = np.ones((STEPS, actions.shape[1], PADDED.num_actions), np.float32)
    out[..., :joints] = actions[..., :joints]
    out[..., PADDED.num_joints : PADDED.num_joints + SMALL.num_thrusters] = actions[..., joints:]
    return out


@few
@given(seeds)
def test_padding_with_unused_slots_changes_nothing(seed):
    """Unused slots hold drawn values here, and their actions are 1: neither may count."""
    states, actions = draw(seed)
    padded, kept = pad(states)
    plain = roll(states, actions, SMALL)
    median, most = spread(plain, roll(padded, pad_actions(actions), PADDED), kept)
    assert median < 1e-6
    assert most < 1e-4


@few
@given(seeds, st.integers(0, BATCH - 1))
def test_a_batch_gives_what_its_members_give_alone(seed, member):
    states, actions = draw(seed)
    alone = jax.tree.map(lambda value: value[member : member + 1], states)
    together = roll(states, actions, SMALL)
    single = roll(alone, actions[:, member : member + 1], SMALL)
    np.testing.assert_allclose(single.position[0], together.position[member], atol=1e-4)


def mirror(states, spec):
    """Reflection about x = 2.5; the side walls change places, outlines stay clockwise."""
    flip = np.array([-1, 1], np.float32)
    order = np.array([0, 2, 1, 3, *range(4, spec.num_bodies)])
    vertices = (states.vertices * flip)[:, :, ::-1][:, order[: spec.num_polygons]]
    joints, thrusters = states.joints, states.thrusters
    swap = lambda index: np.argsort(order)[index].astype(np.int32)
    return dataclasses.replace(
        states,
        position=((states.position - [2.5, 0]) * flip + [2.5, 0]).astype(np.float32)[:, order],
        rotation=-states.rotation[:, order],
        vertices=vertices,
        joints=dataclasses.replace(
            joints,
            body_a=swap(joints.body_a),
            body_b=swap(joints.body_b),
            anchor_a=joints.anchor_a * flip,
            anchor_b=joints.anchor_b * flip,
            reference_rotation=-joints.reference_rotation,
            min_rotation=-joints.max_rotation,
            max_rotation=-joints.min_rotation,
        ),
        thrusters=dataclasses.replace(
            thrusters,
            body=swap(thrusters.body),
            anchor=thrusters.anchor * flip,
            direction=(np.pi - thrusters.direction).astype(np.float32),
        ),
    )


@few
@given(seeds)
def test_mirror_images_move_as_mirror_images(seed):
    states, actions = draw(seed)
    turned = actions * np.r_[[-1] * SMALL.num_joints, [1] * SMALL.num_thrusters].astype(np.float32)
    reflected = roll(mirror(states, SMALL), turned, SMALL)
    plain = roll(states, actions, SMALL)
    image = np.asarray(plain.position) * [-1, 1] + [5, 0]
    apart = np.linalg.norm(np.asarray(reflected.position)[:, 4:] - image[:, 4:], axis=-1)
    assert np.median(apart) < 1e-5
    assert np.quantile(apart, 0.9) < 1e-3


def test_the_same_input_gives_the_same_bits():
    states, actions = draw(7)
    first, second = roll(states, actions, SMALL), roll(states, actions, SMALL)
    assert all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    )


def test_2000_steps_stay_finite_and_inside_the_clips():
    """Bodies that overlap at the start, under random actions; looked at every 20 steps."""
    states, _ = draw(5)
    actions = random_actions(5, 2000, BATCH, SMALL)
    for part in np.split(actions, 2000 // STEPS):
        states = roll(states, part, SMALL)
        check_bounds(states)


def check_bounds(states):
    values = [leaf for leaf in jax.tree.leaves(states) if leaf.dtype == jnp.float32]
    assert all(np.isfinite(leaf).all() for leaf in values)
    assert np.abs(states.position[:, 4:]).max() <= PARAMS.max_position
    assert np.abs(states.velocity).max() <= PARAMS.max_velocity
    assert np.abs(states.angular_velocity).max() <= PARAMS.max_angular_velocity


@pytest.mark.slow
@pytest.mark.parametrize("order", ["parallel", "kinetix"])
def test_5000_steps_of_random_actions_stay_finite_and_inside_the_clips(order):
    """Scenes of size L that start with bodies overlapping, and joints that cannot all be satisfied."""
    spec = jax2d.SimSpec(12, 4, 6, 2, contact_order=order)
    scenes, steps = 32, 5000
    states = random_scenes(11, scenes, spec)
    actions = jnp.asarray(random_actions(11, steps, scenes, spec))

    @jax.jit
    def wander(states, actions):
        step = jax.vmap(lambda state, action: jax2d.step(state, action, PARAMS, spec)[0])

        def advance(carry, action):
            states, worst = carry
            states = step(states, action)
            now = jnp.stack(
                [
                    jnp.abs(states.position[:, 4:]).max(),
                    jnp.abs(states.velocity).max(),
                    jnp.abs(states.angular_velocity).max(),
                    # A NaN compares with nothing and would slip through a maximum of the others.
                    jnp.where(jnp.isfinite(states.rotation).all(), 0.0, jnp.inf),
                ]
            )
            return (states, jnp.maximum(worst, jnp.where(jnp.isnan(now), jnp.inf, now))), None

        return jax.lax.scan(advance, (states, jnp.zeros(4)), actions)[0]

    final, worst = wander(states, actions)
    position, velocity, turning, unfit = np.asarray(worst)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(final) if leaf.dtype == jnp.float32)
    assert position <= PARAMS.max_position
    assert velocity <= PARAMS.max_velocity
    assert turning <= PARAMS.max_angular_velocity
    assert unfit == 0

"""Building, checking, editing and asking about scenes."""

from __future__ import annotations

import dataclasses
from math import inf, nan, pi

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jax2d
from jax2d import edit
from tests.jax2d import simulate

pytestmark = pytest.mark.usefixtures("compiled_fast")

SPEC = jax2d.SimSpec(num_polygons=7, num_circles=2, num_joints=2, num_thrusters=1)
SQUARE = [(0.5, 0.5), (0.5, -0.5), (-0.5, -0.5), (-0.5, 0.5)]


def scene_of_two():
    scene = jax2d.Scene(SPEC)
    scene.add_walls()
    return scene, scene.add_box((1, 1), 0.4, 0.2), scene.add_circle((2, 1), 0.2)


@pytest.mark.parametrize(
    ("vertices", "message"),
    [
        (SQUARE[::-1], r"polygon 4 \(body 4\): vertices must run clockwise.*got signed area 1 m"),
        (SQUARE[:2], "needs 3 to 4 vertices, got 2"),
        ([*SQUARE, (-0.6, 0.6)], "needs 3 to 4 vertices, got 5"),
        ([(0, 0), (1, 1), (2, 2)], r"area must be at least 1e-08 m\^2, got 0"),
        ([(0, 1), (1, -1), (0, -0.5), (-1, -1)], "must be convex, but it turns left at vertex 2"),
        ([(0, 0), (1, nan), (1, 0)], r"vertex 1\.y must be finite, got nan"),
        ([(0, 0, 0)] * 3, r"vertices must have shape \(n, 2\), got \(3, 3\)"),
        ("abc", "vertices must be pairs of numbers, got 'abc'"),
    ],
)
def test_wrong_polygons_are_refused(vertices, message):
    with pytest.raises(jax2d.SceneError, match=message):
        jax2d.Scene(SPEC).add_polygon((0, 0), vertices)


def test_a_star_that_turns_right_everywhere_is_not_convex():
    corners = [(np.cos(-a), np.sin(-a)) for a in 4 * pi / 5 * np.arange(5)]
    spec = jax2d.SimSpec(5, 0, 0, 0, max_vertices=5)
    with pytest.raises(jax2d.SceneError, match="must be convex, but its outline winds -2 times"):
        jax2d.Scene(spec).add_polygon((0, 0), corners)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": -1}, r"circle 0 \(body 7\): radius must be above 0, got -1"),
        ({"radius": inf}, "radius must be finite, got inf"),
        ({"density": -2}, "density must be above 0, got -2"),
        ({"mass": 0}, "mass must be above 0, got 0"),
        ({"position": (0, nan)}, r"position\.y must be finite, got nan"),
        ({"position": 3}, r"position must have shape \(2,\), got \(\)"),
        ({"velocity": ("a", 1)}, r"velocity must be two numbers, got \('a', 1\)"),
        ({"restitution": 1.5}, "restitution must be at most 1, got 1.5"),
        ({"friction": -0.1}, "friction must be at least 0, got -0.1"),
        ({"collision_mode": 3}, r"collision_mode must be one of \(0, 1, 2\), got 3"),
    ],
)
def test_wrong_circles_are_refused_and_leave_nothing_behind(options, message):
    scene = jax2d.Scene(SPEC)
    with pytest.raises(jax2d.SceneError, match=message):
        scene.add_circle(**({"position": (0, 0), "radius": 0.1} | options))
    assert not scene.build().active.any()


def test_joints_are_checked():
    scene, box, circle = scene_of_two()
    with pytest.raises(jax2d.SceneError, match=r"joint 0: must join two bodies, got polygon 4 .* twice"):
        scene.add_revolute_joint(box, box, (1, 1))
    with pytest.raises(jax2d.SceneError, match=r"joint 0: body_b must be in 0 \.\. 8, got 9"):
        scene.add_weld_joint(box, 9)
    with pytest.raises(jax2d.SceneError, match=r"body_a must be a body in use, got polygon 6 \(body 6\)"):
        scene.add_weld_joint(6, box)
    with pytest.raises(jax2d.SceneError, match=r"limits\[1\] must be at least 1, got -1"):
        scene.add_revolute_joint(box, circle, (1, 1), limits=(1, -1))
    with pytest.raises(jax2d.SceneError, match="anchor_a is given both in the world and in the body"):
        scene.add_weld_joint(box, circle, (1, 1), anchor_a=(0, 0))
    for _ in range(SPEC.num_joints):
        scene.add_weld_joint(box, circle)
    with pytest.raises(jax2d.SceneError, match="joint: all 2 slots are in use"):
        scene.add_weld_joint(box, circle)


def test_slots_run_out_with_a_message():
    scene, _, circle = scene_of_two()
    scene.add_circle((3, 3), 0.1)
    with pytest.raises(jax2d.SceneError, match="circle: all 2 slots are in use"):
        scene.add_circle((3, 3), 0.1)
    for _ in range(2):
        scene.add_box((1, 3), 0.1, 0.1)
    with pytest.raises(jax2d.SceneError, match="polygon: all 3 slots beside 4 walls are in use"):
        scene.add_box((1, 3), 0.1, 0.1)
    scene.add_thruster(circle)
    with pytest.raises(jax2d.SceneError, match="thruster: all 1 slots are in use"):
        scene.add_thruster(circle)
    with pytest.raises(jax2d.SceneError, match="has no wall slots"):
        jax2d.Scene(jax2d.SimSpec(0, 1, 0, 0)).add_walls()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inverse_mass": -1.0}, r"polygon 4 \(body 4\): inverse_mass must be at least 0, got -1"),
        ({"rotation": nan}, "rotation must be finite, got nan"),
        ({"collision_mode": 7}, "collision_mode must be one of"),
    ],
)
def test_a_state_is_checked_as_a_whole(change, message):
    state = scene_of_two()[0].build()
    field, value = next(iter(change.items()))
    broken = dataclasses.replace(state, **{field: getattr(state, field).at[4].set(value)})
    with pytest.raises(jax2d.SceneError, match=message):
        jax2d.validate(broken, SPEC)


def test_what_32_bits_cannot_hold_is_refused_by_its_name():
    for options, message in (
        ({"radius": 1e-10}, r"inverse_inertia must be finite, got inf"),
        ({"position": (1e39, 0)}, r"position.* must be finite, got inf"),
    ):
        scene = jax2d.Scene(SPEC)
        scene.add_circle(**({"position": (0, 0), "radius": 0.1} | options))
        with pytest.raises(jax2d.SceneError, match=message):
            scene.build()


def test_a_moving_wall_is_refused():
    state = scene_of_two()[0].build()
    moving = dataclasses.replace(state, velocity=state.velocity.at[0, 0].set(1.0))
    with pytest.raises(jax2d.SceneError, match=r"polygon 0 \(body 0\): is a wall"):
        jax2d.validate(moving, SPEC)


def test_unused_slots_may_hold_anything():
    state = scene_of_two()[0].build()
    odd = dataclasses.replace(
        state,
        inverse_mass=state.inverse_mass.at[6].set(nan),
        joints=dataclasses.replace(state.joints, body_a=jnp.array([99, -3])),
    )
    jax2d.validate(odd, SPEC)


def test_polygons_are_stored_about_their_centroid():
    """A right triangle's centroid is a third of the way along its legs; turned by 90 degrees here."""
    scene = jax2d.Scene(SPEC)
    body = scene.add_polygon((1, 2), [(0, 3), (3, 0), (0, 0)], rotation=pi / 2, mass=2.0)
    state = scene.build()
    np.testing.assert_allclose(state.position[body.index], (1 - 1, 2 + 1), atol=1e-6)
    np.testing.assert_allclose(state.vertices[body.index, :3], [(-1, 2), (2, -1), (-1, -1)], atol=1e-6)
    np.testing.assert_allclose(state.inverse_mass[body.index], 0.5)
    # I = m (b^2 + h^2) / 18 for a right triangle about its centroid.
    np.testing.assert_allclose(1 / state.inverse_inertia[body.index], 2.0 * (9 + 9) / 18, rtol=1e-6)


def test_world_anchors_become_local_ones():
    scene = jax2d.Scene(SPEC)
    a = scene.add_box((1, 1), 1, 1, rotation=pi / 2)
    b = scene.add_circle((2, 1), 0.3)
    joint = scene.add_revolute_joint(a, b, (1.5, 1), motor=True, limits=(-1, 2))
    thruster = scene.add_thruster(a, (1, 1.5), direction=pi)
    state = scene.build()
    np.testing.assert_allclose(state.joints.anchor_a[joint.index], (0, -0.5), atol=1e-6)
    np.testing.assert_allclose(state.joints.anchor_b[joint.index], (-0.5, 0), atol=1e-6)
    np.testing.assert_allclose(state.joints.reference_rotation[joint.index], -pi / 2, rtol=1e-6)
    np.testing.assert_allclose(state.thrusters.anchor[0], (0.5, 0), atol=1e-6)
    np.testing.assert_allclose(state.thrusters.direction[0], pi / 2, rtol=1e-6)
    assert (joint.action, thruster.action) == (0, SPEC.num_joints)


def test_edits_inside_jit_make_what_the_builder_makes():
    scene = jax2d.Scene(SPEC)
    scene.add_walls()
    box = scene.add_box((1, 1), 0.4, 0.2, rotation=0.3, density=2.0)
    tri = scene.add_polygon((3, 2), [(0, 0.6), (0.5, 0), (0, 0)], rotation=1.0, restitution=0.5)
    circle = scene.add_circle((2, 1), 0.2, static=True)
    scene.add_revolute_joint(box, circle, (1.5, 1), motor=True, motor_power=2.0, limits=(-1, 1))
    scene.add_thruster(tri, (3, 2.1), direction=0.7, power=1.5)
    scene.set_gravity((1, -2))
    expected = scene.build()

    walls = jax2d.Scene(SPEC)
    walls.add_walls()

    @jax.jit
    def build(state, slots):
        box, tri, circle = slots
        corners = jnp.array([(0, 0.6), (0.5, 0), (0, 0), (9, 9)])
        state = edit.set_box(state, box, (1, 1), 0.4, 0.2, rotation=0.3, density=2.0)
        state = edit.set_polygon(state, tri, (3, 2), corners, 3, rotation=1.0, restitution=0.5)
        state = edit.set_circle(state, circle, (2, 1), 0.2, static=True)
        state = edit.set_joint(
            state, 0, box, circle, (1.5, 1), motor_on=True, motor_power=2.0,
            limits_on=True, min_rotation=-1, max_rotation=1,
        )  # fmt: skip
        state = edit.set_thruster(state, 0, tri, (3, 2.1), 0.7, 1.5)
        return edit.set_gravity(state, (1, -2))

    built = build(walls.build(), jnp.array([box.index, tri.index, circle.index]))
    jax2d.validate(built, SPEC)
    for (path, got), want in zip(
        jax.tree_util.tree_leaves_with_path(built), jax.tree.leaves(expected), strict=True
    ):
        name = jax.tree_util.keystr(path)
        # Builder and edits leave different defaults in slots and fields that are not in use.
        if name in (".joints.motor_speed", ".joints.motor_power"):
            got, want = got[:1], want[:1]
        np.testing.assert_allclose(
            np.asarray(got, float), np.asarray(want, float), rtol=2e-5, atol=1e-6, err_msg=name
        )


def test_removing_a_body_removes_what_is_on_it():
    scene, box, circle = scene_of_two()
    scene.add_weld_joint(box, circle)
    scene.add_thruster(box)
    state = jax.jit(edit.remove_body)(scene.build(), box.index)
    assert not state.active[box.index]
    assert state.active[circle.index]
    assert not state.joints.active.any()
    assert not state.thrusters.active.any()


def test_removing_joints_and_thrusters():
    scene, box, circle = scene_of_two()
    scene.add_weld_joint(box, circle)
    scene.add_thruster(box)
    state = edit.remove_thruster(edit.remove_joint(scene.build(), 0), 0)
    assert not state.joints.active.any()
    assert not state.thrusters.active.any()


def test_unknown_options_of_edits_are_refused():
    with pytest.raises(TypeError, match=r"unknown body fields \['color'\]"):
        edit.set_box(jax2d.Scene(SPEC).build(), 4, (0, 0), 1, 1, color=3)


def test_connected_follows_chains_of_active_joints():
    scene = jax2d.Scene(SPEC)
    a, b = scene.add_box((1, 1), 0.4, 0.2), scene.add_box((2, 1), 0.4, 0.2)
    c, d = scene.add_circle((3, 1), 0.2), scene.add_circle((4, 1), 0.2)
    scene.add_weld_joint(a, b)
    scene.add_revolute_joint(c, b)
    state = scene.build()
    linked = jax.jit(jax2d.connected)(state)
    assert linked[a.index, c.index]
    assert linked[c.index, a.index]
    assert not linked[a.index, d.index]
    assert linked.sum() == SPEC.num_bodies + 6
    direct = jax2d.joint_adjacency(state)
    assert direct[c.index, b.index]
    assert not direct[a.index, c.index]
    assert direct.sum() == 4


def test_touching_and_what_pushes():
    """Overlapping bodies touch; if a joint links them, they do not push each other."""
    scene = jax2d.Scene(simulate.SPEC)
    scene.add_walls()
    box = scene.add_box((1, 0.45), 0.4, 0.2)
    near = scene.add_circle((1.25, 0.55), 0.2)
    far = scene.add_circle((4, 3), 0.2)
    scene.add_revolute_joint(box, near, (1.2, 0.5))
    _, contacts = simulate.run(scene, simulate.STEPS)
    contacts = jax.tree.map(lambda value: value[0], contacts)
    touch = jax2d.touching(contacts, scene.spec)
    assert touch[box.index, near.index]
    assert touch[near.index, box.index]
    assert touch[box.index, 0]
    assert not touch[far.index].any()
    pair = (jax2d.contact_pairs(scene.spec) == [near.index, box.index]).all(axis=1)
    assert contacts.active[pair].all()
    assert not contacts.pushing[pair].any()
    np.testing.assert_allclose(np.linalg.norm(contacts.normal[pair], axis=1), 1, rtol=1e-5)

"""Pixels against closed forms, and against what the drawing of the same scene says."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from tests.kinetix_py import drawn_scenes as scenes
from tests.kinetix_py.small_levels import relabeled

SIZE = 500
draw = jax.jit(lambda state: kx.render_pixels(state, SIZE))


@pytest.fixture(scope="module")
def state():
    return scenes.start()


def alone(state, body):
    """The state with all other bodies, and all marks, out of use."""
    sim = state.sim
    active = jnp.arange(len(sim.active)) == body
    joints = dataclasses.replace(sim.joints, active=jnp.zeros_like(sim.joints.active))
    thrusters = dataclasses.replace(sim.thrusters, active=jnp.zeros_like(sim.thrusters.active))
    return dataclasses.replace(
        state, sim=dataclasses.replace(sim, active=active, joints=joints, thrusters=thrusters)
    )


AREAS = {
    scenes.BOX: 0.8 * 0.5,
    scenes.TRIANGLE: 0.8 * 0.6 / 2,
    scenes.LONG: 1.2 * 0.3,
    scenes.STATIC: 0.7 * 0.7,
    scenes.BALL: np.pi * 0.3**2,
    scenes.ROCK: np.pi * 0.35**2,
    0: 5.0 * 0.4,  # the floor's visible part
}


@pytest.mark.parametrize("body", AREAS)
def test_areas_are_the_closed_forms(state, body):
    picture = np.asarray(draw(alone(state, body)))
    # A pixel counts if half of it or more is covered; the rim's ink is 0.15.
    covered = picture.min(axis=2) < (1 + 0.15) / 2
    assert covered.sum() * (5 / SIZE) ** 2 == pytest.approx(AREAS[body], rel=0.02)


def test_a_circle_of_any_radius_covers_its_area(state):
    """The sum over partly covered pixels is the area to half a percent, whatever the center."""
    for radius, x in ((0.06, 2.503), (0.1, 2.5), (0.31, 2.497)):
        ball = alone(state, scenes.BALL)
        place = ball.sim.position.at[scenes.BALL].set(jnp.array([x, 2.0]))
        sim = dataclasses.replace(ball.sim, position=place, radius=ball.sim.radius.at[0].set(radius))
        black = relabeled(dataclasses.replace(ball, sim=sim), role=ball.labels.role.at[scenes.BALL].set(2))
        # Blue's red part is 0.15, the ink's too, so that the red channel is 1 - 0.85 * cover.
        cover = (1 - np.asarray(draw(black))[..., 0]) / 0.85
        assert cover.sum() * (5 / SIZE) ** 2 == pytest.approx(np.pi * radius**2, rel=5e-3)


def test_gradients_are_those_of_the_area(state):
    """The covered area of a circle grows by 2 pi r."""
    ball = alone(state, scenes.BALL)

    def area(radius):
        sim = dataclasses.replace(ball.sim, radius=ball.sim.radius.at[0].set(radius))
        blue = relabeled(dataclasses.replace(ball, sim=sim), role=ball.labels.role.at[scenes.BALL].set(2))
        return ((1 - kx.render_pixels(blue, 250)[..., 0]) / 0.85).sum() * (5 / 250) ** 2

    # One radius may be off, where many pixels' centers happen to be on the rim.
    radii = jnp.linspace(0.25, 0.31, 31)
    grown = jax.jit(jax.grad(lambda radii: jax.vmap(area)(radii).sum()))(radii)
    assert float(grown.mean()) == pytest.approx(np.pi * (0.25 + 0.31), rel=0.01)


def test_pixels_agree_with_the_drawing(state):
    """Fills are the same wherever no edge is within 2 pixels and no joint or thruster is marked."""
    picture = np.asarray(draw(state))
    fills, clear = scenes.rasterise(kx.render_svg(state), SIZE)
    center = (np.arange(SIZE) + 0.5) * 5 / SIZE
    x, y = np.meshgrid(center, center[::-1])
    compared = clear > 2 * 500 / SIZE
    sim, thrusters = state.sim, state.sim.thrusters
    marks = [(4.0, 1.85), (1.6, 3.9), (3.1, 3.9), (4.0, 3.0), (1.0, 4.0), (4.0, 1.2)]
    for mark in marks:
        compared &= np.hypot(x - mark[0], y - mark[1]) > 0.08
    assert len(marks) == sim.joints.active.sum() + thrusters.active.sum()
    assert compared.mean() > 0.9
    np.testing.assert_allclose(picture[compared], fills[compared], atol=1e-5)


def test_marks_are_where_the_anchors_are(state):
    """In their colors, to a thousandth."""
    picture = np.asarray(draw(state))
    pixel = lambda x, y: picture[round((5 - y) * 100 - 0.5), round(x * 100 - 0.5)]
    np.testing.assert_allclose(pixel(1.6, 3.9), (1, 1, 1), atol=1e-3)  # weld
    np.testing.assert_allclose(pixel(3.1, 3.9), (0.1, 0.1, 0.1), atol=1e-3)  # free
    np.testing.assert_allclose(pixel(4.0, 1.85), (0.2, 0.8, 0.85), atol=1e-3)  # motor of binding 2
    np.testing.assert_allclose(pixel(1.0, 4.0), (0.95, 0.55, 0.1), atol=1e-3)  # thruster of binding 0


def test_the_nearer_of_two_marks_is_seen(state):
    """The free joint (slot 2), moved to 0.09 m beside the weld joint (slot 1) at (1.6, 3.9)."""
    joints, angle = state.sim.joints, float(state.sim.rotation[4])
    body_a, beside = joints.body_a.at[2].set(4), joints.anchor_a[1] + jnp.array([0.09, 0.0])
    joints = dataclasses.replace(joints, body_a=body_a, anchor_a=joints.anchor_a.at[2].set(beside))
    picture = np.asarray(draw(dataclasses.replace(state, sim=dataclasses.replace(state.sim, joints=joints))))

    def pixel(along):
        """Between the two."""
        x, y = 1.6 + along * np.cos(angle), 3.9 + along * np.sin(angle)
        return picture[round((5 - y) * 100 - 0.5), round(x * 100 - 0.5)]

    np.testing.assert_allclose(pixel(0.03), (1, 1, 1), atol=1e-3)
    np.testing.assert_allclose(pixel(0.06), (0.1, 0.1, 0.1), atol=1e-3)


def test_a_wall_is_drawn_once_it_can_be_seen(state):
    """Alone, and beside a picture that does not show it."""
    sim = state.sim
    inside = sim.position.at[1, 0].add(0.5)
    moved = dataclasses.replace(state, sim=dataclasses.replace(sim, position=inside))
    single = draw(moved)
    gray = 0.62 * 0.55  # static, without a role
    np.testing.assert_allclose(single[250, 20], (gray, gray, gray), atol=1e-5)
    np.testing.assert_allclose(draw(state)[250, 20], (1, 1, 1), atol=1e-5)
    # A batch of batches, in which one picture shows the wall and the other does not.
    both = jax.tree.map(lambda *values: jnp.stack(values)[None], state, moved)
    pictures = jax.jit(jax.vmap(jax.vmap(lambda state: kx.render_pixels(state, SIZE))))(both)
    np.testing.assert_allclose(pictures[0, 0], draw(state), atol=1e-5)
    np.testing.assert_allclose(pictures[0, 1], single, atol=1e-5)


def test_the_size_is_checked(state):
    for size in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"at least 1, got {size}"):
            kx.render_pixels(state, size)

"""Helpers of the tests against formulas: scenes to fill, and readings of their motion."""

import dataclasses
from math import pi

import numpy as np

import jax2d
from tests.jax2d.simulate import SPEC

DT = 1 / 60
SLOP = 0.01
G = 9.81
FLOOR = 0.4
OCTAGONS = dataclasses.replace(SPEC, max_vertices=8)
COLD = dataclasses.replace(SPEC, warm_start=False)


def new_scene(gravity=G, spec=SPEC):
    scene = jax2d.Scene(spec)
    scene.set_gravity((0, -gravity))
    return scene


def drive(actuator, value=1.0):
    actions = np.zeros(SPEC.num_actions)
    actions[actuator.action] = value
    return actions


def of(values, *bodies):
    """The rows `[steps, bodies, ...]` of some bodies, in double precision."""
    return np.asarray(values, np.float64)[:, [body.index for body in bodies]]


def inertias(state, *bodies):
    index = [body.index for body in bodies]
    inverses = state.inverse_mass, state.inverse_inertia
    return tuple(1 / np.asarray(inverse, np.float64)[index] for inverse in inverses)


def to_world(states, body, local):
    """Path of a point of a body: `[steps, 2]`."""
    angle, center = np.asarray(states.rotation)[:, body], np.asarray(states.position)[:, body]
    x, y = local
    turned = (np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y)
    return center + np.stack(turned, axis=1)


def anchor_gaps(scene, states):
    """Distances of the anchors of each joint in use: `[steps, joints]`."""
    joints = scene.build().joints
    gaps = []
    for j in np.flatnonzero(joints.active):
        a = to_world(states, int(joints.body_a[j]), joints.anchor_a[j])
        b = to_world(states, int(joints.body_b[j]), joints.anchor_b[j])
        gaps.append(np.linalg.norm(b - a, axis=1))
    return np.stack(gaps, axis=1)


def corner_heights(scene, states, body):
    """Heights of a polygon's corners above the floor, in rising order, at the end."""
    state = scene.build()
    corners = np.asarray(state.vertices[body.index])[: int(state.num_vertices[body.index])]
    return np.sort([to_world(states, body.index, corner)[-1, 1] for corner in corners]) - FLOOR


def period(angle, dt=DT):
    """Mean time between upward zero crossings, interpolated within steps."""
    before = np.flatnonzero((angle[:-1] < 0) & (angle[1:] >= 0))
    crossings = before + angle[before] / (angle[before] - angle[before + 1])
    return np.diff(crossings).mean() * dt


def regular_polygon(sides, radius=0.3):
    angle = -2 * pi * np.arange(sides) / sides
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)

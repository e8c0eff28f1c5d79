"""Checks of values on the host: one error that names the entity, the value and the bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jax2d.fields import field_specs
from jax2d.params import SimSpec
from jax2d.types import SimState

HostState = Any  # a SimState whose arrays are numpy's
MIN_AREA = 1e-8  # m^2; float32 cannot hold the inverse inertia of much less


class SceneError(ValueError):
    """Error of a value that no scene can have."""


def check_number(
    entity: str,
    field: str,
    value: float,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: bool = False,
) -> float:
    """Converts a value to a finite number in `low .. high`, or strictly above `low` if `above`.

    Raises:
      SceneError: the value is no such number.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise SceneError(f"{entity}: {field} must be a number, got {value!r}") from None
    if not math.isfinite(number):
        raise SceneError(f"{entity}: {field} must be finite, got {number}")
    if number < low or (above and number == low):
        raise SceneError(
            f"{entity}: {field} must be {'above' if above else 'at least'} {low:g}, got {number:g}"
        )
    if number > high:
        raise SceneError(f"{entity}: {field} must be at most {high:g}, got {number:g}")
    return number


def check_vector(entity: str, field: str, value: Sequence[float] | np.ndarray) -> np.ndarray:
    """Converts two finite numbers to a float64 array `[2]`.

    Raises:
      SceneError: the value is no such pair.
    """
    try:
        vector = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise SceneError(f"{entity}: {field} must be two numbers, got {value!r}") from None
    if vector.shape != (2,):
        raise SceneError(f"{entity}: {field} must have shape (2,), got {vector.shape}")
    for axis, number in zip("xy", vector, strict=True):
        check_number(entity, f"{field}.{axis}", number)
    return vector


def check_choice(entity: str, field: str, value: int, choices: Sequence[int]) -> int:
    """Checks that an integer is one of a few.

    Raises:
      SceneError: the integer is none of them.
    """
    if value not in choices:
        raise SceneError(f"{entity}: {field} must be one of {tuple(choices)}, got {value!r}")
    return int(value)


def check_polygon(
    entity: str, vertices: Sequence[Sequence[float] | np.ndarray] | np.ndarray, max_vertices: int
) -> np.ndarray:
    """Converts a convex polygon whose vertices run clockwise to a float64 array `[n, 2]`.

    Raises:
      SceneError: too few or too many vertices, not finite, no area, not clockwise, or not convex.
    """
    try:
        points = np.asarray(vertices, np.float64)
    except (TypeError, ValueError):
        raise SceneError(f"{entity}: vertices must be pairs of numbers, got {vertices!r}") from None
    if points.ndim != 2 or points.shape[1] != 2:
        raise SceneError(f"{entity}: vertices must have shape (n, 2), got {points.shape}")
    if not 3 <= len(points) <= max_vertices:
        raise SceneError(f"{entity}: needs 3 to {max_vertices} vertices, got {len(points)}")
    for i, point in enumerate(points):
        check_vector(entity, f"vertex {i}", point)
    here, there = points - points[0], np.roll(points, -1, axis=0) - points[0]
    area = float((here[:, 0] * there[:, 1] - here[:, 1] * there[:, 0]).sum() / 2)
    if abs(area) < MIN_AREA:
        raise SceneError(f"{entity}: area must be at least {MIN_AREA:g} m^2, got {abs(area):g}")
    if area > 0:
        raise SceneError(
            f"{entity}: vertices must run clockwise (signed area below 0), got signed area {area:g} m^2"
        )
    edge = np.roll(points, -1, axis=0) - points
    turn = edge[:, 0] * np.roll(edge[:, 1], -1) - edge[:, 1] * np.roll(edge[:, 0], -1)
    worst = int(np.argmax(turn))
    # A straight corner makes a face of length 0 or two faces with one normal; rounding may bend it out.
    if turn[worst] > 1e-6 * float((edge**2).sum()):
        raise SceneError(
            f"{entity}: must be convex, but it turns left at vertex {(worst + 1) % len(points)} "
            f"(cross product of its edges {turn[worst]:g}, must be at most 0)"
        )
    winding = np.angle((np.roll(edge, -1, axis=0) @ [1, 1j]) * np.conj(edge @ np.array([1, 1j]))).sum() / (
        2 * np.pi
    )
    if round(winding) != -1:
        raise SceneError(f"{entity}: must be convex, but its outline winds {winding:.0f} times")
    return points


def check_slot(entity: str, field: str, index: int, count: int) -> int:
    """Checks that a value is an index below a count.

    Raises:
      SceneError: the value is no such index.
    """
    if isinstance(index, bool) or not isinstance(index, (int, np.integer)):
        raise SceneError(f"{entity}: {field} must be an integer, got {index!r}")
    if not 0 <= index < count:
        raise SceneError(f"{entity}: {field} must be in 0 .. {count - 1}, got {index}")
    return int(index)


def body_name(index: int, spec: SimSpec) -> str:
    """Names a body in messages: `polygon 4 (body 4)` or `circle 0 (body 12)`."""
    kind, first = ("polygon", 0) if index < spec.num_polygons else ("circle", spec.num_polygons)
    return f"{kind} {index - first} (body {index})"


def validate(state: SimState, spec: SimSpec) -> None:
    """Checks every active entity of one scene on the host.

    Raises:
      SceneError: naming the first entity that is wrong, the value and the bound.
    """
    host: HostState = jax.tree.map(np.asarray, state)
    check_vector("scene", "gravity", host.gravity)
    for i in np.flatnonzero(host.active):
        _validate_body(host, int(i), spec)
    for i in np.flatnonzero(host.joints.active):
        _validate_joint(host, int(i), spec)
    for i in np.flatnonzero(host.thrusters.active):
        name = f"thruster {i}"
        _check_active(host, name, "body", host.thrusters.body[i], spec)
        _check_row(name, host.thrusters, int(i))


def _check_row(name: str, part: Any, slot: int, left_out: tuple[str, ...] = ()) -> None:
    """Compares one row of the arrays of a state, or of a part of it, with the bounds of their fields."""
    axis = field_specs(part)["active"].axis
    for field, spec in field_specs(part, axis=axis).items():
        value = getattr(part, field)[slot]
        if field in left_out or spec.dtype == bool:
            continue
        if np.issubdtype(spec.dtype, np.integer):
            if math.isfinite(spec.high):
                check_choice(name, field, int(value), range(int(spec.low), int(spec.high) + 1))
        elif value.shape:
            check_vector(name, field, value)
        else:
            check_number(name, field, value, spec.low, spec.high)


def _validate_body(state: HostState, i: int, spec: SimSpec) -> None:
    name = body_name(i, spec)
    _check_row(name, state, i)
    if i < spec.num_walls:
        moves = [
            state.inverse_mass[i],
            state.inverse_inertia[i],
            *state.velocity[i],
            state.angular_velocity[i],
        ]
        if np.any(moves):
            raise SceneError(f"{name}: is a wall; its inverse mass and velocity must be 0, got {moves}")
    if i < spec.num_polygons:
        count = int(state.num_vertices[i])
        if not 3 <= count <= spec.max_vertices:
            raise SceneError(f"{name}: needs 3 to {spec.max_vertices} vertices, got {count}")
        check_polygon(name, state.vertices[i, :count], spec.max_vertices)
    else:
        check_number(name, "radius", state.radius[i - spec.num_polygons], 0, above=True)


def _check_active(state: HostState, name: str, field: str, index: int, spec: SimSpec) -> int:
    index = check_slot(name, field, index, spec.num_bodies)
    if not state.active[index]:
        raise SceneError(f"{name}: {field} must be a body in use, got {body_name(index, spec)}")
    return index


def _validate_joint(state: HostState, i: int, spec: SimSpec) -> None:
    name, joints = f"joint {i}", state.joints
    a = _check_active(state, name, "body_a", joints.body_a[i], spec)
    b = _check_active(state, name, "body_b", joints.body_b[i], spec)
    if a == b:
        raise SceneError(f"{name}: must join two bodies, got {body_name(a, spec)} twice")
    # Limits count only where they are on.
    _check_row(name, joints, i, left_out=("min_rotation", "max_rotation"))
    if joints.limits_on[i] and not joints.weld[i]:
        low = check_number(name, "min_rotation", joints.min_rotation[i])
        check_number(name, "max_rotation", joints.max_rotation[i], low)

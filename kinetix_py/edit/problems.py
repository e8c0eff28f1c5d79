"""Problems of a level that its author should know: what no rule forbids, but hardly anyone wants."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from jax2d import contact_pairs
from jax2d.geometry import polygon_mass, rotate
from kinetix_py.rendering.host import polygon_corners
from kinetix_py.roles import BLUE, GREEN, RED
from kinetix_py.sizes import ROOM

ALLOWED_OVERLAP = 0.01  # m, the engine's slop
ALLOWED_GAP = 0.01  # m, between the anchors of a joint


@dataclasses.dataclass(frozen=True)
class Problem:
    """A problem, and the slots of the entities that have it.

    Attributes:
      kind: short name.
      text: sentence for people.
      bodies, joints, thrusters: slots.
    """

    kind: str
    text: str
    bodies: tuple[int, ...] = ()
    joints: tuple[int, ...] = ()
    thrusters: tuple[int, ...] = ()


class Outline(NamedTuple):
    """A shape in the world: corners `[n, 2]` of a polygon, or a center `[1, 2]`, and a radius [m]."""

    points: np.ndarray
    radius: float


def outline(scene: Any, body: int) -> Outline:
    """Returns the outline of a body; a scene on the host."""
    sim, polygons = scene.sim, scene.sim.vertices.shape[0]
    place = np.asarray(sim.position[body], np.float64)
    if body >= polygons:
        return Outline(place[None], float(sim.radius[body - polygons]))
    corners = polygon_corners(scene, body).astype(np.float64)
    return Outline(place + rotate(corners, np.float64(sim.rotation[body])), 0.0)


def overlap(a: Outline, b: Outline) -> float:
    """Returns the depth to which two shapes overlap, negative if they are apart [m].

    It is the least distance that separates them along one of the axes of the separating axis theorem:
    the normals of edges, and lines between centers of circles and corners.
    """
    axes = [*_normals(a.points), *_normals(b.points)]
    for round_one, other in ((a, b), (b, a)):
        if round_one.radius:
            away = other.points - round_one.points[0]
            axes.append(away[np.argmin((away**2).sum(1))])
    depth = np.inf
    for axis in axes:
        length = np.hypot(*axis)
        if length < 1e-12:
            continue
        along_a, along_b = a.points @ axis / length, b.points @ axis / length
        reach = a.radius + b.radius
        gap = max(along_b.min() - along_a.max(), along_a.min() - along_b.max()) - reach
        depth = min(depth, -gap)
    # Two circles about one point have no line between their centers.
    return float(depth if np.isfinite(depth) else a.radius + b.radius)


def _normals(points: np.ndarray) -> np.ndarray:
    if len(points) < 2:
        return np.zeros((0, 2))
    edges = np.roll(points, -1, axis=0) - points
    return np.stack([-edges[:, 1], edges[:, 0]], axis=1)


def find_problems(level: Any) -> list[Problem]:
    """Lists the problems of a level whose arrays are on the host, goals first."""
    outlines = {int(i): outline(level, int(i)) for i in np.flatnonzero(level.sim.active)}
    return [
        *_goal(level),
        *_places(level, outlines),
        *_centers(level),
        *_overlaps(level, outlines),
        *_actuators(level),
        *_joints(level),
        *_switches(level),
    ]


def _of_role(level: Any, role: int) -> list[int]:
    return np.flatnonzero(level.sim.active & (level.labels.role == role)).tolist()


def _collide(level: Any, a: int, b: int) -> bool:
    modes = {int(level.sim.collision_mode[body]) for body in (a, b)}
    return 2 in modes or modes == {1}


def _goal(level: Any) -> Iterator[Problem]:
    green, blue = _of_role(level, GREEN), _of_role(level, BLUE)
    for name, found in (("green", green), ("blue", blue)):
        if not found:
            yield Problem(f"no {name}", f"There is no {name} shape, so the level cannot be solved.")
    if green and blue and not (level.sim.inverse_mass[[*green, *blue]] > 0).any():
        text = "Neither green nor blue can move, so they never come to touch."
        yield Problem("goal cannot be reached", text, bodies=(*green, *blue))
    elif green and blue and not any(_collide(level, a, b) for a in green for b in blue):
        text = "Green and blue pass through each other (collides), and that does not count as a touch."
        yield Problem("goal cannot be reached", text, bodies=(*green, *blue))
    joints = level.sim.joints
    driven = joints.active & joints.motor_on & ~joints.weld & ~level.labels.motor_auto
    if not driven.any() and not level.sim.thrusters.active.any():
        text = "No motor and no thruster listens to an action: the agent can only watch."
        yield Problem("nothing to control", text)


def _places(level: Any, outlines: dict[int, Outline]) -> Iterator[Problem]:
    for body, shape in outlines.items():
        if body < level.size.num_walls:
            continue
        low, high = shape.points.min(0) - shape.radius, shape.points.max(0) + shape.radius
        if (high < 0).any() or (low > ROOM).any():
            yield Problem("outside", "A shape is outside of the room and cannot be seen.", bodies=(body,))


def _centers(level: Any) -> Iterator[Problem]:
    for body in np.flatnonzero(level.sim.active[: level.size.num_polygons]).tolist():
        corners = polygon_corners(level, body).astype(np.float64)
        if body >= level.size.num_walls and np.hypot(*polygon_mass(corners, np.float64(1))[2]) > ALLOWED_GAP:
            text = "A polygon turns about a point that is not its center of mass; draw it anew."
            yield Problem("off center", text, bodies=(body,))


def _overlaps(level: Any, outlines: dict[int, Outline]) -> Iterator[Problem]:
    role = level.labels.role
    component = _components(level)
    for a, b in np.unique(np.sort(contact_pairs(level.size.sim_spec()), axis=1), axis=0).tolist():
        if a not in outlines or b not in outlines or (a < level.size.num_walls and b < level.size.num_walls):
            continue
        if not _collide(level, a, b):
            continue
        depth = overlap(outlines[a], outlines[b])
        roles = {int(role[a]), int(role[b])}
        if depth > 0 and roles == {GREEN, RED}:
            text = "Green touches red at the start: the episode is lost at once."
            yield Problem("lost at the start", text, bodies=(a, b))
        elif depth > 0 and roles == {GREEN, BLUE} and _is_only_goal(level, a if role[a] == BLUE else b):
            text = "Green touches blue at the start: doing nothing solves the level."
            yield Problem("solved at the start", text, bodies=(a, b))
        elif depth > ALLOWED_OVERLAP and component[a] != component[b]:
            if level.sim.inverse_mass[a] == 0 and level.sim.inverse_mass[b] == 0:
                continue  # neither moves
            text = f"Two shapes overlap by {depth:.2f} m at the start and push each other apart."
            yield Problem("overlap at the start", text, bodies=(a, b))


def _is_only_goal(level: Any, body: int) -> bool:
    """Tells whether a touch of a blue shape solves the level at once."""
    if level.rules is None:
        return True
    numbers = level.rules.goal[_of_role(level, BLUE)]
    return bool((numbers == level.rules.goal[body]).all()) and int(level.rules.hold[body]) == 1


def _components(level: Any) -> np.ndarray:
    """Labels the bodies that chains of joints link: int `[N]`."""
    label = np.arange(level.sim.active.shape[0])
    joints = level.sim.joints
    for j in np.flatnonzero(joints.active):
        a, b = label[joints.body_a[j]], label[joints.body_b[j]]
        label[label == b] = a
    return label


def _actuators(level: Any) -> Iterator[Problem]:
    sim, joints, thrusters = level.sim, level.sim.joints, level.sim.thrusters
    for j in np.flatnonzero(joints.active & joints.motor_on).tolist():
        ends = [int(joints.body_a[j]), int(joints.body_b[j])]
        if joints.weld[j]:
            yield Problem(
                "motor on a weld", "A weld joint does not turn, so its motor does nothing.", (), (j,)
            )
        elif not (sim.inverse_inertia[ends] > 0).any():
            text = "Both bodies of a motor are static, so it turns nothing."
            yield Problem("motor without effect", text, (), (j,))
        elif joints.motor_power[j] == 0 or joints.motor_speed[j] == 0:
            yield Problem("motor without effect", "A motor has no power or no speed.", (), (j,))
    for t in np.flatnonzero(thrusters.active).tolist():
        if sim.inverse_mass[thrusters.body[t]] == 0:
            text = "A thruster is on a static shape and moves nothing."
            yield Problem("thruster without effect", text, thrusters=(t,))
        elif thrusters.power[t] == 0:
            yield Problem("thruster without effect", "A thruster has no power.", thrusters=(t,))


def _switches(level: Any) -> Iterator[Problem]:
    """Finds what waits for a switch that no sensor turns on."""
    rules, sim = level.rules, level.sim
    if rules is None:
        return
    sensors = set(rules.sensor[sim.active].tolist())
    text = "It waits for a switch that no sensor turns on."
    parts = (
        ("bodies", rules.body_waits_for, sim.active),
        ("joints", rules.joint_waits_for, sim.joints.active),
        ("thrusters", rules.thruster_waits_for, sim.thrusters.active),
    )
    for kind, waits_for, active in parts:
        for slot in np.flatnonzero(active & (waits_for > 0)).tolist():
            if int(waits_for[slot]) not in sensors:
                yield Problem("switch without sensor", text, **{kind: (slot,)})


def _joints(level: Any) -> Iterator[Problem]:
    sim, joints = level.sim, level.sim.joints
    for j in np.flatnonzero(joints.active).tolist():
        ends = [
            sim.position[body] + rotate(anchor, sim.rotation[body])
            for body, anchor in (
                (joints.body_a[j], joints.anchor_a[j]),
                (joints.body_b[j], joints.anchor_b[j]),
            )
        ]
        gap = float(np.hypot(*(ends[1] - ends[0])))
        if gap > ALLOWED_GAP:
            text = f"The ends of a joint are {gap:.2f} m apart: it pulls them together at once."
            yield Problem("joint apart", text, joints=(j,))
        if joints.limits_on[j] and not joints.weld[j]:
            turned = sim.rotation[joints.body_b[j]] - sim.rotation[joints.body_a[j]]
            turned -= joints.reference_rotation[j]
            if not joints.min_rotation[j] - 0.01 <= turned <= joints.max_rotation[j] + 0.01:
                text = "A joint starts beyond its limits and turns back at once."
                yield Problem("beyond the limits", text, joints=(j,))

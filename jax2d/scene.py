"""Scenes built on the host, entity by entity, with checks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from jax2d.fields import host_zeros
from jax2d.geometry import circle_mass, polygon_mass, rotate
from jax2d.params import SimSpec
from jax2d.types import SimState
from jax2d.validation import (
    SceneError,
    body_name,
    check_choice,
    check_number,
    check_polygon,
    check_slot,
    check_vector,
    validate,
)

Vector = Sequence[float] | np.ndarray


@dataclasses.dataclass(frozen=True)
class Body:
    """A body of a scene; `index` is its place in the arrays of `SimState`."""

    index: int


@dataclasses.dataclass(frozen=True)
class Joint:
    """A joint of a scene; its motor is entry `action` of the actions."""

    index: int
    action: int


@dataclasses.dataclass(frozen=True)
class Thruster:
    """A thruster of a scene; it is entry `action` of the actions."""

    index: int
    action: int


def room_walls(
    width: float = 5.0, height: float = 5.0, floor: float = 0.4
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Computes floor, left wall, right wall and ceiling of a room, as centers and half extents [m].

    The room spans `0 .. width` and `floor .. height`; the defaults are Kinetix's.
    """
    deep = max(width, height)  # thick walls: nothing fast enough to cross one in a step survives clipping
    boxes = [
        ((width / 2, floor - deep), (width / 2, deep)),
        ((-deep / 2, height / 2), (deep / 2, height / 2)),
        ((width + deep / 2, height / 2), (deep / 2, height / 2)),
        ((width / 2, height + deep), (width / 2, deep)),
    ]
    return [(np.array(center), np.array(half)) for center, half in boxes]


def box_vertices(half_width: float, half_height: float) -> np.ndarray:
    """Computes the corners of a box about its center, clockwise from the top right: `[4, 2]` m."""
    return np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * [half_width, half_height]


def _write(part, slot: int, values: dict) -> None:
    """Sets one row of the named host arrays of a state or a part of it."""
    for field, value in values.items():
        getattr(part, field)[slot] = value


class Scene:
    """Collects bodies, joints and thrusters, and builds a `SimState` of them.

    Args:
      spec: sizes of the scene. Polygons go to the first free slot after the walls.

    Every `add_*` raises `SceneError` (a `ValueError`) for a value that no scene can have, and adds nothing.
    """

    def __init__(self, spec: SimSpec):
        self.spec = spec
        # Writable arrays in double precision until the scene is built.
        self._state = host_zeros(SimState.shapes(spec), np.float64)
        self._state.gravity[:] = (0, -9.81)

    def add_polygon(
        self,
        position: Vector,
        vertices: Sequence[Vector] | np.ndarray,
        *,
        rotation: float = 0.0,
        velocity: Vector = (0.0, 0.0),
        angular_velocity: float = 0.0,
        density: float = 1.0,
        mass: float | None = None,
        friction: float = 1.0,
        restitution: float = 0.0,
        collision_mode: int = 1,
        static: bool = False,
    ) -> Body:
        """Adds a convex polygon.

        Args:
          position: place of the vertices' origin in the world [m]. The state's position is that of
            the centroid, about which the vertices are stored.
          vertices: 3 to `spec.max_vertices` corners, clockwise [m].
          rotation: counter-clockwise angle about `position` [rad].
          velocity, angular_velocity: motion of the centroid [m/s], [rad/s].
          density: mass per area [kg/m^2], above 0.
          mass: mass [kg], above 0, instead of a density.
          friction: factor of at least 0; a pair's coefficient is `base_friction * sqrt(f_a^2 + f_b^2)`.
          restitution: ratio of velocities after and before a bounce, 0 .. 1; a pair has the smaller one.
          collision_mode: 0, 1 or 2; two bodies collide if either has mode 2, or both have mode 1.
          static: infinite mass and inertia; it keeps its velocity.
        """
        slot = self._free_slot("polygon", self.spec.num_walls, self.spec.num_polygons)
        name = body_name(slot, self.spec)
        points = check_polygon(name, vertices, self.spec.max_vertices)
        unit_mass, unit_inertia, centroid = polygon_mass(points, np.float64(1))
        motion = self._motion(name, position, rotation, velocity, angular_velocity)
        motion["position"] = motion["position"] + rotate(centroid, motion["rotation"])
        values = motion | self._surface(name, friction, restitution, collision_mode)
        values |= _inverses(name, unit_mass, unit_inertia, density, mass, static)
        return self._add_polygon(slot, points - centroid, values)

    def add_box(self, position: Vector, width: float, height: float, **options) -> Body:
        """Adds a box of the given size [m] about `position`; options as for `add_polygon`."""
        name = body_name(self._free_slot("polygon", self.spec.num_walls, self.spec.num_polygons), self.spec)
        check_number(name, "width", width, 0, above=True)
        check_number(name, "height", height, 0, above=True)
        return self.add_polygon(position, box_vertices(width / 2, height / 2), **options)

    def add_circle(
        self,
        position: Vector,
        radius: float,
        *,
        rotation: float = 0.0,
        velocity: Vector = (0.0, 0.0),
        angular_velocity: float = 0.0,
        density: float = 1.0,
        mass: float | None = None,
        friction: float = 1.0,
        restitution: float = 0.0,
        collision_mode: int = 1,
        static: bool = False,
        solid_inertia: bool = False,
    ) -> Body:
        """Adds a circle.

        Args:
          position: center in the world [m].
          radius: radius [m], above 0.
          solid_inertia: use the inertia of a solid disc, `m r^2 / 2`, instead of Kinetix's half of that.
          others: as for `add_polygon`.
        """
        slot = self._free_slot("circle", self.spec.num_polygons, self.spec.num_bodies)
        name = body_name(slot, self.spec)
        radius = check_number(name, "radius", radius, 0, above=True)
        motion = self._motion(name, position, rotation, velocity, angular_velocity)
        values = motion | self._surface(name, friction, restitution, collision_mode)
        unit_mass, unit_inertia = circle_mass(radius, 1.0, solid_inertia)
        values |= _inverses(name, unit_mass, unit_inertia, density, mass, static)
        self._state.radius[slot - self.spec.num_polygons] = radius
        return self._set_body(slot, values)

    def add_walls(
        self,
        width: float = 5.0,
        height: float = 5.0,
        floor: float = 0.4,
        *,
        friction: float = 1.0,
        restitution: float = 0.0,
    ) -> tuple[Body, ...]:
        """Puts floor, left wall, right wall and ceiling into the wall slots (as many as there are).

        Args:
          width, height: extent of the room, which spans `0 .. width` and `floor .. height` [m].
          floor: height of the floor's surface [m].
        """
        if self.spec.num_walls == 0:
            raise SceneError(f"walls: {self.spec} has no wall slots")
        check_number("walls", "width", width, 0, above=True)
        check_number("walls", "height", height, check_number("walls", "floor", floor), above=True)
        walls = []
        for slot, (center, half) in zip(
            range(self.spec.num_walls), room_walls(width, height, floor), strict=False
        ):
            name = f"wall {slot}"
            values = self._motion(name, center, 0.0, (0, 0), 0.0)
            values |= self._surface(name, friction, restitution, 2)
            values |= {"inverse_mass": 0.0, "inverse_inertia": 0.0}
            walls.append(self._add_polygon(slot, box_vertices(*half), values))
        return tuple(walls)

    def add_revolute_joint(
        self,
        a: Body | int,
        b: Body | int,
        anchor: Vector | None = None,
        *,
        anchor_a: Vector | None = None,
        anchor_b: Vector | None = None,
        motor: bool = False,
        motor_speed: float = 1.0,
        motor_power: float = 1.0,
        limits: tuple[float, float] | None = None,
    ) -> Joint:
        """Joins two bodies at a point about which they turn.

        Args:
          a, b: bodies, or their indices.
          anchor: point in the world [m]; or else
          anchor_a, anchor_b: point in each body's frame [m] (by default its center).
          motor: whether actions drive the joint; 1 asks for `motor_speed * base_motor_speed` of b relative
            to a.
          motor_speed, motor_power: factors on `SimParams.base_motor_speed` and `base_motor_power`.
          limits: least and greatest rotation of b relative to a, from now [rad].
        """
        name, row = self._joint(a, b, anchor, anchor_a, anchor_b)
        row["motor_on"] = bool(motor)
        row["motor_speed"] = check_number(name, "motor_speed", motor_speed)
        row["motor_power"] = check_number(name, "motor_power", motor_power, 0)
        if limits is not None:
            low, high = check_vector(name, "limits", limits)
            check_number(name, "limits[1]", high, low)
            row |= {"limits_on": True, "min_rotation": low, "max_rotation": high}
        return self._set_joint(row)

    def add_weld_joint(
        self,
        a: Body | int,
        b: Body | int,
        anchor: Vector | None = None,
        *,
        anchor_a: Vector | None = None,
        anchor_b: Vector | None = None,
    ) -> Joint:
        """Joins two bodies at a point so that they keep their present angle; arguments as above."""
        _, row = self._joint(a, b, anchor, anchor_a, anchor_b)
        return self._set_joint(row | {"weld": True})

    def add_thruster(
        self,
        body: Body | int,
        anchor: Vector | None = None,
        direction: float = 0.0,
        power: float = 1.0,
        *,
        anchor_local: Vector | None = None,
        direction_local: float | None = None,
    ) -> Thruster:
        """Puts a thruster on a body.

        Args:
          body: body, or its index.
          anchor: point of action in the world [m]; or `anchor_local`, in the body's frame (by default the
            center of mass).
          direction: direction of the force in the world [rad]; or `direction_local`, in the body's frame.
          power: factor on `SimParams.base_thruster_power`.
        """
        slot = self._free_row("thruster", self._state.thrusters.active)
        name = f"thruster {slot}"
        index = self._body(name, "body", body)
        row = {
            "body": index,
            "anchor": self._anchor(name, "anchor", index, anchor, anchor_local),
            "direction": check_number(name, "direction", direction) - self._state.rotation[index],
            "power": check_number(name, "power", power, 0),
            "active": True,
        }
        if direction_local is not None:
            row["direction"] = check_number(name, "direction_local", direction_local)
        _write(self._state.thrusters, slot, row)
        return Thruster(slot, self.spec.num_joints + slot)

    def set_gravity(self, gravity: Vector) -> None:
        """Sets the acceleration of all movable bodies [m/s^2]; (0, -9.81) unless set."""
        self._state.gravity[:] = check_vector("scene", "gravity", gravity)

    def build(self) -> SimState:
        """Returns the scene as a state of JAX arrays, checked once more as a whole.

        Raises:
          SceneError: a value that is not valid, or not any more as a number of 32 bits.
        """
        with np.errstate(over="ignore"):  # what becomes infinite is refused by its name
            cast = lambda value, leaf: np.asarray(value, leaf.dtype)
            state = jax.tree.map(cast, self._state, SimState.shapes(self.spec))
        validate(state, self.spec)
        return jax.tree.map(jax.device_put, state)  # compiles nothing

    def _free_slot(self, kind: str, first: int, end: int) -> int:
        free = np.flatnonzero(~self._state.active[first:end])
        if not len(free):
            walls = f" beside {self.spec.num_walls} walls" if kind == "polygon" and first else ""
            raise SceneError(f"{kind}: all {end - first} slots{walls} are in use")
        return first + int(free[0])

    def _free_row(self, kind: str, active: np.ndarray) -> int:
        free = np.flatnonzero(~active)
        if not len(free):
            raise SceneError(f"{kind}: all {len(active)} slots are in use")
        return int(free[0])

    def _motion(self, name, position, rotation, velocity, angular_velocity) -> dict:
        return {
            "position": check_vector(name, "position", position),
            "rotation": check_number(name, "rotation", rotation),
            "velocity": check_vector(name, "velocity", velocity),
            "angular_velocity": check_number(name, "angular_velocity", angular_velocity),
        }

    def _surface(self, name, friction, restitution, collision_mode) -> dict:
        return {
            "friction": check_number(name, "friction", friction, 0),
            "restitution": check_number(name, "restitution", restitution, 0, 1),
            "collision_mode": check_choice(name, "collision_mode", collision_mode, (0, 1, 2)),
        }

    def _add_polygon(self, slot: int, vertices: np.ndarray, values: dict) -> Body:
        self._state.vertices[slot] = 0
        self._state.vertices[slot, : len(vertices)] = vertices
        self._state.num_vertices[slot] = len(vertices)
        return self._set_body(slot, values)

    def _set_body(self, slot: int, values: dict) -> Body:
        _write(self._state, slot, values | {"active": True})
        return Body(slot)

    def _body(self, name: str, field: str, body: Body | int) -> int:
        index = body.index if isinstance(body, Body) else body
        index = check_slot(name, field, index, self.spec.num_bodies)
        if not self._state.active[index]:
            raise SceneError(f"{name}: {field} must be a body in use, got {body_name(index, self.spec)}")
        return index

    def _anchor(self, name, field, index, world, local) -> np.ndarray:
        if world is not None and local is not None:
            raise SceneError(f"{name}: {field} is given both in the world and in the body's frame")
        if world is None:
            return check_vector(name, field, (0, 0) if local is None else local)
        arm = check_vector(name, field, world) - self._state.position[index]
        return rotate(arm, -self._state.rotation[index])

    def _joint(self, a, b, anchor, anchor_a, anchor_b) -> tuple[str, dict]:
        name = f"joint {self._free_row('joint', self._state.joints.active)}"
        a, b = self._body(name, "body_a", a), self._body(name, "body_b", b)
        if a == b:
            raise SceneError(f"{name}: must join two bodies, got {body_name(a, self.spec)} twice")
        rotation = self._state.rotation
        return name, {
            "body_a": a,
            "body_b": b,
            "anchor_a": self._anchor(name, "anchor_a", a, anchor, anchor_a),
            "anchor_b": self._anchor(name, "anchor_b", b, anchor, anchor_b),
            "reference_rotation": rotation[b] - rotation[a],
            "active": True,
        }

    def _set_joint(self, row: dict) -> Joint:
        slot = self._free_row("joint", self._state.joints.active)
        _write(self._state.joints, slot, row)
        return Joint(slot, slot)


def _inverses(name, unit_mass, unit_inertia, density, mass, static) -> dict:
    """Computes inverse mass and inertia of a shape whose mass and inertia are given for density 1."""
    density = check_number(name, "density", density, 0, above=True)
    if mass is not None:
        density = check_number(name, "mass", mass, 0, above=True) / unit_mass
    if static:
        return {"inverse_mass": 0.0, "inverse_inertia": 0.0}
    return {
        "inverse_mass": 1 / (density * unit_mass),
        "inverse_inertia": 1 / (density * unit_inertia),
    }

"""Levels built in Python, in meters and degrees: bodies with roles, joints, actuators with bindings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax

import jax2d
from jax2d.scene import Body, Joint, Thruster
from kinetix_py.levels.level import Level, from_scene
from kinetix_py.levels.rules import Rules, is_plain, plain_rules, rule_bounds
from kinetix_py.roles import ROLES
from kinetix_py.sizes import LevelSize, as_size
from kinetix_py.validation import check_integer

Point = tuple[float, float]
Limits = tuple[float, float]
Role = str | int


class LevelBuilder:
    """Builds a level in the room of 5 m x 5 m with its floor at 0.4 m.

    Lengths are in meters, angles in degrees, counter-clockwise. A role is a name, `"none"`, `"green"`,
    `"blue"` or `"red"`, or its number. Options of bodies are those of `jax2d.Scene.add_polygon` and
    `add_circle`: density, friction, restitution, velocity [m/s], angular_velocity [rad/s], collision_mode.

    Args:
      size: `"s"`, `"m"`, `"l"`, or a size of your own.
      gravity: downward acceleration [m/s^2].
      floor, left, right, ceiling: roles of the walls.
      restitution: restitution of the walls, 0 .. 1.
      friction: friction of the walls.

    Raises:
      jax2d.SceneError, ValueError: from any method, for a value that no level can have, or when all slots of
        a kind are in use.
    """

    def __init__(
        self,
        size: str | LevelSize,
        *,
        gravity: float = 9.81,
        floor: Role = "none",
        left: Role = "none",
        right: Role = "none",
        ceiling: Role = "none",
        restitution: float = 0.0,
        friction: float = 1.0,
    ):
        self.size = as_size(size)
        self.scene = jax2d.Scene(self.size.sim_spec())
        self.scene.set_gravity((0.0, -gravity))
        self.scene.add_walls(restitution=restitution, friction=friction)
        self._role = [0] * self.size.num_bodies
        self._motor_binding = [0] * self.size.num_joints
        self._motor_auto = [False] * self.size.num_joints
        self._thruster_binding = [0] * self.size.num_thrusters
        self._rules: dict[str, Any] = dict(vars(plain_rules(self.size)))
        for slot, role in enumerate(map(_role_number, (floor, left, right, ceiling))):
            if slot < self.size.num_walls:
                self._role[slot] = role
            elif role:
                raise ValueError(f"a size with {self.size.num_walls} walls has no wall {slot} to give a role")

    def box(
        self,
        at: Point,
        width: float,
        height: float,
        role: Role = "none",
        *,
        angle: float = 0,
        **options: Any,
    ) -> Body:
        """Adds a box about a center, turned by an angle."""
        number = _role_number(role)
        box = self.scene.add_box(at, width, height, rotation=math.radians(angle), **options)
        self._role[box.index] = number
        return box

    def static_box(
        self,
        at: Point,
        width: float,
        height: float,
        role: Role = "none",
        *,
        angle: float = 0,
        **options: Any,
    ) -> Body:
        """Adds a box that does not move."""
        return self.box(at, width, height, role, angle=angle, static=True, **options)

    def beam(
        self,
        start: Point,
        end: Point,
        thickness: float,
        role: Role = "none",
        *,
        overhang: float = 0.0,
        **options: Any,
    ) -> Body:
        """Adds a box from one point to another, which extends beyond both by the overhang."""
        along = (end[0] - start[0], end[1] - start[1])
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        angle = math.degrees(math.atan2(along[1], along[0]))
        return self.box(middle, math.hypot(*along) + 2 * overhang, thickness, role, angle=angle, **options)

    def polygon(
        self,
        at: Point,
        corners: Sequence[Point],
        role: Role = "none",
        *,
        angle: float = 0,
        **options: Any,
    ) -> Body:
        """Adds a convex polygon; its corners run clockwise about a point, and are turned by an angle."""
        number = _role_number(role)
        polygon = self.scene.add_polygon(at, corners, rotation=math.radians(angle), **options)
        self._role[polygon.index] = number
        return polygon

    def static_polygon(self, corners: Sequence[Point], role: Role = "none", **options: Any) -> Body:
        """Adds a convex polygon that does not move; its corners are points of the room, clockwise."""
        return self.polygon((0.0, 0.0), corners, role, static=True, **options)

    def circle(self, at: Point, radius: float, role: Role = "none", **options: Any) -> Body:
        """Adds a circle about a center."""
        number = _role_number(role)
        circle = self.scene.add_circle(at, radius, **options)
        self._role[circle.index] = number
        return circle

    def static_circle(self, at: Point, radius: float, role: Role = "none", **options: Any) -> Body:
        """Adds a circle that does not move."""
        return self.circle(at, radius, role, static=True, **options)

    def revolute(self, a: Body, b: Body, at: Point, *, limits: Limits | None = None) -> Joint:
        """Joins two bodies by a revolute joint at a point; limits bound the later turn of b relative to a."""
        return self.scene.add_revolute_joint(a, b, at, limits=_radians(limits))

    def weld(self, a: Body, b: Body, at: Point) -> Joint:
        """Joins two bodies rigidly at a point."""
        return self.scene.add_weld_joint(a, b, at)

    def motor(
        self,
        a: Body,
        b: Body,
        at: Point,
        binding: int = 0,
        *,
        speed: float = 1.0,
        power: float = 1.0,
        limits: Limits | None = None,
        auto: bool = False,
    ) -> Joint:
        """Joins two bodies by a revolute joint with a motor.

        Action +1 turns b counter-clockwise relative to a.

        Args:
          a, b: bodies.
          at: point of the room.
          binding: index of the motor binding that drives it.
          speed, power: factors on the engine's base speed and power; a negative speed turns the other way.
          limits: bounds of the later turn of b relative to a [degrees].
          auto: whether the motor runs by itself, as under action +1.
        """
        check_integer("motor binding", binding, 0, self.size.num_motor_bindings - 1)
        joint = self.scene.add_revolute_joint(
            a, b, at, motor=True, motor_speed=speed, motor_power=power, limits=_radians(limits)
        )
        self._motor_binding[joint.index] = binding
        self._motor_auto[joint.index] = auto
        return joint

    def thruster(
        self, body: Body, angle: float, power: float, binding: int = 0, *, at: Point | None = None
    ) -> Thruster:
        """Adds a thruster that pushes a body along an angle of the room; 90 pushes up.

        Args:
          body: body that it is fixed to and turns with.
          angle: direction of the push at the start [degrees].
          power: factor on the engine's base power.
          binding: index of the thruster binding that drives it.
          at: point of the room; the body's center if None.
        """
        check_integer("thruster binding", binding, 0, self.size.num_thruster_bindings - 1)
        thruster = self.scene.add_thruster(body, at, math.radians(angle), power)
        self._thruster_binding[thruster.index] = binding
        return thruster

    def goal(self, body: Body, number: int = 1, *, hold: int = 1) -> None:
        """Gives a blue shape its place in the sequence of goals.

        Args:
          body: blue shape.
          number: green must touch a shape of the lowest number first, then one of the next, and so on; of
            shapes with one number, any will do.
          hold: physics steps in a row for which green must touch it, 60 of them a second.
        """
        self._set_rule("goal", body.index, number)
        self._set_rule("hold", body.index, hold)

    def sensor(self, body: Body, switch: int = 1) -> None:
        """Makes a body a sensor, which turns a switch on for good when green touches it.

        Args:
          body: any shape that collides with green.
          switch: number of the switch, 1 .. 4.
        """
        self._set_rule("sensor", body.index, switch)

    def wait(self, entity: Body | Joint | Thruster, switch: int = 1) -> None:
        """Lets an entity wait for a switch: until then a motor or thruster is off, a body held in place.

        Args:
          entity: body that can move, joint with a motor, or thruster.
          switch: number of the switch, 1 .. 4.
        """
        kind = {Body: "body", Joint: "joint", Thruster: "thruster"}[type(entity)]
        self._set_rule(f"{kind}_waits_for", entity.index, switch)

    def agents(
        self, *, motors: Sequence[int] = (), thrusters: Sequence[int] = (), opposed: bool = False
    ) -> None:
        """Shares the bindings among two agents, 0 and 1.

        Args:
          motors, thrusters: agent of each motor binding, or thruster binding; agent 0 of those left out.
          opposed: whether agent 1 earns what agent 0 loses; otherwise both earn the same.
        """
        for name, agents in (("motor_agent", motors), ("thruster_agent", thrusters)):
            if len(agents) > len(self._rules[name]):
                raise ValueError(
                    f"{name} must have at most {len(self._rules[name])} entries, got {len(agents)}"
                )
            for binding, agent in enumerate(agents):
                self._set_rule(name, binding, agent)
        self._rules["opposed"][...] = opposed

    def _set_rule(self, name: str, index: int, value: int) -> None:
        low, high = rule_bounds(name)
        check_integer(name, value, low, high)
        self._rules[name][index] = value

    def level(self) -> Level:
        """Returns the level as built so far."""
        return from_scene(
            self.scene.build(),
            self.size,
            role=self._role,
            motor_binding=self._motor_binding,
            motor_auto=self._motor_auto,
            thruster_binding=self._thruster_binding,
            rules=None if is_plain(self._rules) else jax.device_put(Rules(**self._rules)),
        )


def _role_number(role: Role) -> int:
    if role in ROLES:
        return ROLES.index(str(role))
    if isinstance(role, int) and not isinstance(role, bool) and 0 <= role < len(ROLES):
        return role
    raise ValueError(f"role must be one of {', '.join(ROLES)}, or 0 .. {len(ROLES) - 1}, got {role!r}")


def _radians(limits: Limits | None) -> Limits | None:
    return None if limits is None else (math.radians(limits[0]), math.radians(limits[1]))

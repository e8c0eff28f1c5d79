"""Drawing levels: the scene builder with roles, bindings and degrees."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax2d
from jax2d.scene import Body, Joint, Thruster
from kinetix_py.levels.level import Level, from_scene
from kinetix_py.spec import ROLES, SIZES

Point = tuple[float, float]
Limits = tuple[float, float]


class Sketch:
    """A level in the making, in the room of 5 m x 5 m with its floor at 0.4 m.

    Angles are in degrees, counter-clockwise; thrusters push along their angle, 90 being up.

    Args:
      size: `"s"`, `"m"` or `"l"`.
      gravity: of the scene, downwards [m/s^2].
      floor, left, right, ceiling: roles of the walls, names of `kinetix_py.spec.ROLES`.
      bounce: restitution of the walls, 0 .. 1.
      friction: of the walls.

    Raises:
      jax2d.SceneError, ValueError: from any method, for a value that no scene can have.
    """

    def __init__(
        self,
        size: str,
        *,
        gravity: float = 9.81,
        floor: str = "none",
        left: str = "none",
        right: str = "none",
        ceiling: str = "none",
        bounce: float = 0.0,
        friction: float = 1.0,
    ):
        self.spec = SIZES[size]
        self.scene = jax2d.Scene(self.spec.sim)
        self.scene.set_gravity((0.0, -gravity))
        self.scene.add_walls(restitution=bounce, friction=friction)
        self._role = [0] * self.spec.num_bodies
        self._motor_binding = [0] * self.spec.num_joints
        self._motor_auto = [False] * self.spec.num_joints
        self._thruster_binding = [0] * self.spec.num_thrusters
        for slot, role in enumerate((floor, left, right, ceiling)):
            self._role[slot] = ROLES.index(role)

    def box(
        self, at: Point, width: float, height: float, role: str = "none", *, angle: float = 0, **options
    ) -> Body:
        """A box of a size [m] about a place [m]; options of `jax2d.Scene.add_polygon`."""
        return self._named(
            self.scene.add_box(at, width, height, rotation=math.radians(angle), **options), role
        )

    def block(
        self, at: Point, width: float, height: float, role: str = "none", *, angle: float = 0, **options
    ) -> Body:
        """An static box."""
        return self.box(at, width, height, role, angle=angle, static=True, **options)

    def plank(
        self, start: Point, end: Point, thickness: float, role: str = "none", *, reach: float = 0.0, **options
    ) -> Body:
        """A box from one point to another [m], `reach` longer at both ends."""
        along = (end[0] - start[0], end[1] - start[1])
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        angle = math.degrees(math.atan2(along[1], along[0]))
        return self.box(middle, math.hypot(*along) + 2 * reach, thickness, role, angle=angle, **options)

    def wedge(self, corners: Sequence[Point], role: str = "none", **options) -> Body:
        """An static convex polygon of corners in the world [m], clockwise; options as for `box`."""
        return self._named(self.scene.add_polygon((0.0, 0.0), corners, static=True, **options), role)

    def ball(self, at: Point, radius: float, role: str = "none", **options) -> Body:
        """A disc of a radius [m]; options of `jax2d.Scene.add_circle`."""
        return self._named(self.scene.add_circle(at, radius, **options), role)

    def peg(self, at: Point, radius: float, role: str = "none", **options) -> Body:
        """An static disc."""
        return self.ball(at, radius, role, static=True, **options)

    def hinge(self, a: Body, b: Body, at: Point, *, limits: Limits | None = None) -> Joint:
        """Joins two bodies so that they turn freely about a place; limits of b against a in degrees."""
        return self.scene.add_revolute_joint(a, b, at, limits=_radians(limits))

    def weld(self, a: Body, b: Body, at: Point) -> Joint:
        """Joins two bodies rigidly."""
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
        """A driven hinge; a negative speed lets action +1 turn b clockwise.

        Args:
          binding: which motor binding drives it.
          speed, power: factors on the engine's base values.
          limits: of b's angle against a's, from now [degrees].
          auto: it runs by itself.
        """
        joint = self.scene.add_revolute_joint(
            a, b, at, motor=True, motor_speed=speed, motor_power=power, limits=_radians(limits)
        )
        self._motor_binding[joint.index] = binding
        self._motor_auto[joint.index] = auto
        return joint

    def thruster(
        self, body: Body, angle: float, power: float, binding: int = 0, *, at: Point | None = None
    ) -> Thruster:
        """A thruster at a place of a body (its center if None); power in 10 N."""
        made = self.scene.add_thruster(body, at, math.radians(angle), power)
        self._thruster_binding[made.index] = binding
        return made

    def level(self) -> Level:
        """The level."""
        return from_scene(
            self.scene.build(),
            self.spec,
            role=self._role,
            motor_binding=self._motor_binding,
            motor_auto=self._motor_auto,
            thruster_binding=self._thruster_binding,
        )

    def _named(self, body: Body, role: str) -> Body:
        self._role[body.index] = ROLES.index(role)
        return body


def _radians(limits: Limits | None) -> Limits | None:
    return None if limits is None else (math.radians(limits[0]), math.radians(limits[1]))

"""Levels as Python: the calls of `LevelBuilder` that build them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import numpy as np

from jax2d.scene import box_vertices
from kinetix_py.levels.json_node import same, shortest_decimal
from kinetix_py.levels.level import Level
from kinetix_py.levels.level_file import empty_arrays, from_level
from kinetix_py.levels.native_reader import INVERSES, inverses, unit_mass
from kinetix_py.levels.rules import BODY_RULES, PLAIN
from kinetix_py.levels.walls import written_walls
from kinetix_py.roles import ROLES
from kinetix_py.sizes import SIZES

SIDES = ("floor", "left", "right", "ceiling")


def level_to_python(level: Level) -> str:
    """Returns a program that builds a level with `kinetix_py.LevelBuilder` and calls it `level`.

    Numbers are rounded to 6 digits. What a builder does not know is told in comments at the end: walls of
    another room than the standard one, or masses of their own.

    Args:
      level: one level, which must be valid.

    Raises:
      ValueError: a size without walls, which a builder does not make.
    """
    if not level.size.num_walls:
        raise ValueError("a LevelBuilder makes walls, but the level's size has none")
    level = jax.tree.map(np.asarray, level)
    writer = _Writer(level)
    size = next((repr(name) for name, known in SIZES.items() if known == level.size), f"kx.{level.size!r}")
    head = [f"builder = kx.LevelBuilder({size}{writer.room()})"]
    x, y = map(_number, level.sim.gravity)
    if x != "0":
        head.append(f"builder.scene.set_gravity(({x}, {y}))")
    lines = [*head, *writer.bodies(), *writer.joints(), *writer.thrusters(), *writer.rules()]
    lines += ["level = builder.level()"]
    imports = ["import jax2d"] if any("jax2d." in line for line in lines) else []
    lines = [*imports, "import kinetix_py as kx", "", *lines]
    return "\n".join([*lines, *(f"# Not built: {text}." for text in writer.left_out)]) + "\n"


def _number(value: Any) -> str:
    """Formats a float with 6 significant digits."""
    text = f"{float(value):.6g}"
    return "0" if text == "-0" else text


def _point(values: Any) -> str:
    return f"({_number(values[0])}, {_number(values[1])})"


def _degrees(value: Any) -> str:
    return _number(math.degrees(float(value)))


class _Writer:
    """Writes the parts of one level on the host."""

    def __init__(self, level: Any):
        self.level, self.size, self.arrays = level, level.size, from_level(level)
        self.left_out: list[str] = []
        self.names: dict[int, str] = {}
        self.joint_names: dict[int, str] = {}
        self.thruster_names: dict[int, str] = {}
        polygons, active = self.size.num_polygons, self.arrays.bodies["active"]
        tables = (self.arrays.joints["active"], self.arrays.thrusters["active"])
        if any(
            (np.diff(used.astype(int)) > 0).any() for used in (active[:polygons], active[polygons:], *tables)
        ):
            self.left_out.append("slots that are empty between others; what follows has lower ones")

    def room(self) -> str:
        """Returns the options of the builder."""
        bodies = self.arrays.bodies
        without_rules = dataclasses.replace(self.arrays, rules=empty_arrays(self.size).rules)
        walls = written_walls(without_rules, self.size)
        options: dict[str, str] = {}
        gravity = -float(shortest_decimal(self.level.sim.gravity[1]))
        if gravity != 9.81 and self.level.sim.gravity[0] == 0:
            options["gravity"] = _number(gravity)
        if self.size.num_walls and walls not in ("standard", "kinetix") and not isinstance(walls, dict):
            self.left_out.append("walls that are not those of a room of 5 m x 5 m")
        elif walls == "kinetix" or (isinstance(walls, dict) and walls["room"] == "kinetix"):
            self.left_out.append("walls as thick as in Kinetix's room")
        for slot in range(min(self.size.num_walls, len(SIDES))):
            if bodies["role"][slot]:
                options[SIDES[slot]] = repr(ROLES[bodies["role"][slot]])
        for field, usual in (("restitution", 0.0), ("friction", 1.0)):
            if self.size.num_walls and not same(bodies[field][0], usual):
                options[field] = _number(bodies[field][0])
        return "".join(f", {name}={value}" for name, value in options.items())

    def bodies(self) -> list[str]:
        """Returns a line for each wall that a joint needs, and for each body."""
        arrays, walls = self.arrays, self.size.num_walls
        joints, thrusters = arrays.joints, arrays.thrusters
        ends = joints["body_a"][joints["active"]].tolist() + joints["body_b"][joints["active"]].tolist()
        ends += thrusters["body"][thrusters["active"]].tolist()
        lines = []
        for body in sorted({int(end) for end in [*ends, *np.flatnonzero(self._ruled())] if end < walls}):
            self.names[body] = f"wall_{body}"
            lines.append(f"wall_{body} = jax2d.Body({body})")
        used = {*ends, *np.flatnonzero(self._ruled())}
        for body in np.flatnonzero(arrays.bodies["active"]).tolist():
            if body >= walls:
                lines.append(self._body(body, body in used))
        return lines

    def _ruled(self) -> np.ndarray:
        """Tells which bodies have rules: bool `[N]`."""
        changed = [self.arrays.rules[name] != PLAIN[name] for name in BODY_RULES]
        return np.any(changed, axis=0) & self.arrays.bodies["active"]

    def rules(self) -> list[str]:
        """Returns a line for each rule that is not that of the plain game."""
        rules, lines = self.arrays.rules, []
        for body in np.flatnonzero((rules["goal"] != 1) | (rules["hold"] != 1)).tolist():
            if body in self.names:
                hold = int(rules["hold"][body])
                call = f"{self.names[body]}, {int(rules['goal'][body])}"
                lines.append(f"builder.goal({call}{'' if hold == 1 else f', hold={hold}'})")
        named = {"body": self.names, "joint": self.joint_names, "thruster": self.thruster_names}
        calls = [("sensor", "sensor", self.names)]
        calls += [("wait", f"{kind}_waits_for", names) for kind, names in named.items()]
        for method, field, names in calls:
            for slot in np.flatnonzero(rules[field]).tolist():
                if slot in names:
                    lines.append(f"builder.{method}({names[slot]}, {int(rules[field][slot])})")
        shares = {name: rules[f"{name[:-1]}_agent"].tolist() for name in ("motors", "thrusters")}
        options = [f"{name}={agents}" for name, agents in shares.items() if any(agents)]
        options += ["opposed=True"] if rules["opposed"] else []
        return [*lines, f"builder.agents({', '.join(options)})"] if options else lines

    def _body(self, body: int, named: bool) -> str:
        arrays, table, polygons = self.arrays, self.arrays.bodies, self.size.num_polygons
        place, angle = table["position"][body], table["rotation"][body]
        role = ROLES[table["role"][body]]
        options: dict[str, str] = {} if role == ROLES[0] else {"role": repr(role)}
        static = all(table[field][body] == 0 for field in INVERSES)
        if body >= polygons:
            kind, shape = "circle", f"{_point(place)}, {_number(arrays.radius[body - polygons])}"
            if angle:
                options["rotation"] = _number(angle)
        else:
            points = arrays.vertices[body, : arrays.num_vertices[body]]
            if (points[0] > 0).all() and same(points, box_vertices(*points[0])):
                kind, shape = (
                    "box",
                    f"{_point(place)}, {_number(2 * points[0, 0])}, {_number(2 * points[0, 1])}",
                )
                if angle:
                    options["angle"] = _degrees(angle)
            else:
                kind, shape = "polygon", f"{_point(place)}, [{', '.join(map(_point, points))}]"
                if angle:
                    options["angle"] = _degrees(angle)
        if table["velocity"][body].any():
            options["velocity"] = _point(table["velocity"][body])
        usual = {"angular_velocity": 0.0, "density": 1.0, "friction": 1.0, "restitution": 0.0}
        for field, value in usual.items():
            if not same(table[field][body], value) and not (static and field == "density"):
                options[field] = _number(table[field][body])
        if table["collision_mode"][body] != 1:
            options["collision_mode"] = str(int(table["collision_mode"][body]))
        if static:
            options["static"] = "True"
        else:
            implied = inverses(unit_mass(arrays, body), table["density"][body])
            actual = [table[field][body] for field in INVERSES]
            if not np.allclose(actual, implied, rtol=1e-4):
                self.left_out.append(f"the mass and inertia of body {body}")
        call = "".join(f", {name}={value}" for name, value in options.items())
        if not named:
            return f"builder.{kind}({shape}{call})"
        self.names[body] = f"{kind}_{body if body < polygons else body - polygons}"
        return f"{self.names[body]} = builder.{kind}({shape}{call})"

    def _world(self, body: int, anchor: np.ndarray) -> np.ndarray:
        angle = float(self.arrays.bodies["rotation"][body])
        cos, sin = math.cos(angle), math.sin(angle)
        turned = [cos * anchor[0] - sin * anchor[1], sin * anchor[0] + cos * anchor[1]]
        return self.arrays.bodies["position"][body] + np.array(turned)

    def joints(self) -> list[str]:
        """Returns a line for each joint."""
        table, lines = self.arrays.joints, []
        for j in np.flatnonzero(table["active"]).tolist():
            a, b = int(table["body_a"][j]), int(table["body_b"][j])
            at, other = self._world(a, table["anchor_a"][j]), self._world(b, table["anchor_b"][j])
            if np.hypot(*(at - other)) > 1e-4:
                self.left_out.append(f"ends of joint {j} that are {np.hypot(*(at - other)):.3g} m apart")
            rotation = self.arrays.bodies["rotation"]
            turned = float(rotation[b] - rotation[a] - table["reference_rotation"][j])
            call = f"{self.names[a]}, {self.names[b]}, {_point(at)}"
            if table["weld"][j]:
                if abs(turned) > 1e-4:
                    self.left_out.append(
                        f"weld joint {j} that is turned by {math.degrees(turned):.3g} degrees"
                    )
                lines.append(f"builder.weld({call})")
                continue
            options: dict[str, str] = {}
            kind = "motor" if table["motor_on"][j] else "revolute"
            if table["motor_on"][j]:
                if table["motor_binding"][j]:
                    options["binding"] = str(int(table["motor_binding"][j]))
                for name in ("speed", "power"):
                    if not same(table[f"motor_{name}"][j], 1.0):
                        options[name] = _number(table[f"motor_{name}"][j])
            if table["limits_on"][j]:
                # A builder counts from the start, a level from its reference.
                low, high = table["min_rotation"][j] - turned, table["max_rotation"][j] - turned
                options["limits"] = f"({_degrees(low)}, {_degrees(high)})"
            if table["motor_on"][j] and table["motor_auto"][j]:
                options["auto"] = "True"
            line = f"builder.{kind}({call}{''.join(f', {k}={v}' for k, v in options.items())})"
            if self.arrays.rules["joint_waits_for"][j]:
                self.joint_names[j] = f"joint_{j}"
                line = f"joint_{j} = {line}"
            lines.append(line)
        return lines

    def thrusters(self) -> list[str]:
        """Returns a line for each thruster."""
        table, lines = self.arrays.thrusters, []
        for t in np.flatnonzero(table["active"]).tolist():
            body = int(table["body"][t])
            angle = _degrees(table["direction"][t] + self.arrays.bodies["rotation"][body])
            call = f"{self.names[body]}, {angle}, {_number(table['power'][t])}"
            if table["thruster_binding"][t]:
                call += f", binding={int(table['thruster_binding'][t])}"
            if table["anchor"][t].any():
                call += f", at={_point(self._world(body, table['anchor'][t]))}"
            line = f"builder.thruster({call})"
            if self.arrays.rules["thruster_waits_for"][t]:
                self.thruster_names[t] = f"thruster_{t}"
                line = f"thruster_{t} = {line}"
            lines.append(line)
        return lines

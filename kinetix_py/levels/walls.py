"""The two rooms that level files name instead of spelling out their walls."""

from __future__ import annotations

import numpy as np

from jax2d.scene import box_vertices, room_walls
from kinetix_py.levels.checks import Node, same, shortest
from kinetix_py.levels.content import Columns
from kinetix_py.spec import ROLES, EnvSpec

WALL_NAMES = ("floor", "left wall", "right wall", "ceiling")
DEFAULT_ROOM = "standard"

Shape = tuple[np.ndarray, np.ndarray]


def _rounded(position, vertices) -> Shape:
    return np.asarray(position, np.float32), np.asarray(vertices, np.float32)


def _kinetix_walls() -> list[Shape]:
    left = np.array([[-5, 5], [0, 5], [0, 0], [-5, 0]])  # about the room's corner, not about its own center
    flat = box_vertices(2.5, 5.2)
    walls = [((2.5, -4.8), flat), ((0, 0), left), ((0, 0), left + [10, 0]), ((2.5, 10.2), flat)]
    return [_rounded(*wall) for wall in walls]


# Position [2] and vertices [4, 2] of each wall [m]; "kinetix" is the room of Kinetix's own files.
ROOMS = {
    DEFAULT_ROOM: [_rounded(center, box_vertices(*half)) for center, half in room_walls()],
    "kinetix": _kinetix_walls(),
}
FIXED: dict[str, float | tuple[float, float]] = {
    "rotation": 0,
    "velocity": (0, 0),
    "angular_velocity": 0,
    "inverse_mass": 0,
    "inverse_inertia": 0,
    "density": 1,
}
SURFACE = {"friction": 1.0, "restitution": 0.0}


def read_walls(node: Node, columns: Columns, spec: EnvSpec) -> dict[str, int]:
    """Fills the wall slots as the field `walls` says: a room's name, or an object with more.

    Returns:
      the index of each wall by name; none if the walls are listed among the bodies.

    Raises:
      LevelError: an unknown room, role or wall, or a surface that no body can have.
    """
    if node.value == "listed":
        return {}
    if not isinstance(node.value, dict):
        node.choice((*ROOMS, "listed"))
        node = Node({"room": node.value}, node.file, node.path)
    node.object(("room",), (*SURFACE, "roles"))
    room = ROOMS[node["room"].choice(ROOMS)]
    if spec.walls and spec.max_vertices < 4:
        node.fail(f"must be 'listed': walls of a room have 4 vertices, the size at most {spec.max_vertices}")
    names = WALL_NAMES[: spec.walls]
    roles = node.get("roles", {}).object((), names)
    values = {
        "active": True,
        "collision_mode": 2,
        "friction": node.get("friction", SURFACE["friction"]).number(0),
        "restitution": node.get("restitution", SURFACE["restitution"]).number(0, 1),
    }
    for slot, name in enumerate(names):
        position, vertices = room[slot]
        role = ROLES.index(roles.get(name, ROLES[0]).choice(ROLES))
        for field, value in (values | {"position": position, "role": role}).items():
            columns.bodies[field][slot] = value
        columns.vertices[slot, :4] = vertices
        columns.num_vertices[slot] = 4
    return {name: slot for slot, name in enumerate(names)}


def written_walls(columns: Columns, spec: EnvSpec) -> str | dict:
    """The shortest value of the field `walls` from which `read_walls` makes just these walls."""
    if spec.walls > len(WALL_NAMES):
        return "listed"
    room = next((name for name in ROOMS if _is_room(columns, spec.walls, ROOMS[name])), None)
    if room is None:
        return "listed"
    extra: dict = {}
    for field, default in SURFACE.items():
        if spec.walls and not same(columns.bodies[field][0], default):
            extra[field] = shortest(columns.bodies[field][0])
    named = zip(WALL_NAMES, columns.bodies["role"][: spec.walls], strict=False)
    roles = {name: ROLES[role] for name, role in named if role}
    return {"room": room, **extra, **({"roles": roles} if roles else {})} if extra or roles else room


def _is_room(columns: Columns, count: int, room: list[Shape]) -> bool:
    bodies = {name: column[:count] for name, column in columns.bodies.items()}
    return (
        bool(bodies["active"].all() and (bodies["collision_mode"] == 2).all())
        and all(
            same(bodies[name], np.broadcast_to(value, bodies[name].shape)) for name, value in FIXED.items()
        )
        and all(same(bodies[name], np.full(count, bodies[name][:1])) for name in SURFACE if count)
        and bool((columns.num_vertices[:count] == 4).all())
        and all(same(bodies["position"][i], room[i][0]) for i in range(count))
        and all(same(columns.vertices[i, :4], room[i][1]) for i in range(count))
    )

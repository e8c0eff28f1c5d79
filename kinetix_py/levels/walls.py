"""The two rooms that level files name instead of spelling out their walls."""

from __future__ import annotations

import numpy as np

from jax2d.scene import box_vertices, room_walls
from kinetix_py.levels.json_node import JsonNode, same, shortest_decimal
from kinetix_py.levels.level_file import LevelArrays
from kinetix_py.levels.rules import BODY_RULES, PLAIN
from kinetix_py.roles import ROLES
from kinetix_py.sizes import LevelSize

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


def read_walls(node: JsonNode, arrays: LevelArrays, size: LevelSize) -> dict[str, int]:
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
        node = JsonNode({"room": node.value}, node.file, node.path)
    node.require_keys(("room",), (*SURFACE, "roles"))
    room = ROOMS[node["room"].choice(ROOMS)]
    if size.num_walls and size.max_vertices < 4:
        node.fail(f"must be 'listed': walls of a room have 4 vertices, the size at most {size.max_vertices}")
    names = WALL_NAMES[: size.num_walls]
    roles = node.get("roles", {}).require_keys((), names)
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
            arrays.bodies[field][slot] = value
        arrays.vertices[slot, :4] = vertices
        arrays.num_vertices[slot] = 4
    return {name: slot for slot, name in enumerate(names)}


def written_walls(arrays: LevelArrays, size: LevelSize) -> str | dict:
    """Returns the shortest value of the field `walls` from which `read_walls` makes just these walls."""
    if size.num_walls > len(WALL_NAMES):
        return "listed"
    room = next((name for name in ROOMS if _is_room(arrays, size.num_walls, ROOMS[name])), None)
    if room is None:
        return "listed"
    extra: dict = {}
    for field, default in SURFACE.items():
        if size.num_walls and not same(arrays.bodies[field][0], default):
            extra[field] = shortest_decimal(arrays.bodies[field][0])
    named = zip(WALL_NAMES, arrays.bodies["role"][: size.num_walls], strict=False)
    roles = {name: ROLES[role] for name, role in named if role}
    return {"room": room, **extra, **({"roles": roles} if roles else {})} if extra or roles else room


def _is_room(arrays: LevelArrays, count: int, room: list[Shape]) -> bool:
    bodies = {name: column[:count] for name, column in arrays.bodies.items()}
    return (
        all(bool((arrays.rules[name][:count] == PLAIN[name]).all()) for name in BODY_RULES)
        and bool(bodies["active"].all() and (bodies["collision_mode"] == 2).all())
        and all(
            same(bodies[name], np.broadcast_to(value, bodies[name].shape)) for name, value in FIXED.items()
        )
        and all(same(bodies[name], np.full(count, bodies[name][:1])) for name in SURFACE if count)
        and bool((arrays.num_vertices[:count] == 4).all())
        and all(same(bodies["position"][i], room[i][0]) for i in range(count))
        and all(same(arrays.vertices[i, :4], room[i][1]) for i in range(count))
    )

"""Keys of the keyboard and the bindings that they drive.

Keys are known by their place on the keyboard (`KeyboardEvent.code`), so that WASD is the same square of keys
under every layout. The first key of a motor's pair asks for +1, which turns the motor's second body
counter-clockwise about its first: a wheel on a chassis then rolls to the left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from kinetix_py.rendering.style import MOTOR_COLORS, THRUSTER_COLORS, hex_color
from kinetix_py.sizes import LevelSize

# For motor bindings 0, 1, ...: the keys for +1 and -1. Bindings beyond have no keys.
MOTOR_KEYS = (
    (("ArrowLeft", "←"), ("ArrowRight", "→")),
    (("ArrowUp", "↑"), ("ArrowDown", "↓")),
    (("KeyA", "A"), ("KeyD", "D")),
    (("KeyW", "W"), ("KeyS", "S")),
)
NUM_THRUSTER_KEYS = 9  # 1 .. 9, also of the number pad


@dataclasses.dataclass(frozen=True)
class Key:
    """A key of the keyboard, and the value of a binding while it is held."""

    code: str  # KeyboardEvent.code
    label: str
    binding: int  # index in an action: motor bindings first, then thruster bindings
    value: float


def binding_keys(size: LevelSize) -> tuple[Key, ...]:
    """Returns the keys of a size's bindings, in the order of the bindings."""
    motors, thrusters = size.num_motor_bindings, size.num_thruster_bindings
    found = [
        Key(code, label, binding, value)
        for binding, pair in enumerate(MOTOR_KEYS[:motors])
        for (code, label), value in zip(pair, (1.0, -1.0), strict=True)
    ]
    for thruster in range(min(thrusters, NUM_THRUSTER_KEYS)):
        digit = str(thruster + 1)
        found += [Key(f"{row}{digit}", digit, motors + thruster, 1.0) for row in ("Digit", "Numpad")]
    return tuple(found)


def key_action(held: Collection[str], size: LevelSize) -> np.ndarray:
    """Converts held keys to a continuous action; both keys of a motor together cancel out.

    Args:
      held: codes of the held keys; others than those of `binding_keys` are ignored.

    Returns:
      float32 `[num_bindings]`, a continuous action.
    """
    values = np.zeros(size.num_bindings, np.float32)
    for key in binding_keys(size):
        if key.code in held:
            values[key.binding] += key.value
    return np.clip(values, -1, 1)


def key_hints(
    size: LevelSize,
    used: Collection[int],
    agents: Sequence[str] | None = None,
    signs: Sequence[int] | None = None,
) -> list[dict[str, Any]]:
    """Makes the key hints of a page: name, color and keys of every binding, and whether the level uses it.

    Args:
      used: indices of the bindings that some motor or thruster of the level listens to.
      agents: name of the agent that each binding belongs to; None in a level for one.
      signs: sign of the speed of each binding's motors, 0 where they differ; 1 everywhere if None.
    """
    rows = []
    for binding in range(size.num_bindings):
        motor = binding < size.num_motor_bindings
        kind, index = ("motor", binding) if motor else ("thruster", binding - size.num_motor_bindings)
        colors: tuple[tuple[float, ...], ...] = MOTOR_COLORS if motor else THRUSTER_COLORS
        keys = [
            key for key in binding_keys(size) if key.binding == binding and not key.code.startswith("Numpad")
        ]
        rows.append(
            {
                "name": f"{kind} {index}" + ("" if agents is None else f" ({agents[binding]})"),
                "kind": kind,
                "color": hex_color(colors[index % len(colors)]),
                "keys": [{"code": key.code, "label": key.label, "value": key.value} for key in keys],
                "binding": binding,
                "used": binding in used,
                "sign": 1 if signs is None or not motor else signs[binding],
            }
        )
    return rows

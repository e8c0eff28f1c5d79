"""Fields of Kinetix's level files besides the level: the environment's parameters, with their defaults."""

from __future__ import annotations

from typing import Any

from kinetix_py.levels.json_node import JsonNode

ENV_PARAMS: dict[str, Any] = {
    "dt": 0.016666666666666666,
    "slop": 0.01,
    "baumgarte_coefficient_joints_v": 2.0,
    "baumgarte_coefficient_joints_p": 0.7,
    "baumgarte_coefficient_fjoint_av": 2.0,
    "baumgarte_coefficient_rjoint_limit_av": 5.0,
    "baumgarte_coefficient_collision": 0.2,
    "joint_stiffness": 0.6,
    "clip_position": 15,
    "clip_velocity": 100,
    "clip_angular_velocity": 50,
    "base_motor_speed": 6.0,
    "base_motor_power": 900.0,
    "base_thruster_power": 10.0,
    "motor_decay_coefficient": 0.1,
    "motor_joint_limit": 0.1,
    "base_friction": 0.4,
    "max_timesteps": 256,
    "pixels_per_unit": 100,
    "dense_reward_scale": 0.1,
    "num_shape_roles": 4,
}
STATIC_PARAMS: dict[str, Any] = {
    "num_solver_iterations": 10,
    "do_warm_starting": True,
    "solver_batch_size": 16,
    "screen_dim": {"0": 500, "1": 500},
    "downscale": 4,
    "frame_skip": 2,
    "max_shape_size": 2,
}
DEFAULTS = {"env_params": ENV_PARAMS, "static_env_params": STATIC_PARAMS}
# Top-level fields of Kinetix's files; all others are kept as `LevelFile.extra`.
PARTS = ("env_state", *DEFAULTS)


def read_env(node: JsonNode, *, ignored: tuple[str, ...] = ()) -> dict | None:
    """Reads parameters other than Kinetix's defaults, as `{"env_params": ..., "static_env_params": ...}`.

    Parameters that this package does not know may be any JSON and are kept as they are, so that files of
    other versions of Kinetix pass through unchanged.

    Args:
      ignored: names of static parameters that are read elsewhere.

    Returns:
      None if all are the defaults.

    Raises:
      LevelError: a known parameter that is neither a number, true or false, nor an object of numbers.
    """
    node.require_keys((), DEFAULTS)
    kept = {}
    for part, defaults in DEFAULTS.items():
        values = _read_part(node.get(part, {}), defaults, ignored)
        usual = lambda name, value, defaults=defaults: name in defaults and defaults[name] == value
        kept[part] = {name: value for name, value in values.items() if not usual(name, value)}
    return kept if any(kept.values()) else None


def _read_part(node: JsonNode, known: dict[str, Any], ignored: tuple[str, ...]) -> dict[str, Any]:
    node.require(isinstance(node.value, dict), "an object")
    for name in node.value:
        if name in known:
            field = node[name]
            parts = [field[key] for key in field.value] if isinstance(field.value, dict) else [field]
            for part in parts:
                if not isinstance(part.value, bool):
                    part.number()
    return {name: value for name, value in node.value.items() if name not in ignored}


def full_env(env: dict | None, part: str) -> dict[str, Any]:
    """Returns all parameters of a part: Kinetix's defaults, updated by those that differ."""
    return DEFAULTS[part] | (env or {}).get(part, {})


def read_extra(node: JsonNode) -> dict[str, Any] | None:
    """Reads top-level fields that this package does not know; None if there are none.

    Raises:
      LevelError: not an object, or a field that Kinetix's files have anyway.
    """
    node.require(isinstance(node.value, dict), "an object")
    for name in PARTS:
        if name in node:
            node.fail(f"must not have a field {name!r}, which holds the level")
    return node.value or None

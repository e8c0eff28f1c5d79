"""Colors and sizes of all pictures: pixels, drawings and the player."""

from __future__ import annotations

# Roles none, green, blue, red: also of different lightness, distinguishable without color vision.
ROLE_COLORS = ((0.62, 0.62, 0.62), (0.35, 0.85, 0.45), (0.15, 0.35, 0.85), (0.75, 0.1, 0.15))
STATIC_DARKENING = 0.55  # factor on the color of static shapes without a role
WAITING_PALENESS = 0.6  # share of white in the color of a goal that it is not the turn of
SENSOR_COLOR = (0.97, 0.82, 0.33)  # half of a sensor's color, and that of locks
OUTLINE = 0.15  # gray of every outline
MARK_RADIUS = 0.06  # m, of joints and thrusters
MOTOR_COLORS = ((0.95, 0.75, 0.1), (0.9, 0.4, 0.8), (0.2, 0.8, 0.85), (0.95, 0.5, 0.15))
PLAIN_JOINT = (0.1, 0.1, 0.1)
WELD_JOINT = (1.0, 1.0, 1.0)
THRUSTER_COLORS = ((0.95, 0.55, 0.1), (0.55, 0.2, 0.75))

# Drawings only: units of a drawing per meter, and their names and letters for roles.
UNITS = 100.0
ROLE_LETTERS = ("", "G", "B", "R")
INK = "#262626"
PAPER = "#ffffff"
CONTACT_COLOR = "#ff2fd0"
FLAME_COLORS = ("#ff7a00", "#ffe14d")


def hex_color(color: tuple[float, ...], factor: float = 1.0) -> str:
    """Formats a color of three parts in 0 .. 1, times a factor, for CSS: `"#rrggbb"`."""
    return "#" + "".join(f"{round(255 * min(max(part * factor, 0), 1)):02x}" for part in color)

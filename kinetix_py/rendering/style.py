"""How things look, in pixels, drawings and the player alike."""

from __future__ import annotations

# Roles none, green, blue, red: of different lightness too, for eyes that tell no colours apart.
ROLE_COLOURS = ((0.62, 0.62, 0.62), (0.35, 0.85, 0.45), (0.15, 0.35, 0.85), (0.75, 0.1, 0.15))
IMMOVABLE_DARKENING = 0.55  # factor on the colour of shapes without a role that cannot move
OUTLINE = 0.15  # grey of every outline
MARK_RADIUS = 0.06  # m, of joints and thrusters
MOTOR_COLOURS = ((0.95, 0.75, 0.1), (0.9, 0.4, 0.8), (0.2, 0.8, 0.85), (0.95, 0.5, 0.15))
PLAIN_JOINT = (0.1, 0.1, 0.1)
FIXED_JOINT = (1.0, 1.0, 1.0)
THRUSTER_COLOURS = ((0.95, 0.55, 0.1), (0.55, 0.2, 0.75))

# Drawings only: units of a drawing per metre, and their names and letters for roles.
UNITS = 100.0
ROLE_LETTERS = ("", "G", "B", "R")
INK = "#262626"
PAPER = "#ffffff"
CONTACT_COLOUR = "#ff2fd0"
FLAME_COLOURS = ("#ff7a00", "#ffe14d")


def hex_colour(colour: tuple[float, ...], factor: float = 1.0) -> str:
    """A colour of three parts in 0 .. 1, times a factor, as CSS writes it: `"#rrggbb"`."""
    return "#" + "".join(f"{round(255 * min(max(part * factor, 0), 1)):02x}" for part in colour)

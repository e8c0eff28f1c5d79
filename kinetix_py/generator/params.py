"""Every number of the level distributions: random levels, and procedural locomotion."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import jax

if TYPE_CHECKING:
    from kinetix_py.levels.level import Level
    from kinetix_py.sizes import LevelSize

Number = jax.Array | float


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GeneratorParams:
    """Numbers of the level distribution: traced, so changing one never recompiles.

    Each is a scalar, or `[n]` where the levels of a batch differ: one number for each level. Chances are
    in 0 .. 1; weights are at least 0 and relative to those named beside them. Ranges are uniform. Nothing is
    checked, since the values may be traced.
    """

    red_floor_chance: Number = 0.08
    """Chance that the floor is red."""
    blue_floor_chance: Number = 0.02
    """Chance that the floor is blue; no other shape is then blue."""
    swap_chance: Number = 0.5
    """Chance that green and blue change places in the end (only above a plain floor)."""
    gravity: Number = -9.81
    """Vertical acceleration [m/s^2]."""

    motor_only_weight: Number = 1.0
    """Weight of levels that are forced to have a joint but no thruster."""
    thruster_only_weight: Number = 1.0
    """Weight of levels that are forced to have a thruster but no joint."""
    motor_and_thruster_weight: Number = 1.0
    """Weight of levels that are forced to have both."""

    joined_shape_weight: Number = 0.35
    """Weight of a joined shape in each slot that is left after green, blue and the forced control."""
    free_shape_weight: Number = 0.35
    """Weight of a free shape in such a slot."""
    no_shape_weight: Number = 0.30
    """Weight of leaving such a slot empty."""
    max_shapes: Number = math.inf
    """Most shapes; the first three (green, blue and the forced control's) are there in any case."""
    num_candidates: Number = 8.0
    """Candidates for a shape among which the one with fewest contacts is taken, 1 .. 8."""
    small_scene_bodies: Number = 7.0
    """Sizes with at most so many body slots have one candidate and no static free shape."""

    circle_chance: Number = 0.5
    """Chance that a candidate is a circle, while there are slots of both kinds."""
    triangle_chance: Number = 0.0
    """Chance that a polygon is a triangle."""
    many_vertices_chance: Number = 0.0
    """Chance that a polygon has 5 .. `max_vertices` vertices (if the size allows as many)."""
    min_half_size: Number = 0.05
    """Smallest half side of a rectangle [m]."""
    max_half_size: Number = 1 / (2 * math.sqrt(2))
    """Largest half side of a rectangle [m]."""
    elongation_chance: Number = 0.3
    """Chance that one of a rectangle's half sides is multiplied by `elongation`."""
    elongation: Number = 2.0
    """Factor on that half side."""
    min_radius: Number = 0.1
    """Smallest radius of a circle [m]."""
    max_radius: Number = 0.4
    """Largest radius of a circle [m]."""
    density: Number = 1.0
    """Of every shape [kg/m^2]."""
    friction: Number = 1.0
    """Of every shape, times `SimParams.base_friction`."""
    restitution: Number = 0.0
    """Of every shape, 0 .. 1."""

    bottom_margin: Number = 0.4
    """Distance of free shapes from the scene's bottom edge, beyond their reach from the center [m]."""
    own_half_chance: Number = 0.5
    """Chance that green is placed within the left half; and that blue is within the right half."""
    static_chance: Number = 0.02
    """Chance that a free shape without mass would be static ..."""
    static_chance_per_mass: Number = 4.0
    """... and how it grows with the mass [1/kg]."""
    max_static_chance: Number = 1.0
    """Its upper bound."""
    low_static_chance: Number = 0.6
    """Chance that a static shape with a role is moved from the upper half, if there, to the lower."""
    red_weight: Number = 1 / 3
    """Weight of red against no role (1) for a shape that may be red; at most one is, the floor included."""

    static_target_weight: Number = 0.05
    """Weight of joining a shape to a static one; a movable one has 1."""
    circle_target_chance: Number = 0.5
    """Chance of joining a shape to a circle, while there are circles and polygons to join it to."""
    max_polygon_joints: Number = 2.0
    """Joints on a polygon from which nothing more is joined to it; until then its weight falls linearly."""
    max_circle_joints: Number = 1.0
    """The same for a circle."""
    min_protrusion: Number = 0.05
    """Least length by which two joined shapes stick out of each other when turned about the joint [m] ..."""
    enclosed_cost: Number = 10.0
    """... and the cost of a candidate where they do not, in contacts."""
    num_always_revolute: Number = 2.0
    """So many first joints are revolute."""
    revolute_chance: Number = 0.5
    """Chance that each further joint is revolute; else it is a weld."""
    motor_chance: Number = 0.8
    """Chance that a revolute joint has a motor."""
    motor_auto_chance: Number = 0.0
    """Chance that a motor runs by itself."""
    min_motor_speed: Number = 0.4
    """Slowest motor, times `SimParams.base_motor_speed`."""
    max_motor_speed: Number = 3.0
    """Fastest motor."""
    min_motor_power: Number = 1.0
    """Weakest motor, times `SimParams.base_motor_power`."""
    max_motor_power: Number = 3.0
    """Strongest motor."""
    circle_motor_power: Number = 1.0
    """Power of a motor that drives, or is held by, a circle."""
    limits_chance: Number = 0.4
    """Chance that a revolute joint of two polygons has limits."""
    min_limit: Number = -math.pi
    """Bound on the lower limit [rad]; it lies between this and 0."""
    max_limit: Number = math.pi
    """Bound on the upper limit [rad]; it lies between 0 and this."""

    thruster_chance: Number = 0.3
    """Chance of a thruster in each slot but the first, which is kept for the forced one."""
    thruster_radial_chance: Number = 0.8
    """Chance that a thruster pushes to or from the center of mass, as often each; else anywhere."""
    thruster_power: Number = 2.0
    """Power of a thruster per mass of its shape [1/kg], times `SimParams.base_thruster_power` ..."""
    min_thruster_factor: Number = 0.5
    """... times a factor between this ..."""
    max_thruster_factor: Number = 2.0
    """... and this."""

    def sample(self, key: jax.Array, size: LevelSize) -> Level:
        """Draws one level of a size, as a level distribution does."""
        from kinetix_py.generator.sample import sample_level  # which reads the numbers of this module

        return sample_level(key, size, self)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LocomotionParams:
    """Numbers of procedural locomotion: traced, each a scalar or `[n]`, as those of `GeneratorParams`.

    A trunk (green) has limbs: legs of one or two links, or wheels, each joint with a motor. Between it and
    the goal (blue, static, at the trunk's height) lie static blocks, flat or tilted. Sizes bound what there
    is room for: S has a trunk on one wheel, L up to four limbs. Chances are in 0 .. 1, ranges are uniform.
    """

    min_limbs: Number = 1.0
    """Fewest limbs, at least 1."""
    max_limbs: Number = 4.0
    """Most limbs, at most 4, and as many as the size has joints."""
    wheel_chance: Number = 0.3
    """Chance that a body has wheels rather than legs."""
    foot_wheel_chance: Number = 0.2
    """Chance that the second link of a leg is a wheel."""
    knee_chance: Number = 0.6
    """Chance that a leg has a second link."""
    min_limb_length: Number = 0.4
    """Shortest leg, stretched [m]."""
    max_limb_length: Number = 0.9
    """Longest leg [m]; those of one body are about as long."""
    limb_thickness: Number = 0.12
    """Thickness of legs [m]."""
    max_lean: Number = 0.4
    """Largest angle of a leg from the vertical at the start [rad]."""
    max_bend: Number = 0.8
    """Largest angle between a leg's links at the start [rad]."""
    min_radius: Number = 0.15
    """Smallest wheel [m]."""
    max_radius: Number = 0.28
    """Largest wheel [m]; wheels on the trunk are small enough not to overlap."""
    min_trunk_length: Number = 0.4
    """Shortest trunk [m]."""
    max_trunk_length: Number = 1.1
    """Longest trunk [m]."""
    min_hip_distance: Number = 0.25
    """Least length of the trunk for each limb [m]."""
    min_trunk_height: Number = 0.15
    """Thinnest trunk [m]."""
    max_trunk_height: Number = 0.3
    """Thickest trunk [m]."""

    min_motor_speed: Number = 0.6
    """Slowest motor, times `SimParams.base_motor_speed`."""
    max_motor_speed: Number = 1.5
    """Fastest motor."""
    min_motor_power: Number = 1.0
    """Weakest motor, times `SimParams.base_motor_power`."""
    max_motor_power: Number = 2.0
    """Strongest motor."""
    min_swing: Number = 0.6
    """Least angle by which a leg's joint turns to either side of where it starts [rad]."""
    max_swing: Number = 1.3
    """Largest such angle."""

    roughness: Number = 0.3
    """Height of the highest block above the floor [m]."""
    slope_chance: Number = 0.5
    """Chance that a block is tilted."""
    max_slope: Number = 0.35
    """Largest slope of a tilted block [rad]."""
    min_distance: Number = 0.6
    """Least distance from the body to the goal [m]."""
    max_distance: Number = 2.6
    """Largest distance, as far as the room reaches."""
    goal_height: Number = 0.15
    """Largest height of the goal's center above or below that of the trunk [m]."""

    mirror_chance: Number = 0.5
    """Chance that the goal is to the left."""
    gravity: Number = -9.81
    """Vertical acceleration [m/s^2]."""
    density: Number = 1.0
    """Of every shape [kg/m^2]."""
    friction: Number = 1.0
    """Of every shape, times `SimParams.base_friction`."""
    restitution: Number = 0.0
    """Of every shape, 0 .. 1."""

    def sample(self, key: jax.Array, size: LevelSize) -> Level:
        """Draws one level of a size, as a level distribution does."""
        from kinetix_py.generator.locomotion import sample_locomotion

        return sample_locomotion(key, size, self)

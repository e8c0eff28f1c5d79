"""The state of a scene and its contacts: frozen pytrees whose fields carry dtype, shape and unit.

`N` bodies are `P` polygon slots, then `C` circle slots; `V` vertices, `J` joint slots, `T` thruster slots,
`K` contact slots (`jax2d.contact_pairs`). Shapes are those of one scene; a batch adds an axis in front of
all of them (or, for `step_batch(..., batch_axis=-1)`, behind).
"""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from jax2d.fields import ArrayFields, array, field_specs, part


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Joints(ArrayFields):
    """Joints between two bodies, in slot order; an inactive slot's contents do not count."""

    body_a: jax.Array = array("J", dtype=np.int32, doc="body index in 0 .. N-1")
    body_b: jax.Array = array("J", dtype=np.int32, doc="body index in 0 .. N-1, not `body_a`")
    anchor_a: jax.Array = array("J", 2, unit="m", doc="anchor in the frame of body a")
    anchor_b: jax.Array = array("J", 2, unit="m", doc="anchor in the frame of body b")
    reference_rotation: jax.Array = array("J", unit="rad", doc="rotation of b less that of a when made")
    active: jax.Array = array("J", dtype=bool, doc="slot in use")
    weld: jax.Array = array("J", dtype=bool, doc="weld joint; else revolute")
    motor_on: jax.Array = array("J", dtype=bool, doc="has a motor; revolute only")
    motor_speed: jax.Array = array("J", unit="1", doc="factor on `base_motor_speed`")
    motor_power: jax.Array = array("J", unit="1", low=0, doc="factor on `base_motor_power`")
    limits_on: jax.Array = array("J", dtype=bool, doc="has limits; revolute only")
    min_rotation: jax.Array = array("J", unit="rad", doc="lower limit of the relative rotation")
    max_rotation: jax.Array = array("J", unit="rad", doc="upper limit of the relative rotation")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Thrusters(ArrayFields):
    """Thrusters on bodies, in slot order; an inactive slot's contents do not count."""

    body: jax.Array = array("T", dtype=np.int32, doc="body index in 0 .. N-1")
    anchor: jax.Array = array("T", 2, unit="m", doc="point of action in the body's frame")
    direction: jax.Array = array("T", unit="rad", doc="direction of the force in the body's frame")
    power: jax.Array = array("T", unit="1", low=0, doc="factor on `base_thruster_power`")
    active: jax.Array = array("T", dtype=bool, doc="slot in use")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SimState(ArrayFields):
    """A scene and its motion: all that `step` needs and carries."""

    position: jax.Array = array("N", 2, unit="m", dynamic=True, doc="center of mass")
    rotation: jax.Array = array("N", unit="rad", dynamic=True, doc="counter-clockwise angle")
    velocity: jax.Array = array("N", 2, unit="m/s", dynamic=True, doc="of the center of mass")
    angular_velocity: jax.Array = array("N", unit="rad/s", dynamic=True, doc="counter-clockwise")
    inverse_mass: jax.Array = array("N", unit="1/kg", low=0, doc="0 when static")
    inverse_inertia: jax.Array = array("N", unit="1/(kg m^2)", low=0, doc="0 when static")
    friction: jax.Array = array("N", unit="1", low=0, doc="factor on `base_friction`")
    restitution: jax.Array = array("N", unit="1", low=0, high=1, doc="a pair has the smaller one")
    collision_mode: jax.Array = array(
        "N", dtype=np.int32, low=0, high=2, doc="two bodies collide if either has 2, or both have 1"
    )
    active: jax.Array = array("N", dtype=bool, doc="slot in use")
    vertices: jax.Array = array("P", "V", 2, unit="m", doc="clockwise, in the body's frame")
    num_vertices: jax.Array = array("P", dtype=np.int32, doc="vertices in use, 3 .. V")
    radius: jax.Array = array("C", unit="m", doc="radius of a circle")
    gravity: jax.Array = array(2, unit="m/s^2", doc="acceleration of every movable body")
    joints: Joints = part(Joints, doc="joints between bodies")
    thrusters: Thrusters = part(Thrusters, doc="thrusters on bodies")
    contact_impulse: jax.Array = array(
        "K", 2, unit="N s", dynamic=True, doc="normal and tangential impulse of the last step"
    )
    joint_impulse: jax.Array = array(
        "J", 3, unit="N s", dynamic=True, doc="(x, y) and angular [N m s] impulse of the last step"
    )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Contacts(ArrayFields):
    """Contacts found at the start of a step; slot `k` belongs to `contact_pairs(spec)[k]`."""

    active: jax.Array = array("K", dtype=bool, doc="the pair overlaps (also when a joint links the two)")
    pushing: jax.Array = array("K", dtype=bool, doc="active, and the two push each other")
    normal: jax.Array = array("K", 2, unit="1", doc="from the first body of the pair to the second")
    point: jax.Array = array("K", 2, unit="m", doc="contact point in the world")
    penetration: jax.Array = array("K", unit="m", doc="depth of the overlap")


DYNAMIC_FIELDS = tuple(name for name, spec in field_specs(SimState).items() if spec.dynamic)
"""Fields of `SimState` that a step changes; it passes on all others untouched."""

"""A rigid-body engine for 2D scenes in pure JAX, batched natively.

import jax, jax2d
spec = jax2d.SimSpec(num_polygons=5, num_circles=2, num_joints=1, num_thrusters=1)
scene = jax2d.Scene(spec)
scene.add_walls()
scene.add_box((2.5, 2.0), 0.4, 0.2)
state, contacts = jax.jit(jax2d.step, static_argnums=3)(
    scene.build(), jax.numpy.zeros(spec.num_actions), jax2d.SimParams(), spec
)
"""

from jax2d import edit, installation
from jax2d.cuda.compiler import KernelError
from jax2d.fields import FieldSpec, field_specs
from jax2d.pairs import contact_pairs, num_contacts
from jax2d.params import SimParams, SimSpec
from jax2d.queries import connected, joint_adjacency, touching
from jax2d.scene import Body, Joint, Scene, Thruster
from jax2d.step import step, step_batch
from jax2d.types import DYNAMIC_FIELDS, Contacts, Joints, SimState, Thrusters
from jax2d.validation import SceneError, validate

__version__ = "0.1.0"

installation.refuse_other_engine()

__all__ = [
    "DYNAMIC_FIELDS",
    "Body",
    "Contacts",
    "FieldSpec",
    "Joint",
    "Joints",
    "KernelError",
    "Scene",
    "SceneError",
    "SimParams",
    "SimSpec",
    "SimState",
    "Thruster",
    "Thrusters",
    "connected",
    "contact_pairs",
    "edit",
    "field_specs",
    "joint_adjacency",
    "num_contacts",
    "step",
    "step_batch",
    "touching",
    "validate",
]

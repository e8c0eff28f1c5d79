from jax2d.params import SimParams, SimSpec
from jax2d.step import step, step_batch
from jax2d.types import Contacts, Joints, SimState, Thrusters

"""A state as numpy arrays in double precision while it is built on the host, and its way to JAX."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

INTEGER_FIELDS = ("collision_mode", "num_vertices", "body_a", "body_b", "body")
BOOLEAN_FIELDS = ("active", "weld", "motor_on", "limits_on")


def _dtype(name: str, exact: bool) -> type:
    if name in INTEGER_FIELDS:
        return np.int32
    return bool if name in BOOLEAN_FIELDS else (np.float64 if exact else np.float32)


def empty_arrays(shapes) -> dict:
    """Zeroed host arrays in double precision; parts of the state that are not arrays as they are."""
    fields = shapes if isinstance(shapes, dict) else vars(shapes)
    return {
        name: np.zeros(shape, _dtype(name, exact=True)) if isinstance(shape, tuple) else shape
        for name, shape in fields.items()
    }


def to_jax(part):
    """The host arrays of a state, or a part of it, as JAX arrays."""
    fields = {
        name: jnp.asarray(value, _dtype(name, exact=False))
        if isinstance(value, np.ndarray)
        else to_jax(value)
        for name, value in vars(part).items()
    }
    return type(part)(**fields)

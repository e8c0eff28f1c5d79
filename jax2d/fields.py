"""Array fields that describe themselves: dtype, shape, unit and bounds as metadata of a dataclass.

    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class Discs(ArrayFields):
        position: jax.Array = array("C", 2, unit="m", doc="center")
        radius: jax.Array = array("C", unit="m", low=0.0)

Checks, empty arrays, file columns and documentation derive from the descriptions. A dimension is a number or
a symbol; `dimensions(spec)` gives the symbols of a `SimSpec`, and callers may add symbols of their own.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, Self

import jax
import numpy as np

from jax2d.pairs import num_contacts
from jax2d.params import SimSpec

Dim = str | int


@dataclasses.dataclass(frozen=True)
class FieldSpec:
    """Description of an array field.

    Attributes:
      dims: shape of one scene's array; a symbol stands for a size of the scene.
      dtype: dtype on the device: float32, int32 or bool.
      unit: SI unit, empty for an index or a flag.
      low, high: bounds of valid entries, both included.
      dynamic: whether a step changes the field.
      doc: meaning, in a few words.
    """

    dims: tuple[Dim, ...]
    dtype: np.dtype
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    dynamic: bool = False
    doc: str = ""

    @property
    def axis(self) -> Dim | None:
        """The leading dimension: `"N"` for a field of bodies."""
        return self.dims[0] if self.dims else None

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Shape for given sizes of the symbols."""
        return tuple(dim if isinstance(dim, int) else sizes[dim] for dim in self.dims)


def array(
    *dims: Dim,
    dtype: Any = np.float32,
    unit: str = "",
    low: float = -math.inf,
    high: float = math.inf,
    dynamic: bool = False,
    doc: str = "",
) -> Any:
    """Declares an array field of a dataclass; arguments as in `FieldSpec`."""
    spec = FieldSpec(dims, np.dtype(dtype), unit, low, high, dynamic, doc)
    return dataclasses.field(metadata={"array": spec})


def part(cls: type, doc: str = "") -> Any:
    """Declares a field that is itself a dataclass of array fields."""
    return dataclasses.field(metadata={"part": cls, "doc": doc})


@functools.cache
def _specs(cls: type) -> dict[str, FieldSpec]:
    return {f.name: f.metadata["array"] for f in dataclasses.fields(cls) if "array" in f.metadata}


def field_specs(cls: Any, axis: Dim | None = None) -> dict[str, FieldSpec]:
    """Descriptions of the array fields of a dataclass, by name and in order; parts are left out.

    Args:
      cls: the dataclass, or an instance of it.
      axis: only fields with this leading dimension: `field_specs(SimState, axis="N")` are those of bodies.
    """
    specs = _specs(cls if isinstance(cls, type) else type(cls))
    return {name: spec for name, spec in specs.items() if axis is None or spec.axis == axis}


def part_types(cls: Any) -> dict[str, type]:
    """Dataclasses of the fields of `cls` that are dataclasses of array fields themselves, by name."""
    cls = cls if isinstance(cls, type) else type(cls)
    return {f.name: f.metadata["part"] for f in dataclasses.fields(cls) if "part" in f.metadata}


@functools.cache
def dimensions(spec: SimSpec) -> Mapping[str, int]:
    """Sizes of the shape symbols.

    `N` bodies (`P` polygon slots, then `C` circle slots), `V` vertices of a polygon, `J` joint slots,
    `T` thruster slots, `K` contact slots (`jax2d.contact_pairs`).
    """
    return {
        "N": spec.num_bodies,
        "P": spec.num_polygons,
        "C": spec.num_circles,
        "V": spec.max_vertices,
        "J": spec.num_joints,
        "T": spec.num_thrusters,
        "K": num_contacts(spec),
    }


def shapes(cls: type, sizes: Mapping[str, int]) -> Any:
    """Builds a `cls` whose leaves are `jax.ShapeDtypeStruct`, for given sizes of the symbols."""
    leaves = {
        name: jax.ShapeDtypeStruct(spec.shape(sizes), spec.dtype) for name, spec in field_specs(cls).items()
    }
    return cls(**leaves | {name: shapes(inner, sizes) for name, inner in part_types(cls).items()})


def host_zeros(structure: Any, float_dtype: Any = np.float32) -> Any:
    """Builds writable numpy zeros for a tree of `jax.ShapeDtypeStruct`.

    Args:
      float_dtype: dtype of the floating-point arrays; float64 while values are computed on the host.
    """

    def zeros(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        floating = np.issubdtype(leaf.dtype, np.floating)
        return np.zeros(leaf.shape, float_dtype if floating else leaf.dtype)

    return jax.tree.map(zeros, structure)


class ArrayFields:
    """Base of dataclasses whose fields are declared with `array` and `part`."""

    @classmethod
    def shapes(cls, spec: SimSpec) -> Self:
        """The same structure with `jax.ShapeDtypeStruct` leaves, for one scene."""
        return shapes(cls, dimensions(spec))


def markdown_table(cls: type) -> str:
    """Table of the fields of a dataclass: name, dtype, shape, unit, meaning."""
    rows = ["| field | dtype | shape | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    for field in dataclasses.fields(cls):
        if "part" in field.metadata:
            row = (field.metadata["part"].__name__, "", "", field.metadata["doc"])
        else:
            spec = field.metadata["array"]
            shape = "[" + ", ".join(map(str, spec.dims)) + "]"
            row = (spec.dtype.name, f"`{shape}`", spec.unit, spec.doc)
        rows.append("| " + " | ".join((f"`{field.name}`", *row)) + " |")
    return "\n".join(rows) + "\n"

"""The kernel's text for one `SimSpec`: its sizes, the arrays it is given, and the files beside this one."""

from __future__ import annotations

import dataclasses
import functools
from importlib import resources

import numpy as np

from jax2d.fields import dimensions, field_specs, part_types
from jax2d.params import SimParams, SimSpec
from jax2d.types import DYNAMIC_FIELDS, Contacts, SimState

ENTRY = "jax2d_kernel"
BLOCK = 32  # threads of a block; a warp each, so that few scenes are spread over many multiprocessors
SHARED_BYTES = 48 * 1024  # of a block, without asking for more
MOTION_ROWS = 7  # floats of a body in `Motion` (motion.cu)
MOST_CONTACTS = 1024  # slots, each with 64 B on a thread's stack
MOST_BODIES = 255
FILES = ("prelude.cu", "collision.cu", "motion.cu", "contacts.cu", "step.cu")
C_TYPES = {"f": "float", "i": "int", "b": "bool"}
# What contacts are found from.
GEOMETRY = ("position", "rotation", "collision_mode", "active", "vertices", "num_vertices", "radius")


@dataclasses.dataclass(frozen=True)
class Argument:
    """An array that the kernel reads or writes.

    Attributes:
      name: its name in the kernel; a part's field is `part_field`, a result has `out_` in front.
      shape: of one scene.
      dtype: of its entries.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        """Entries of one scene."""
        return int(np.prod(self.shape))

    @property
    def is_result(self) -> bool:
        """Whether the kernel writes it."""
        return self.name.startswith("out_")


def fields_of_state(spec: SimSpec) -> list[Argument]:
    """Describes the arrays of a `SimState`, in the order of its leaves."""
    sizes = dimensions(spec)

    def fields(cls: type, prefix: str) -> list[Argument]:
        parts = part_types(cls)
        found: list[Argument] = []
        for field in dataclasses.fields(cls):
            if field.name in parts:
                found += fields(parts[field.name], f"{field.name}_")
            else:
                described = field_specs(cls)[field.name]
                found.append(Argument(prefix + field.name, described.shape(sizes), described.dtype))
        return found

    return fields(SimState, "")


def results_of(spec: SimSpec, report: bool) -> list[Argument]:
    """Describes what the kernel writes: what a step changes and flags of contacts, or a report of them."""
    sizes = dimensions(spec)
    contacts = field_specs(Contacts)
    if report:
        chosen = {name: contacts[name] for name in ("normal", "point", "penetration")}
    else:
        state = field_specs(SimState)
        chosen = {name: state[name] for name in DYNAMIC_FIELDS}
        chosen |= {name: contacts[name] for name in ("active", "pushing")}
    return [Argument(f"out_{name}", field.shape(sizes), field.dtype) for name, field in chosen.items()]


def operands_of(spec: SimSpec, report: bool) -> list[Argument]:
    """Describes what the kernel reads, but for the numbers of the physics and the sizes of the batch."""
    state = fields_of_state(spec)
    if report:
        return [argument for argument in state if argument.name in GEOMETRY]
    return [*state, Argument("actions", (spec.num_actions,), np.dtype(np.float32))]


def arguments_of(spec: SimSpec, report: bool = False) -> list[Argument]:
    """Lists the kernel's arguments in order: those that are not empty, results last."""
    numbers = Argument("params", (len(dataclasses.fields(SimParams)),), np.dtype(np.float32))
    sizes = Argument("sizes", (2,), np.dtype(np.int32))  # of the batch; 1 if `params` has numbers for each
    every = [*operands_of(spec, report), numbers, sizes, *results_of(spec, report)]
    return [argument for argument in every if argument.size]


def _declaration(argument: Argument) -> str:
    constant = "" if argument.is_result else "const "
    return f"{constant}{C_TYPES[argument.dtype.kind]}* {argument.name}"


@functools.cache
def _files() -> str:
    """The text of all files, joined."""
    folder = resources.files("jax2d.cuda")
    texts = (f'#line 1 "{name}"\n{folder.joinpath(name).read_text(encoding="utf-8")}' for name in FILES)
    return "\n".join(texts)


@functools.cache
def kernel_source(spec: SimSpec, *, batch_first: bool = False, report: bool = False) -> str:
    """Writes the kernel of a spec: CUDA C for NVRTC, which is C++ for other compilers.

    Args:
      spec: sizes and solver.
      batch_first: the batch is the arrays' first axis; else their last one.
      report: write normals, points and penetrations of contacts, and do not step.
    """
    given = arguments_of(spec, report)
    members = [*fields_of_state(spec), *operands_of(spec, False)[-1:]]
    members += [*results_of(spec, False), *results_of(spec, True)]
    names = {argument.name for argument in given}
    struct = [_declaration(argument) for argument in members]
    struct += ["const float* params", "const int* sizes"]
    values = [argument.name if argument.name in names else "nullptr" for argument in members]
    motion_bytes = 4 * MOTION_ROWS * spec.num_bodies * BLOCK
    shared = motion_bytes <= SHARED_BYTES
    defined = {
        "POLYGONS": spec.num_polygons,
        "CIRCLES": spec.num_circles,
        "WALLS": spec.num_walls,
        "JOINTS": spec.num_joints,
        "THRUSTERS": spec.num_thrusters,
        "VERTICES": spec.max_vertices,
        "ITERATIONS": spec.solver_iterations,
        "WARM_START": int(spec.warm_start),
        "KINETIX_ORDER": int(spec.contact_order == "kinetix"),
        "BATCH_FIRST": int(batch_first),
        "REPORT": int(report),
        "BLOCK": BLOCK,
        "SHARED_MOTION": int(shared),
        "MOTION_STRIDE": "BLOCK" if shared else 1,
        "PARAMETERS": ", ".join(map(_declaration, given)),
        "ARGUMENTS": ", ".join([*values, "params", "sizes"]),
    }
    defined |= {f"P_{field.name.upper()}": i for i, field in enumerate(dataclasses.fields(SimParams))}
    lines = [f"#define {name} {value}" for name, value in defined.items()]
    lines += ["struct Arrays {", *(f"  {member};" for member in struct), "};"]
    return "\n".join([*lines, _files()])

"""A model of the time that a compiled program takes: one roofline for each kernel, by memory traffic alone.

A kernel that moves `bytes` takes `max(launch, bytes / bandwidth + latency)`; arithmetic is taken to be hidden
behind the traffic. Loops are multiplied by their iterations; a loop of unknown length counts once. Of a
conditional, the branch that takes the least time counts; what the one that takes the most adds is told apart.
Of the engine's own, which are always true and only keep the compiler from fusing, that one counts.
Traffic is that of the device's main memory: what stays in a TPU's on-chip memory moves nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence

from agents.plan.hlo import Instruction, Module, parse_module, shape_bytes, tuple_shapes
from agents.plan.loops import trip_count
from jax2d.flat import ALWAYS

# Instructions that run nothing of their own.
FREE = frozenset(
    (
        "add-dependency",
        "after-all",
        "bitcast",
        "constant",
        "domain",
        "get-tuple-element",
        "iota",
        "opt-barrier",
        "parameter",
        "partition-id",
        "replica-id",
        "tuple",
    )
)
OTHER = "other"
# Words of an operation's path that tell nothing of what it is for, and transformations around others.
LOOP_WORDS = frozenset(("body", "closed_call", "while"))
_TRANSFORMATION = re.compile(r"\b(?:jit|jvp|transpose|vmap)\(")


@dataclasses.dataclass(frozen=True)
class Rates:
    """Speed of a device: memory bandwidth [B/s], least time of a kernel [s] and latency of its memory [s]."""

    bandwidth: float
    launch: float
    latency: float

    def seconds(self, size: float) -> float:
        """Time of a kernel that moves `size` bytes."""
        return max(self.launch, size / self.bandwidth + self.latency)


@dataclasses.dataclass
class Cost:
    """Sums over kernels: their number, bytes and seconds, and seconds that a conditional may add."""

    kernels: int = 0
    moved: int = 0
    seconds: float = 0.0
    conditional: float = 0.0

    def add(self, other: Cost, times: int = 1) -> None:
        """Adds another cost, so many times."""
        for field in dataclasses.fields(self):
            name = field.name
            setattr(self, name, getattr(self, name) + times * getattr(other, name))


@dataclasses.dataclass
class Plan:
    """Cost of each operation, by its part and its path in the program; loops of unknown length.

    Loops are counted as they are written, in branches that do not count too.
    """

    operations: dict[tuple[str, str], Cost] = dataclasses.field(default_factory=dict)
    unknown_loops: int = 0

    @property
    def parts(self) -> dict[str, Cost]:
        """Cost of each part."""
        parts: dict[str, Cost] = {}
        for (part, _), cost in self.operations.items():
            parts.setdefault(part, Cost()).add(cost)
        return parts

    @property
    def total(self) -> Cost:
        """Cost of all parts."""
        whole = Cost()
        for cost in self.operations.values():
            whole.add(cost)
        return whole

    def at(self, part: str, path: str) -> Cost:
        """Cost of an operation, to be changed."""
        return self.operations.setdefault((part, path), Cost())

    def add(self, other: Plan, times: int = 1) -> None:
        """Adds another plan, so many times; its loops of unknown length once."""
        for key, cost in other.operations.items():
            self.at(*key).add(cost, times)
        self.unknown_loops += other.unknown_loops


def _read(parameter: Instruction, users: Sequence[Instruction]) -> int:
    """Bytes that a fused computation reads of a parameter, of which its users may take slices only."""
    size, read = shape_bytes(parameter.shape), 0
    for user in users:
        only_first = user.operands[0] == parameter.name and parameter.name not in user.operands[1:]
        if only_first and user.opcode in ("dynamic-slice", "slice", "gather"):
            read += shape_bytes(user.shape)
        elif not (only_first and user.opcode == "dynamic-update-slice"):
            return size
    return min(read, size)


def _written(instruction: Instruction, lines: dict[str, Instruction]) -> int:
    """Bytes that are written of a result: of an update in place, those of the update."""
    if instruction.opcode == "bitcast":
        return _written(lines[instruction.operands[0]], lines)
    if instruction.opcode == "dynamic-update-slice":
        return shape_bytes(lines[instruction.operands[1]].shape)
    return shape_bytes(instruction.shape)


def _fusion_bytes(fusion: Instruction, shapes: dict[str, str], body: Sequence[Instruction]) -> int:
    """Bytes of the main memory that a fusion reads and writes; shapes outside of it tell the memory."""
    lines = {line.name: line for line in body}

    def source(name: str) -> str:
        """The value that a chain of bitcasts begins with."""
        line = lines.get(name)
        return source(line.operands[0]) if line is not None and line.opcode == "bitcast" else name

    users: dict[str, list[Instruction]] = {}
    for line in body:
        if line.opcode not in ("parameter", "constant", "bitcast"):
            line = dataclasses.replace(line, operands=tuple(map(source, line.operands)))
            for name in dict.fromkeys(line.operands):
                users.setdefault(name, []).append(line)
    moved = 0
    for line in body:
        if line.opcode == "parameter":
            outside = shapes.get(fusion.operands[int(line.operands[0])], "")
            if shape_bytes(outside, main_memory=True):
                moved += _read(line, users.get(line.name, ()))
    root = next(line for line in body if line.root)
    if root.opcode != "tuple" and fusion.shape.startswith("("):  # such as a sort of several arrays
        return moved + shape_bytes(fusion.shape, main_memory=True)
    results = [lines[name] for name in root.operands] if root.opcode == "tuple" else [root]
    for line, outside in zip(results, tuple_shapes(fusion.shape), strict=True):
        if shape_bytes(outside, main_memory=True):
            moved += _written(line, lines)
    return moved


def moved_bytes(instruction: Instruction, shapes: dict[str, str], module: Module) -> int:
    """Bytes of the main memory that one kernel reads and writes.

    Args:
      instruction: instruction of a computation that is no fusion.
      shapes: shapes of the instructions of its computation, by name.
      module: program.
    """
    operands = [shape_bytes(shapes.get(name, ""), main_memory=True) for name in instruction.operands]
    result, kind = shape_bytes(instruction.shape, main_memory=True), instruction.opcode
    if kind == "fusion":
        return _fusion_bytes(instruction, shapes, module.computations[instruction.called["calls"][0]])
    if kind in ("dynamic-slice", "slice", "gather"):
        return 2 * result + sum(operands[1:])
    if kind == "dynamic-update-slice":
        return 2 * operands[1] + sum(operands[2:])
    if kind == "scatter":
        return sum(operands[1:]) + operands[-1]
    if kind == "copy-start":  # of the result's tuple, the first is the copy
        return sum(operands) + shape_bytes(tuple_shapes(instruction.shape)[0], main_memory=True)
    if kind in ("slice-start", "dynamic-slice-start"):  # of the result's tuple, the second is the slice
        part = tuple_shapes(instruction.shape)[1]
        return shape_bytes(part) + shape_bytes(part, main_memory=True)
    if kind.endswith("-start"):  # the result's tuple repeats the operand
        return 2 * sum(operands)
    if kind == "custom-call":  # the scratch memory of a library's routine is a result too
        scratch = [shape for shape in tuple_shapes(instruction.shape) if shape.startswith("s8[")]
        return result - sum(map(shape_bytes, scratch)) + sum(operands)
    return result + sum(operands)


def part_of(op_name: str, scopes: Sequence[Sequence[str]]) -> str | None:
    """Finds the part of an operation: the first of `scopes` whose names are in its path, in their order.

    Args:
      op_name: path of the operation, such as `"jit(f)/learn/while/body/transpose(jvp(learn))/mul"`.
      scopes: names of nested `jax.named_scope`, the deepest nesting first.
    """
    path = re.split(r"[/()]", op_name)
    for names in scopes:
        rest = iter(path)
        if all(name in rest for name in names):
            return " / ".join(names)
    return None


def short_path(op_name: str, scope: str) -> str:
    """Shortens the path of an operation within a part to what tells it apart, gradients marked by `'`."""
    words = re.split(r"[/()]", _TRANSFORMATION.sub("", op_name))
    words = [word for word in words if word and word not in LOOP_WORDS and word not in scope.split(" / ")]
    words = [word for word, before in zip(words, ["", *words], strict=False) if word != before]
    return "/".join(words[-3:]) + ("'" if "transpose(" in op_name else "")


def is_always_true(conditional: Instruction) -> bool:
    """Tells whether a conditional is only a boundary for the compiler, whose condition is always true."""
    return [word for word in re.split(r"[/()]", conditional.op_name) if word][-2:-1] == [ALWAYS]


def count_kernels(text: str) -> int:
    """Counts the kernels of one run of a compiled module (`compiled.as_text()`), loops multiplied out."""
    rates = Rates(bandwidth=1e12, launch=1e-6, latency=0)  # by which conditionals are told apart
    return plan_time(parse_module(text), rates).total.kernels


def plan_time(module: Module, rates: Rates, scopes: Sequence[Sequence[str]] = ()) -> Plan:
    """Models the time of one run of a program.

    Args:
      module: compiled program.
      rates: speed of the device.
      scopes: parts to tell apart, as in `part_of`; what is in none of them has the part of the loop or call
        that it is in, and otherwise `OTHER`.
    """

    @functools.cache
    def walk(name: str, inherited: str) -> Plan:
        plan, shapes = Plan(), {}
        lines = {line.name: line for line in module.computations[name]}
        for line in lines.values():
            shapes[line.name] = line.shape
            if line.opcode in FREE or line.opcode.endswith(("-done", "-update")):
                continue
            part = part_of(line.op_name, scopes) or inherited
            if line.opcode == "while":
                trips = trip_count(line, lines, module)
                plan.add(walk(line.called["body"][0], part), 1 if trips is None else trips)
                plan.unknown_loops += trips is None
            elif line.opcode in ("call", "async-start"):
                callee = line.called.get("to_apply") or line.called["calls"]
                plan.add(walk(callee[0], part))
            elif line.opcode == "conditional":
                names = [n for key in line.called for n in line.called[key]]
                branches = sorted((walk(n, part) for n in names), key=lambda p: p.total.seconds)
                if is_always_true(line):
                    plan.add(branches[-1])
                    continue
                plan.add(branches[0])
                plan.unknown_loops += sum(branch.unknown_loops for branch in branches[1:])
                least = branches[0].total
                most = max(branch.total.seconds + branch.total.conditional for branch in branches)
                extra = most - least.seconds - least.conditional
                plan.at(part, short_path(line.op_name, part) or line.opcode).conditional += extra
            else:
                size = moved_bytes(line, shapes, module)
                cost = plan.at(part, short_path(line.op_name, part) or line.opcode)
                cost.add(Cost(1, size, rates.seconds(size)))
        return plan

    return walk(module.entry, OTHER)

"""Reading the text of a compiled XLA program (`compiled.as_text()`)."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator

# Bits of an element; types of fewer than 8 bits are stored one to a byte.
BITS = {
    **dict.fromkeys(("pred", "s2", "s4", "s8", "u2", "u4", "u8"), 8),
    **dict.fromkeys(("f8e4m3fn", "f8e5m2", "f8e4m3b11fnuz", "f8e4m3fnuz", "f8e5m2fnuz"), 8),
    **dict.fromkeys(("s16", "u16", "f16", "bf16"), 16),
    **dict.fromkeys(("s32", "u32", "f32"), 32),
    **dict.fromkeys(("s64", "u64", "f64", "c64"), 64),
    "c128": 128,
}
_ARRAY = re.compile(r"\b([a-z][a-z0-9]*)\[([\d,<=]*)\](\{[^}]*\})?")
_HEADER = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{\s*$")
_START = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = ")
_OPCODE = re.compile(r"\s*([a-z][a-z0-9\-]*)\(")
_CALLED = re.compile(
    r"\b(body|condition|calls|to_apply|true_computation|false_computation|branch_computations)=(\{[^}]*\}|%?[\w.\-]+)"
)
_TRIPS = re.compile(r'known_trip_count"?\s*:\s*\{"n":"(\d+)"')
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_INDEX = re.compile(r", index=(\d+)")
_DIRECTION = re.compile(r", direction=([A-Z]+)")
_ELSEWHERE = re.compile(r"S\([1-9]\d*\)")
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a computation.

    Attributes:
      name: name without `%`.
      opcode: such as `"fusion"`.
      shape: its result, as printed: an array, or a tuple of them.
      operands: names of the operands; of a parameter, its number; of a constant, its value.
      called: names of the computations it calls, by attribute (`"body"`, `"calls"`, ...).
      trip_count: iterations of a `while` where XLA tells them.
      index: position that a `get-tuple-element` takes.
      direction: relation of a `compare`, such as `"LT"`.
      op_name: JAX's path of the operation, with named scopes; empty if there is none.
      root: it is the result of its computation.
    """

    name: str
    opcode: str
    shape: str
    operands: tuple[str, ...]
    called: dict[str, tuple[str, ...]]
    trip_count: int | None
    index: int | None
    direction: str
    op_name: str
    root: bool


@dataclasses.dataclass(frozen=True)
class Module:
    """A program: instructions of each computation in the order of the text, and the name of the entry."""

    computations: dict[str, tuple[Instruction, ...]]
    entry: str


def shape_bytes(shape: str, main_memory: bool = False) -> int:
    """Bytes of an array or of all arrays of a tuple, as printed; tokens and opaque values have none.

    Args:
      shape: shape as printed, with or without layouts.
      main_memory: leave out arrays that lie in another memory than the device's main one, such as a TPU's
        on-chip memory, by the memory space `S(1)` of their layout.

    Raises:
      ValueError: an unknown element type.
    """
    total = 0
    for kind, sizes, layout in _ARRAY.findall(shape):
        if kind in ("token", "opaque") or (main_memory and _ELSEWHERE.search(layout)):
            continue
        if kind not in BITS:
            raise ValueError(f"unknown element type {kind!r} in the shape {shape!r}; known: {sorted(BITS)}")
        total += math.prod(int(size.lstrip("<=")) for size in sizes.split(",") if size) * BITS[kind] // 8
    return total


def _closing(text: str, start: int) -> int:
    """Index after the bracket that closes the one at `start`.

    Raises:
      ValueError: there is none.
    """
    depth = 0
    for index in range(start, len(text)):
        depth += _BRACKETS.get(text[index], 0)
        if depth == 0:
            return index + 1
    raise ValueError(f"unbalanced brackets: {text[start : start + 80]!r}")


def tuple_shapes(shape: str) -> tuple[str, ...]:
    """Shapes of the elements of a tuple; of an array, itself alone."""
    return tuple(part.strip() for part in _split(shape[1:-1])) if shape.startswith("(") else (shape,)


def _split(text: str) -> Iterator[str]:
    """Parts between commas outside of brackets."""
    depth, begin = 0, 0
    for index, letter in enumerate(text):
        depth += _BRACKETS.get(letter, 0)
        if letter == "," and depth == 0:
            yield text[begin:index]
            begin = index + 1
    if text[begin:].strip():
        yield text[begin:]


def _result(text: str) -> tuple[str, str]:
    """Splits the text after `=` into the result's shape and the rest, which begins with the opcode."""
    # Without a tuple: element type, sizes, and a layout in braces, without blanks.
    end = _closing(text, 0) if text.startswith("(") else text.index(" ")
    return text[:end], text[end:]


def _instruction(line: str) -> Instruction | None:
    start = _START.match(line)
    if start is None:
        return None
    shape, rest = _result(re.sub(r"/\*.*?\*/", "", line[start.end() :]))
    opcode = _OPCODE.match(rest)
    operands: tuple[str, ...]
    if opcode is None:
        raise ValueError(f"no operation in the line {line.strip()[:120]!r}")
    if opcode[1] == "constant":  # its value may hold anything
        operands, attributes = (rest[opcode.end() :].split(")")[0],), ""
    else:
        end = _closing(rest, opcode.end() - 1)
        words = (part.split()[-1].lstrip("%") for part in _split(rest[opcode.end() : end - 1]))
        operands, attributes = tuple(words), rest[end:]
    called = {
        name: tuple(word.strip().lstrip("%") for word in value.strip("{}").split(","))
        for name, value in _CALLED.findall(attributes)
    }
    trips, op_name = _TRIPS.search(attributes), _OP_NAME.search(attributes)
    index, direction = _INDEX.search(attributes), _DIRECTION.search(attributes)
    return Instruction(
        name=start[2],
        opcode=opcode[1],
        shape=shape,
        operands=operands,
        called=called,
        trip_count=int(trips[1]) if trips else None,
        index=int(index[1]) if index else None,
        direction=direction[1] if direction else "",
        op_name=op_name[1] if op_name else "",
        root=start[1] is not None,
    )


def parse_module(text: str) -> Module:
    """Parses a program.

    Raises:
      ValueError: it has no entry, or a line that is not understood.
    """
    computations: dict[str, list[Instruction]] = {}
    current: list[Instruction] | None = None
    entry = ""
    for line in text.splitlines():
        header = _HEADER.match(line)
        if header and not line.startswith("HloModule"):
            current = computations.setdefault(header[2], [])
            entry = header[2] if header[1] else entry
        elif line.startswith("}"):
            current = None
        elif current is not None and (instruction := _instruction(line)):
            current.append(instruction)
    if not entry:
        raise ValueError("the text has no ENTRY computation: it is not a compiled HLO module")
    return Module({name: tuple(lines) for name, lines in computations.items()}, entry)

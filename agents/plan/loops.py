"""Iterations of loops of which the text does not tell them, as in programs for TPUs."""

from __future__ import annotations

from collections.abc import Mapping

from agents.plan.hlo import Instruction, Module

Lines = Mapping[str, Instruction]
# Instructions whose result has the value of their first operand.
SAME_VALUE = frozenset(("bitcast", "convert", "copy", "copy-done", "copy-start", "reshape"))


def trip_count(loop: Instruction, lines: Lines, module: Module) -> int | None:
    """Iterations of a loop: those that XLA tells, or those of a counter that is compared with a constant.

    Such a counter begins at a constant, is below a bound in the condition, and grows by a constant in the
    body; so are those of `jax.lax.scan` and of `jax.lax.fori_loop` with bounds that are known.

    Args:
      loop: a `while`.
      lines: instructions of its computation, by name.
      module: program.

    Returns:
      the number, or None if it is not known.
    """
    if loop.trip_count is not None:
        return loop.trip_count
    start = _source(loop.operands[0], lines)
    condition = {line.name: line for line in module.computations[loop.called["condition"][0]]}
    body = {line.name: line for line in module.computations[loop.called["body"][0]]}
    test, later = _root(condition), _root(body)
    if start is None or {start.opcode, later.opcode} != {"tuple"} or test.direction != "LT":
        return None

    def value(name: str, own: Lines) -> int | None:
        """A constant, also one that the loop carries along unchanged."""
        line = _source(name, own)
        if line is None or line.opcode == "constant":
            return None if line is None else _integer(line)
        if line.index is None or _index(later.operands[line.index], body) != line.index:
            return None
        first = _source(start.operands[line.index], lines)
        return None if first is None else _integer(first)

    counter, bound = _index(test.operands[0], condition), value(test.operands[1], condition)
    if counter is None or bound is None:
        return None
    first, change = _source(start.operands[counter], lines), _source(later.operands[counter], body)
    begin = None if first is None else _integer(first)
    if begin is None or change is None or change.opcode != "add":
        return None
    steps = [value(name, body) for name in change.operands if _index(name, body) != counter]
    if len(steps) != 1 or not steps[0] or steps[0] < 0:
        return None
    return max(-((begin - bound) // steps[0]), 0)


def _source(name: str, lines: Lines) -> Instruction | None:
    """The instruction that a value comes from, behind copies; None if it is not one of these lines."""
    line = lines.get(name)
    while line is not None and line.opcode in SAME_VALUE:
        line = lines.get(line.operands[0])
    return line


def _index(name: str, lines: Lines) -> int | None:
    """Position in the loop's state that a value comes from; None if it is another value."""
    line = _source(name, lines)
    if line is None or line.index is None:
        return None
    return line.index if lines[line.operands[0]].opcode == "parameter" else None


def _root(lines: Lines) -> Instruction:
    return next(line for line in lines.values() if line.root)


def _integer(line: Instruction) -> int | None:
    """Value of a constant; None of any other instruction, and of constants that are no integers."""
    text = line.operands[0] if line.opcode == "constant" else ""
    return int(text) if text.removeprefix("-").isdigit() else None

"""Counting the kernels that a compiled XLA program runs one after another."""

from __future__ import annotations

import re

# Instructions that run nothing of their own.
FREE = {
    "after-all",
    "bitcast",
    "call",
    "conditional",
    "constant",
    "get-tuple-element",
    "iota",
    "opt-barrier",
    "parameter",
    "partition-id",
    "tuple",
    "while",
}
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = .*?[\])}] ([a-z][a-z\-0-9]*)\(")


def _computations(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if re.match(r"^(ENTRY )?%?[\w.\-]+ .*\{$", line):
            name = line.split()[0].lstrip("%")
            if name == "ENTRY":
                name = "ENTRY"
            found[name] = []
        elif name:
            found[name].append(line)
    return found


def count_kernels(text: str) -> int:
    """Kernels of one run of a compiled module (`compiled.as_text()`), loops multiplied out."""
    computations = _computations(text)

    def count(name: str) -> int:
        total = 0
        for line in computations.get(name, ()):
            match = _INSTRUCTION.match(line)
            if not match:
                continue
            kind = match.group(1)
            if kind == "while":
                trips = re.search(r'known_trip_count":\{"n":"(\d+)"', line)
                body = re.search(r"body=%?([\w.\-]+)", line)
                if body:
                    total += (int(trips.group(1)) if trips else 1) * count(body.group(1))
            elif kind == "call":
                callee = re.search(r"to_apply=%?([\w.\-]+)", line)
                total += count(callee.group(1)) if callee else 0
            elif kind not in FREE:
                total += 1
        return total

    return count("ENTRY")


def kernels_per_step(text: str, steps: int) -> int:
    """Kernels in the body of the loop over `steps`, rounded; what is hoisted out of it counts little."""
    return round(count_kernels(text) / steps)

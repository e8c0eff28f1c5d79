"""JSON values that know their file and path, so that every error names the field."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import numpy as np


class LevelError(ValueError):
    """A wrong level, in a file or to be written; names the file, field, value and bound."""


def truncated_repr(value: Any) -> str:
    """Returns the repr of a value, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def listed(words: Iterable[Any]) -> str:
    """Returns `a, b, c`, sorted."""
    return ", ".join(sorted(map(str, words)))


class JsonNode:
    """A JSON value with its path, such as `bodies[3].radius` of `car.json`.

    Every method raises `LevelError` if the value is not of the kind that it reads.
    """

    def __init__(self, value: Any, file: str, path: str = ""):
        self.value = value
        self.file = file
        self.path = path

    def fail(self, problem: str) -> NoReturn:
        """Raises a `LevelError` that starts with the file and the path."""
        raise LevelError(f"{self.file}: {self.path or 'the content'} {problem}")

    def require(self, good: bool, bound: str) -> None:
        """Fails with `must be BOUND, got VALUE` unless `good`."""
        if not good:
            self.fail(f"must be {bound}, got {truncated_repr(self.value)}")

    def __contains__(self, key: str) -> bool:
        return key in self.value

    def __getitem__(self, key: str | int) -> JsonNode:
        if isinstance(key, int):
            return JsonNode(self.value[key], self.file, f"{self.path}[{key}]")
        self.require(isinstance(self.value, dict), "an object")
        if key not in self.value:
            self.fail(f"has no field {key!r}")
        return JsonNode(self.value[key], self.file, f"{self.path}.{key}".lstrip("."))

    def get(self, key: str, default: Any) -> JsonNode:
        """Returns the field of that name, or a node of a default in its place."""
        if key in self.value:
            return self[key]
        return JsonNode(default, self.file, f"{self.path}.{key}".lstrip("."))

    def require_keys(self, required: Iterable[str], optional: Iterable[str] = ()) -> JsonNode:
        """Returns this node after checking that it has all required and no unknown fields."""
        self.require(isinstance(self.value, dict), "an object")
        required = tuple(required)
        for key in required:
            if key not in self.value:
                self.fail(f"has no field {key!r}")
        known = {*required, *optional}
        for key in self.value:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"it may have {listed(known)}"
                self.fail(f"has an unknown field {key!r}; {hint}")
        return self

    def elements(self, low: int = 0, high: int | None = None) -> list[JsonNode]:
        """Returns the nodes of a list of `low .. high` values."""
        self.require(isinstance(self.value, list), "a list")
        count = len(self.value)
        if count < low or (high is not None and count > high):
            bound = str(low) if high == low else f"{low} .. {high}" if high is not None else f"at least {low}"
            self.fail(f"must have {bound} entries, got {count}")
        return [self[i] for i in range(count)]

    def number(self, low: float = -math.inf, high: float = math.inf, *, above: bool = False) -> np.float32:
        """Reads a finite float32 in `low .. high`, or strictly above `low`."""
        value = self.value
        self.require(isinstance(value, (int, float)) and not isinstance(value, bool), "a number")
        try:
            with np.errstate(over="ignore", under="ignore"):
                number = np.float32(value)
        except OverflowError:
            number = np.float32(math.inf)
        self.require(bool(np.isfinite(number)), "finite, within the range of float32")
        beyond = bool(number < low or (above and number == low))
        self.require(not beyond, f"{'above' if above else 'at least'} {low:g}")
        self.require(bool(number <= high), f"at most {high:g}")
        return number

    def vector(self) -> np.ndarray:
        """Reads two finite numbers `[x, y]` as float32 `[2]`."""
        return np.array([item.number() for item in self.elements(2, 2)], np.float32)

    def integer(self, low: int, high: int) -> int:
        """Reads an integer in `low .. high`."""
        self.require(isinstance(self.value, int) and not isinstance(self.value, bool), "an integer")
        self.require(low <= self.value <= high, f"in {low} .. {high}")
        return self.value

    def boolean(self) -> bool:
        """Reads `true` or `false`."""
        self.require(isinstance(self.value, bool), "true or false")
        return self.value

    def string(self) -> str:
        """Reads a string."""
        self.require(isinstance(self.value, str), "a string")
        return self.value

    def choice(self, choices: Iterable[str]) -> str:
        """Reads one of a few strings."""
        choices = tuple(choices)
        good = isinstance(self.value, str) and self.value in choices
        self.require(good, f"one of {', '.join(choices)}")
        return self.value


def parse(text: str | bytes, file: str) -> JsonNode:
    """Parses a JSON text to its root node.

    Raises:
      LevelError: not JSON, not an object, a field twice, or a number that is not finite.
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise LevelError(f"{file}: not a level: its JSON is nested too deeply") from None
    except ValueError as error:  # also of bytes that are not UTF-8
        raise LevelError(f"{file}: not valid JSON: {error}") from None
    return parse_dict(value, file)


def parse_dict(value: Any, file: str) -> JsonNode:
    """Returns the root node of content that is parsed already, checked as by `parse`."""
    root = JsonNode(value, file)
    root.require(isinstance(value, dict), "a JSON object")
    for node in _floats(root):
        node.require(math.isfinite(node.value), "finite")
    return root


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"field {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return content


def _floats(node: JsonNode) -> Iterator[JsonNode]:
    if isinstance(node.value, float):
        yield node
    elif isinstance(node.value, dict):
        for key in node.value:
            yield from _floats(node[key])
    elif isinstance(node.value, list):
        for item in node.elements():
            yield from _floats(item)


def shortest_decimal(value: Any) -> float | int:
    """Returns the number with the fewest digits that reads back as a float32, bit for bit."""
    number = float(str(np.float32(value)))
    whole = (
        number.is_integer() and abs(number) < 1e6 and math.copysign(1, number) == (-1 if number < 0 else 1)
    )
    return int(number) if whole else number


def same(a: Any, b: Any) -> bool:
    """Compares values as float32, bit for bit: 0 and -0 differ."""
    return np.asarray(a, np.float32).tobytes() == np.asarray(b, np.float32).tobytes()

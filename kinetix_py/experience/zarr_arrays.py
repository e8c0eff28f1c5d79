"""Arrays in format 2 of Zarr, read by numpy; also records with arrays in them, which Zarr 3 refuses.

Format: https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import pathlib
import zlib
from typing import Any

import numpy as np


class ZarrError(ValueError):
    """A folder that is no group of arrays of format 2, or a chunk that cannot be read."""


def _dtype(description: Any) -> np.dtype:
    """Makes the type of a text such as `"<f4"`, or of fields `[name, type]` and `[name, type, shape]`."""
    if isinstance(description, str):
        return np.dtype(description)
    return np.dtype([(name, _dtype(of), *map(tuple, shape)) for name, of, *shape in description])


def _decode(data: bytes, codec: dict[str, Any], file: pathlib.Path) -> Any:
    """Undoes one compression or filter of a chunk.

    Raises:
      ImportError: it needs numcodecs.
    """
    if codec["id"] == "zlib":
        return zlib.decompress(data)
    try:
        import numcodecs
    except ImportError:
        raise ImportError(
            f"{file} is compressed by {codec['id']!r}, which needs numcodecs: "
            "pip install 'kinetix-py[offline]'"
        ) from None
    return numcodecs.get_codec(codec).decode(data)


@dataclasses.dataclass(frozen=True)
class ZarrArray:
    """An array in a folder, of which rows are read as they are asked for.

    Attributes:
      folder: folder of its chunks.
      shape: shape, of at least one axis.
      chunks: shape of every chunk; those at the ends are filled up.
      dtype: type of an entry, perhaps a record.
      codecs: what undoes filters and compression, in the order of reading.
      order: `"C"` or `"F"`.
      separator: sign between the indices in the name of a chunk.
    """

    folder: pathlib.Path
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype
    codecs: tuple[dict[str, Any], ...]
    order: str
    separator: str

    @classmethod
    def open(cls, folder: pathlib.Path) -> ZarrArray:
        """Reads the description of an array.

        Raises:
          ZarrError: it is damaged, or of another format.
        """
        file = folder / ".zarray"
        try:
            found = json.loads(file.read_text())
            if found["zarr_format"] != 2:
                raise ValueError(f"is of format {found['zarr_format']}, not 2")
            compressor, filters = found["compressor"], found["filters"] or []
            return cls(
                folder=folder,
                shape=tuple(found["shape"]),
                chunks=tuple(found["chunks"]),
                dtype=_dtype(found["dtype"]),
                codecs=tuple(([compressor] if compressor else []) + filters[::-1]),
                order=found["order"],
                separator=found.get("dimension_separator", "."),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ZarrError(f"{file}: no description of an array: {error}") from None

    def __len__(self) -> int:
        return self.shape[0]

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Reads rows `start` to `stop`, and no chunk without any of them: `[stop - start, ...]`.

        Raises:
          IndexError: rows out of range.
          ZarrError: a chunk cannot be read.
          ImportError: its compression needs numcodecs.
        """
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"rows must be in 0 .. {len(self)}, got {start} .. {stop}")
        result = np.zeros((stop - start, *self.shape[1:]), self.dtype)
        size = self.chunks[0]
        others = [range(-(-n // c)) for n, c in zip(self.shape[1:], self.chunks[1:], strict=True)]
        for index in itertools.product(range(start // size, -(-stop // size)), *others):
            low = [i * c for i, c in zip(index, self.chunks, strict=True)]
            high = [min(first + c, n) for first, c, n in zip(low, self.chunks, self.shape, strict=True)]
            first, last = max(low[0], start), min(high[0], stop)
            rest = [slice(a, b) for a, b in zip(low[1:], high[1:], strict=True)]
            inside = [slice(0, b - a) for a, b in zip(low[1:], high[1:], strict=True)]
            chunk = self._chunk(index)
            if chunk is not None:  # one that is not there is of zeros
                rows = slice(first - low[0], last - low[0])
                result[(slice(first - start, last - start), *rest)] = chunk[(rows, *inside)]
        return result

    def _chunk(self, index: tuple[int, ...]) -> np.ndarray | None:
        file = self.folder / self.separator.join(map(str, index))
        if not file.exists():
            return None
        data: Any = file.read_bytes()
        try:
            for codec in self.codecs:
                data = _decode(data, codec, file)
            flat = np.frombuffer(data, self.dtype)
            if flat.size != math.prod(self.chunks):
                raise ValueError(f"holds {flat.size} entries, not {math.prod(self.chunks)}")
            return flat.reshape(self.chunks, order="F" if self.order == "F" else "C")
        except (ValueError, RuntimeError, zlib.error) as error:
            raise ZarrError(f"{file}: is damaged: {error}") from None


def open_arrays(folder: str | os.PathLike) -> dict[str, ZarrArray]:
    """Opens all arrays of a group by their names, in order.

    Raises:
      ZarrError: the folder is no group of format 2, or has no arrays.
    """
    path = pathlib.Path(folder)
    if (path / "zarr.json").exists():
        raise ZarrError(f"{path}: is of format 3 of Zarr, not 2")
    found = {file.parent.name: ZarrArray.open(file.parent) for file in sorted(path.glob("*/.zarray"))}
    if not found:
        raise ZarrError(f"{path}: is no group of arrays in format 2 of Zarr")
    return found

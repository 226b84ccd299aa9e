"""Spaces: how the maps of convolution layers become patterns, `(stimulus, unit)`."""

import re
import zlib
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Space", "parse"]


class Space(NamedTuple):
    """How the maps of convolution layers are reduced; layers without space stay as they are.

    Attributes:
      kind: "mean" over space, one value a channel; all "units"; or a "subset" of the units.
      units: how many units of a map the subset keeps; 0 otherwise.
      key: which subset.
    """

    kind: str
    units: int = 0
    key: int = 0

    @property
    def name(self) -> str:
        if self.kind != "subset":
            return self.kind
        return f"subset({self.units}, key={self.key})" if self.key else f"subset({self.units})"

    def width(self, shape: tuple[int, ...]) -> int:
        """Units that are left of a map of this shape, `(height, width, channel)`."""
        whole = int(np.prod(shape))
        return {"mean": shape[-1], "units": whole, "subset": min(self.units, whole)}[self.kind]

    def reduce(self, x: Any, layer: str) -> Any:
        """Patterns `(stimulus, unit)` of the maps `(stimulus, height, width, channel)` of the layer of that name."""
        if self.kind == "mean":
            return x.mean((1, 2))
        flat = x.reshape(len(x), -1)
        if self.kind == "units" or flat.shape[1] <= self.units:
            return flat
        return flat[:, self.chosen(layer, flat.shape[1])]

    def chosen(self, layer: str, width: int) -> np.ndarray:
        """The units of a flattened map that a subset keeps, ascending: the same for all members with that map."""
        # NumPy promises never to change the raw words of a bit generator; of its `choice` it promises less.
        words = np.random.Philox(key=np.array([self.key, zlib.crc32(layer.encode())], np.uint64)).random_raw(width)
        return np.sort(np.argsort(words, kind="stable")[: self.units])


def parse(text: str) -> Space:
    """A space from its name: "mean", "units", "subset(k)" or "subset(k, key=3)"."""
    if text in ("mean", "units"):
        return Space(text)
    match = re.fullmatch(r"\s*subset\(\s*(\d+)\s*(?:,\s*(?:key\s*=\s*)?(\d+)\s*)?\)\s*", str(text))
    if match and int(match[1]) > 0 and int(match[2] or 0) < 2**64:
        return Space("subset", int(match[1]), int(match[2] or 0))
    raise ValueError(f"space is {text!r}; allowed: mean, units, subset(k) or subset(k, key=3) with k of at least 1.")

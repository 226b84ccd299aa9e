"""How everything in the analysis computes: the precision of products, the width of numbers, the size of a block,
and the p that counts."""

import contextlib
from typing import Any

import jax

__all__ = ["BUDGET", "HIGHEST", "SIGNIFICANT", "in_precision"]

HIGHEST = jax.lax.Precision.HIGHEST
"""The precision of every matrix product: accelerators would round its factors to fewer bits otherwise."""

BUDGET = 256 * 2**20
"""Bytes that a block of maps, a tile of pairs or a batch of patterns may take."""

SIGNIFICANT = 0.05
"""A p of at most this is counted as more than chance."""


def in_precision(dtype: str) -> contextlib.AbstractContextManager[Any]:
    """The context in which JAX computes in numbers of this kind, "float32" or "float64"."""
    return jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext()

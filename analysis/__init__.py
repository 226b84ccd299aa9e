"""Compare a population: `representations` of a trained zoo, `compare` any representations."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.activations.extraction import representations
    from analysis.comparison import compare

__all__ = ["compare", "representations"]

DEFAULT_MEASURES = ("cka", "rsa")
"""What is compared by where no measure is named."""

PERMUTATIONS = 999
"""Orders of the stimuli that stand for all, where z and p have no closed form."""

_HOMES = {"compare": "analysis.comparison", "representations": "analysis.activations.extraction"}


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    """Import on first use: the names of measures are listed without JAX."""
    if name not in _HOMES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)

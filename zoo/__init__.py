"""Populations of networks: what they are (`Zoo`), how they are trained (`train`), where they are kept (`load`)."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.fields import log_uniform, product, sampled, uniform, zipped
    from zoo.run import train
    from zoo.spec import Training, Zoo
    from zoo.trained import load

__all__ = ["Training", "Zoo", "load", "log_uniform", "product", "sampled", "train", "uniform", "zipped"]

_HOMES = {
    "train": "zoo.run",
    "load": "zoo.trained",
    "Training": "zoo.spec",
    "Zoo": "zoo.spec",
    **dict.fromkeys(["log_uniform", "product", "sampled", "uniform", "zipped"], "zoo.fields"),
}


def __getattr__(name: str) -> Any:
    """Import on first use: a member table is read without JAX, a spec without an accelerator."""
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)

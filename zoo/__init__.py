"""Populations of networks: what they are (`Zoo`), how they are trained (`train`), where they are kept (`load`)."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.running.run import train
    from zoo.spec.axes import log_uniform, product, sampled, uniform, zipped
    from zoo.spec.settings import Training
    from zoo.spec.zoo import Zoo
    from zoo.store.reader import load

__all__ = ["Training", "Zoo", "load", "log_uniform", "product", "sampled", "train", "uniform", "zipped"]

_HOMES = {
    "train": "zoo.running.run",
    "load": "zoo.store.reader",
    "Training": "zoo.spec.settings",
    "Zoo": "zoo.spec.zoo",
    **dict.fromkeys(["log_uniform", "product", "sampled", "uniform", "zipped"], "zoo.spec.axes"),
}


def __getattr__(name: str) -> Any:
    """Import on first use: a member table is read without JAX, a spec without an accelerator."""
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)

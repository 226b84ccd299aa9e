"""Populations of networks: what they are (`Zoo`), how they are trained (`train`), where they are kept (`load`)."""

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.devices.population import population_map
    from zoo.running.run import train
    from zoo.spec.axes import log_uniform, product, sampled, uniform, zipped
    from zoo.spec.settings import Training, log_spaced
    from zoo.spec.zoo import Zoo
    from zoo.store.merging import merge
    from zoo.store.reader import load

__all__ = [
    "Training",
    "Zoo",
    "load",
    "log_spaced",
    "log_uniform",
    "merge",
    "population_map",
    "product",
    "sampled",
    "train",
    "uniform",
    "zipped",
]

_HOMES = {
    "train": "zoo.running.run",
    "load": "zoo.store.reader",
    "merge": "zoo.store.merging",
    "population_map": "zoo.devices.population",
    "Training": "zoo.spec.settings",
    "log_spaced": "zoo.spec.settings",
    "Zoo": "zoo.spec.zoo",
    **dict.fromkeys(["log_uniform", "product", "sampled", "uniform", "zipped"], "zoo.spec.axes"),
}


def check_neighbours(*names: str) -> None:
    """Refuse another package of the same everyday name, which Python would find before this program's.

    Args:
      names: of top-level packages that stand beside this one, such as "models".

    Raises:
      ImportError: one sentence with both places.
    """
    beside = Path(__file__).resolve().parent.parent
    for name in names:
        spec = importlib.util.find_spec(name)
        origin = spec.origin if spec is not None else None
        if origin is None or Path(origin).resolve().parent.parent != beside:
            place = origin or (list(spec.submodule_search_locations or ()) if spec is not None else "nothing")
            raise ImportError(
                f"`import {name}` finds {place} and not {beside / name}, which this program needs: rename yours, or "
                "start Python in another folder."
            )


check_neighbours("models")


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    """Import on first use: a member table is read without JAX, a spec without an accelerator."""
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)

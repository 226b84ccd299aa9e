"""What the variables and coordinates of result files are: `long_name`, in words, and `units`, as CF asks."""

import xarray as xr

__all__ = ["LONG_NAMES", "MILLISECONDS", "TIME_STEPS", "described", "units_of_field"]

LONG_NAMES = {
    "a": "item, a network at a layer or a recording; of a directed measure the one that predicts",
    "b": "item, a network at a layer or a recording; of a directed measure the one that is predicted",
    "member": "id of the network",
    "cohort": "id of the cohort, the members that share one compiled program",
    "task": "task",
    "model": "architecture",
    "rule": "learning rule",
    "seed": "seed of initial parameters and trials",
    "status": "how training ended",
    "steps": "optimisation steps that were taken",
    "loss": "loss on the evaluation set",
    "score": "score on the evaluation set",
    "layer": "layer",
    "layer_depth": "place of the layer in its network, from 0",
    "layers": "layers of the network",
    "trained": "true of a trained network; false of one before training, and of what is no network of the zoo",
    "units": "units of the layer",
    "copies": "equal networks that the item stands for",
    "recording": "name of what came from a file",
    "subject": "subject of the recording, empty for their mean",
    "source": "where the item is from",
    "probe": "id of the conditions that all networks are shown",
    "probe_name": "the task and the id of its conditions",
    "measure": "measure",
    "members": "networks that the mean is over",
    "depth_a": "depth in the first network, from 0, its first layer, to 1, its last",
    "depth_b": "depth in the second network, from 0, its first layer, to 1, its last",
    "layer_a": "layer of the first network",
    "layer_b": "layer of the second network",
}
"""Of what stands in more than one kind of file."""

MILLISECONDS = (
    *("tau", "dt", "period", "start", "movement", "cue", "delay", "shortest_delay", "longest_delay", "stimulus"),
    *("response", "post", "persistence"),
)
"""Fields of specs in ms."""

TIME_STEPS = ("steps", "horizon", "warmup", "evaluate_every", "snapshots", "every")
"""Fields of specs that count steps, of time or of training."""


def described(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset, every variable and coordinate of it with a `long_name` and `units`; those that have some keep them.

    Units are "ms", "steps" or "1", none, which is also that of an angle. What no one has named is called as it stands,
    and a field of a spec "NAME, of the spec".
    """
    dataset = dataset.copy()
    for name, variable in dataset.variables.items():
        side = str(name)[-2:] if str(name)[-2:] in ("_a", "_b") else ""
        word = str(name) if str(name) in LONG_NAMES else str(name).removesuffix(side)
        of_side = f" of {side[1:]}" if side and word != name else ""
        words = LONG_NAMES.get(
            word, f"{word}, of the spec" if name in dataset.coords and name not in dataset.dims else word
        )
        known = {"long_name": words + of_side, "units": units_of_field(word)}
        dataset[name].attrs = known | variable.attrs
    return dataset


def units_of_field(name: str) -> str:
    """The unit of a field of a spec, or of a column of the member table."""
    field = name.rpartition(".")[2]
    return "ms" if field in MILLISECONDS else "steps" if field in TIME_STEPS else "1"

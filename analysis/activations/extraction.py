"""Labelled representations: the activations of many members, at many layers, on one probe."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd

from analysis.activations import spaces
from analysis.activations.probes import Probe, finished, layer_names, probes_of, shapes_of
from analysis.activations.stimuli import Stimuli
from analysis.activations.types import RDM, Group, RDMs, Repeats, Representations
from analysis.geometry import category_structure
from analysis.measures._time import TIMES, in_time
from zoo.lookup import nearest

__all__ = [
    "RDM",
    "TIMES",
    "Group",
    "RDMs",
    "Repeats",
    "Representations",
    "in_time",
    "layer_names",
    "representations",
]


MOST_TIMES = 25
"""Time steps of a trajectory that are kept unless a time step is asked for: its neighbours say the same again."""

AT_ONCE = 32
"""Members whose activations are computed in one call, at most,"""

BUDGET = 256 * 2**20
"""and the bytes that their largest layer may take."""


def representations(
    trained: Any,
    layers: Sequence[str] | None = None,
    *,
    task: str | None = None,
    untrained: bool = False,
    time_step: float | None = None,
    space: str = "mean",
    probe: Stimuli | None = None,
) -> Representations:
    """The representations of a zoo's members on their task's probe, or on other stimuli.

    Args:
      trained: what `zoo.load` gives.
      layers: names of layers, "output" and layers before their nonlinearity, such as "conv1.pre", among them if wanted;
        default every layer but those.
      task: which task, where the zoo's members have several probes.
      untrained: add every member before training, as further items.
      time_step: ms between the time steps that are kept; by default as many as leave at most `MOST_TIMES`.
      space: maps of convolution layers become their "mean" over space, one value a channel, all their "units", or a
        random "subset(k)" of the units, another one with "subset(k, key=1)".
      probe: images to show instead of the task's own probe; see `analysis.activations.stimuli.read_stimuli`.

    Returns:
      One item per member and layer, named `member/layer`, or `member/layer/untrained`; the labels are member, layer,
      layer_depth (0 is the first), trained, cohort, task, model, seed, status, score and every varied field.

    Raises:
      ValueError: no such layer, task or space; several probes and no task; nothing trained yet; stimuli for a task
        that takes no images.
    """
    reduction = spaces.parse(space)
    known = probes_of(trained, probe)
    if task is None and len(known) > 1:
        raise ValueError(f"{trained.path} has {len(known)} probes, {', '.join(known)}; choose one with task=...")
    if task is not None and task not in known:
        if probe is not None and task in probes_of(trained):
            raise ValueError(f"Task {task} takes no images, so that it cannot be shown the probe {probe.name!r}.")
        raise ValueError(f"{trained.path} has no task {task!r}; {nearest(task, known)}.")
    shown = known[task or next(iter(known))]
    available = {cohort.id: shapes_of(cohort, shown.inputs) for cohort in shown.cohorts} if layers else {}
    everything = dict.fromkeys(name for names in available.values() for name in names)
    for layer in layers or ():
        if layer not in everything:
            raise ValueError(f"{trained.path} has no layer {layer!r}; {nearest(layer, everything)}.")
    ready = trained.members[finished(trained)].set_index("member", drop=False)
    every = _every(shown, time_step)
    classes = {} if shown.dt else category_structure.usable(shown.conditions)
    states = (True, False) if untrained else (True,)

    def found_in(cohort: Any) -> Found:
        here = available.get(cohort.id) or shapes_of(cohort, shown.inputs)
        depths = _depths(here, layers)
        ids = [member.id for member in cohort.members if member.id in ready.index]
        rows = {member: ready.loc[member].drop(["member", "steps", "loss"]).to_dict() for member in ids}
        if not depths or not ids:
            return [], []
        run = _Run(trained, cohort, shown, {name: here[name] for name in depths}, reduction, every, classes)
        return _found(run, rows, depths, states)

    shapes: dict[tuple[int, ...], list[Item]] = {}
    structure: list[dict[str, Any]] = []
    for items, about in _on_all_devices(found_in, shown.cohorts):
        for item in items:
            shapes.setdefault(item[2].shape, []).append(item)
        structure += about
    groups = []
    for shape in list(shapes):
        names, labels, arrays = zip(*shapes.pop(shape))  # each array goes once it stands in its group
        groups.append(Group(names, pd.DataFrame(list(labels)), np.stack(arrays)))
    of_space = "" if shown.dt else reduction.name
    table = pd.DataFrame(structure)
    return Representations(tuple(groups), shown.id, shown.conditions, shown.dt * every, of_space, table)


Item = tuple[str, dict[str, Any], np.ndarray]
"""Name, labels and patterns of a member at one layer."""

Found = tuple[list[Item], list[dict[str, Any]]]
"""The items of a cohort, and the rows of its category structure."""


def _on_all_devices(found_in: Any, cohorts: Sequence[Any]) -> Iterator[Found]:
    """What the cohorts hold, in their order; a thread per lane traces, compiles and runs the cohorts in turn."""
    import jax

    from zoo.devices.startup import lanes

    devices = lanes()

    def work(place: int) -> Found:
        with jax.default_device(devices[place % len(devices)]):
            return found_in(cohorts[place])

    with ThreadPoolExecutor(len(devices)) as pool:
        try:
            yield from pool.map(work, range(len(cohorts)))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)  # one that fails ends all


def _found(run: "_Run", rows: dict[str, dict[str, Any]], depths: dict[str, int], states: Sequence[bool]) -> Found:
    items: list[Item] = []
    structure: list[dict[str, Any]] = []
    last = max(1, *depths.values())
    for is_trained in states:
        for some, layer, array, classes in run(list(rows), is_trained):
            state = "" if is_trained else "/untrained"
            for i, member in enumerate(some):
                labels = {"member": member, "layer": layer, "layer_depth": depths[layer], "trained": is_trained}
                labels |= rows[member]
                items.append((f"{member}/{layer}{state}", labels, array[i]))
                place = {"depth": depths[layer], "depth_fraction": depths[layer] / last, "trained": is_trained}
                about = {"member": member, "model": labels["model"], "layer": layer, **place}
                for condition, parts in classes.items():
                    within, between = (float(part[i]) for part in parts)
                    pair = {"within": within, "between": between}
                    about |= {"status": labels["status"], "condition": condition, **pair}
                    structure.append({**about, "index": between - within})
    return items, structure


def _depths(available: Mapping[str, Any], layers: Sequence[str] | None) -> dict[str, int]:
    """The layers to take, in order, and how deep each lies; "x.pre" is as deep as "x", "output" the last."""
    plain = [name for name in available if name != "output" and not name.endswith(".pre")]
    taken = plain if layers is None else [name for name in available if name in layers]
    stack = [*plain, *(["output"] if "output" in taken else [])]
    return {name: stack.index(name.removesuffix(".pre")) for name in taken}


def _every(probe: Probe, time_step: float | None) -> int:
    if not probe.dt:
        return 1
    if time_step is None:
        return -(-probe.inputs.shape[1] // MOST_TIMES)
    every = round(time_step / probe.dt)
    if every < 1 or abs(every * probe.dt - time_step) > 1e-6 * probe.dt:
        raise ValueError(f"time_step is {time_step} ms; it must be a multiple of the task's {probe.dt} ms.")
    return every


class _Run:
    """Reduced activations of a cohort's members, a few at a time: whole maps never leave the device."""

    def __init__(
        self,
        trained: Any,
        cohort: Any,
        probe: Probe,
        shapes: dict[str, tuple[int, ...]],
        space: spaces.Space,
        every: int,
        classes: dict[str, np.ndarray],
    ):
        import jax
        import jax.numpy as jnp

        from zoo.devices.compilation import compiler_options
        from zoo.training import program

        recipe = trained.manifest["cohorts"][cohort.id]["recipe"]
        if recipe is None:
            raise ValueError(
                f"{trained.path} has lost the folder of cohort {cohort.id}; `verify` says what is missing."
            )
        one: Any = program.program_of(cohort, conv_form=recipe["conv_form"]).represent

        def patterns(x: Any, layer: str) -> Any:
            if probe.dt:
                return x[:, ::every]
            return space.reduce(x, layer) if x.ndim == 4 else x

        def structure(x: Any) -> Any:
            x = x.reshape(len(x), -1)
            return {name: category_structure.dissimilarities(x, of_class, jnp) for name, of_class in classes.items()}

        def reduced(inputs: Any, params: Any, stats: Any, floats: Any) -> Any:
            found = one(params, stats, floats, inputs)
            with jax.default_matmul_precision("highest"):
                return {layer: (patterns(found[layer], layer), structure(found[layer])) for layer in shapes}

        self.some = jax.jit(
            lambda inputs, *rows: jax.lax.map(lambda row: reduced(inputs, *row), rows),
            compiler_options=compiler_options(),
        )
        self.trained, self.cohort, self.layers = trained, cohort, list(shapes)
        self.inputs = jax.device_put(probe.inputs)
        widths = [space.width(s[1:]) if len(s) == 4 and not probe.dt else int(np.prod(s[1:])) for s in shapes.values()]
        largest = 4 * len(probe.inputs) * -(-max(widths) // every)
        self.at_once = max(1, min(AT_ONCE, BUDGET // largest))

    def __call__(self, ids: list[str], is_trained: bool) -> Iterator[tuple[list[str], str, np.ndarray, Any]]:
        """Members, layer, their patterns `(member, stimulus, ...)` and condition -> (within, between) `(member,)`."""
        import jax

        from zoo.training import program

        places = {member.id: row for row, member in enumerate(self.cohort.members)}
        floats = program.floats_of(self.cohort)
        # Padded to one size: a remainder of its own would be a second program, with other bits.
        size = min(self.at_once, len(ids))
        for start in range(0, len(ids), size):
            some = ids[start : start + size]
            padded = [*some, *some[-1:] * (size - len(some))]
            variables = self.trained.variables(some, initial=not is_trained)
            rows = np.minimum(np.arange(size), len(some) - 1)
            variables = jax.tree.map(lambda x, rows=rows: x[rows], variables)
            own = np.array([places[member] for member in padded])
            found = self.some(
                self.inputs, variables.pop("params"), variables, jax.tree.map(lambda x, own=own: x[own], floats)
            )
            for layer in self.layers:
                array, structure = jax.tree.map(lambda x, some=some: np.asarray(x)[: len(some)], found[layer])
                yield some, layer, array, structure

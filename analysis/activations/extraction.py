"""Labelled representations: the activations of many members, at many layers, on one probe."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.activations import spaces
from analysis.activations.probes import Probe, finished, kept_every, probes_of, shapes_of
from analysis.activations.stimuli import Stimuli
from analysis.activations.types import Group, Representations
from analysis.geometry import category_structure
from zoo.lookup import nearest

__all__ = ["representations"]


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
      time_step: ms between the time steps that are kept; see `analysis.activations.probes.kept_every`.
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
    shown = _probe_of(trained, task, probe)
    available = {cohort.id: shapes_of(cohort, shown.inputs) for cohort in shown.cohorts} if layers else {}
    everything = dict.fromkeys(name for names in available.values() for name in names)
    for layer in layers or ():
        if layer not in everything:
            raise ValueError(f"{trained.path} has no layer {layer!r}; {nearest(layer, everything)}.")
    ready = trained.members[finished(trained)].set_index("member", drop=False)
    every = kept_every(shown, time_step)
    classes = {} if shown.dt else category_structure.usable(shown.conditions)
    states = (True, False) if untrained else (True,)

    def activations_of(cohort: Any) -> CohortActivations:
        shapes = available.get(cohort.id) or shapes_of(cohort, shown.inputs)
        depths = _depths(shapes, layers)
        ids = [member.id for member in cohort.members if member.id in ready.index]
        rows = {member: ready.loc[member].drop(["member", "steps", "loss"]).to_dict() for member in ids}
        if not depths or not ids:
            return CohortActivations([], [])
        run = _Run(trained, cohort, shown, {name: shapes[name] for name in depths}, reduction, every, classes)
        return _labelled(run, rows, depths, states)

    groups, categories = _grouped(_on_all_devices(activations_of, shown.cohorts))
    of_space = "" if shown.dt else reduction.name
    return Representations(groups, shown.id, shown.conditions, shown.dt * every, of_space, categories)


class Item(NamedTuple):
    """A member at one layer.

    Attributes:
      name: `member/layer`, or `member/layer/untrained`.
      labels: label -> value.
      patterns: `(stimulus, unit)` or `(stimulus, time, unit)`.
    """

    name: str
    labels: dict[str, Any]
    patterns: np.ndarray


class CohortActivations(NamedTuple):
    """What one cohort gives.

    Attributes:
      items: its members at their layers.
      categories: the rows of its category structure.
    """

    items: list[Item]
    categories: list[dict[str, Any]]


def _probe_of(trained: Any, task: str | None, stimuli: Stimuli | None) -> Probe:
    """The probe that is asked for; an error where there is none of this name, or are several and none is named."""
    known = probes_of(trained, stimuli)
    if task is None and len(known) > 1:
        raise ValueError(f"{trained.path} has {len(known)} probes, {', '.join(known)}; choose one with task=...")
    if task is not None and task not in known:
        if stimuli is not None and task in probes_of(trained):
            raise ValueError(f"Task {task} takes no images, so that it cannot be shown the probe {stimuli.name!r}.")
        raise ValueError(f"{trained.path} has no task {task!r}; {nearest(task, known)}.")
    return known[task or next(iter(known))]


def _grouped(cohorts: Iterable[CohortActivations]) -> tuple[tuple[Group, ...], pd.DataFrame]:
    """The items of all cohorts, those of one shape together, and the table of category structure."""
    by_shape: dict[tuple[int, ...], list[Item]] = {}
    categories: list[dict[str, Any]] = []
    for cohort in cohorts:
        for item in cohort.items:
            by_shape.setdefault(item.patterns.shape, []).append(item)
        categories += cohort.categories
    groups = []
    for shape in list(by_shape):
        names, labels, arrays = zip(*by_shape.pop(shape))  # each array goes once it stands in its group
        groups.append(Group(names, pd.DataFrame(list(labels)), np.stack(arrays)))
    return tuple(groups), pd.DataFrame(categories)


def _on_all_devices(activations_of: Any, cohorts: Sequence[Any]) -> Iterator[CohortActivations]:
    """What the cohorts hold, in their order; a thread per lane traces, compiles and runs the cohorts in turn."""
    import jax

    from zoo.devices.startup import lanes

    devices = lanes()

    def work(place: int) -> CohortActivations:
        with jax.default_device(devices[place % len(devices)]):
            return activations_of(cohorts[place])

    with ThreadPoolExecutor(len(devices)) as pool:
        try:
            yield from pool.map(work, range(len(cohorts)))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)  # one that fails ends all


def _labelled(
    run: "_Run", rows: dict[str, dict[str, Any]], depths: dict[str, int], states: Sequence[bool]
) -> CohortActivations:
    """The activations of a cohort with their labels.

    Args:
      run: computes them.
      rows: member -> its labels from the member table.
      depths: layer -> how deep it lies.
      states: True for trained networks, False for untrained ones.
    """
    items: list[Item] = []
    categories: list[dict[str, Any]] = []
    last = max(1, *depths.values())
    for is_trained in states:
        for members, layer, patterns, structure in run(list(rows), is_trained):
            state = "" if is_trained else "/untrained"
            for i, member in enumerate(members):
                labels = {"member": member, "layer": layer, "layer_depth": depths[layer], "trained": is_trained}
                labels |= rows[member]
                items.append(Item(f"{member}/{layer}{state}", labels, patterns[i]))
                place = {"depth": depths[layer], "depth_fraction": depths[layer] / last, "trained": is_trained}
                about = {"member": member, "model": labels["model"], "layer": layer, **place}
                for condition, parts in structure.items():
                    within, between = (float(part[i]) for part in parts)
                    pair = {"within": within, "between": between}
                    about |= {"status": labels["status"], "condition": condition, **pair}
                    categories.append({**about, "index": between - within})
    return CohortActivations(items, categories)


def _depths(available: Mapping[str, Any], layers: Sequence[str] | None) -> dict[str, int]:
    """The layers to take, in order, and how deep each lies; "x.pre" is as deep as "x", "output" the last."""
    plain = [name for name in available if name != "output" and not name.endswith(".pre")]
    wanted = plain if layers is None else [name for name in available if name in layers]
    stack = [*plain, *(["output"] if "output" in wanted else [])]
    return {name: stack.index(name.removesuffix(".pre")) for name in wanted}


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
        import jax.numpy as jnp

        def patterns(x: Any, layer: str) -> Any:
            if probe.dt:
                return x[:, ::every]
            return space.reduce(x, layer) if x.ndim == 4 else x

        def structure(x: Any) -> Any:
            x = x.reshape(len(x), -1)
            return {name: category_structure.dissimilarities(x, of_class, jnp) for name, of_class in classes.items()}

        def reduced(bound: Any, variables: Any, key: Any, inputs: Any) -> Any:
            outputs, whole = bound.model.apply(variables, inputs)
            whole = {**whole, "output": outputs}
            return {layer: (patterns(whole[layer], layer), structure(whole[layer])) for layer in shapes}

        self.trained, self.cohort, self.layers, self.reduced = trained, cohort, list(shapes), reduced
        self.inputs = probe.inputs

    def __call__(self, ids: list[str], is_trained: bool) -> Iterator[tuple[list[str], str, np.ndarray, Any]]:
        """Members, layer, their patterns `(member, stimulus, ...)` and condition -> (within, between) `(member,)`."""
        from zoo.devices.population import population_batches

        at = "last" if is_trained else "initial"
        batches = population_batches(self.trained, self.cohort, self.reduced, [self.inputs], members=ids, at=at)
        whole = list(batches)  # the items' order does not follow how many members one call takes
        for layer in self.layers:
            for members, activations in whole:
                yield members, layer, *activations[layer]

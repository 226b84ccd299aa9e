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
from analysis.arithmetic import BUDGET
from analysis.geometry import category_structure
from zoo.lookup import nearest

__all__ = ["representations"]

AT_ONCE = 32
"""Members whose activations are computed in one call at most; their largest layer may take `BUDGET` bytes."""


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
        import jax
        import jax.numpy as jnp

        from zoo.devices.compilation import compiler_options
        from zoo.training.program import program_of

        recipe = trained.manifest["cohorts"][cohort.id]["recipe"]
        if recipe is None:
            raise ValueError(
                f"{trained.path} has lost the folder of cohort {cohort.id}; `verify` says what is missing."
            )
        represent: Any = program_of(cohort, conv_form=recipe["conv_form"]).represent

        def patterns(x: Any, layer: str) -> Any:
            if probe.dt:
                return x[:, ::every]
            return space.reduce(x, layer) if x.ndim == 4 else x

        def structure(x: Any) -> Any:
            x = x.reshape(len(x), -1)
            return {name: category_structure.dissimilarities(x, of_class, jnp) for name, of_class in classes.items()}

        def reduced(inputs: Any, params: Any, stats: Any, floats: Any) -> Any:
            whole = represent(params, stats, floats, inputs)
            with jax.default_matmul_precision("highest"):
                return {layer: (patterns(whole[layer], layer), structure(whole[layer])) for layer in shapes}

        self.batch = jax.jit(
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

        from zoo.training.binding import floats_of

        places = {member.id: row for row, member in enumerate(self.cohort.members)}
        floats = floats_of(self.cohort)
        # Padded to one size: a remainder of its own would be a second program, with other bits.
        size = min(self.at_once, len(ids))
        for start in range(0, len(ids), size):
            members = ids[start : start + size]
            padded = [*members, *members[-1:] * (size - len(members))]
            variables = self.trained.variables(members, initial=not is_trained)
            rows = np.minimum(np.arange(size), len(members) - 1)
            variables = jax.tree.map(lambda x, rows=rows: x[rows], variables)
            of_batch = np.array([places[member] for member in padded])
            traced = jax.tree.map(lambda x, of_batch=of_batch: x[of_batch], floats)
            activations = self.batch(self.inputs, variables.pop("params"), variables, traced)
            for layer in self.layers:
                count = len(members)
                patterns, structure = jax.tree.map(lambda x, count=count: np.asarray(x)[:count], activations[layer])
                yield members, layer, patterns, structure

"""Labelled representations: the activations of many members, at many layers, on one probe."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.activations import spaces
from analysis.activations.copies import merged
from analysis.activations.probes import Probe, finished, is_plain, kept_every, probes_of, shapes_of
from analysis.activations.stimuli import Stimuli
from analysis.activations.types import Group, Representations
from analysis.dynamics.states import WHOLE_STATE, visited_states
from analysis.geometry import category_structure
from zoo.lookup import nearest
from zoo.training.program import OUTPUT

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
      layers: names of layers; default every layer but these, which are taken where they are named: "output", layers
        before their nonlinearity, such as "conv1.pre", and "state", the whole state of a recurrent network.
      task: which task, where the zoo's members have several probes.
      untrained: add every member before training, as further items.
      time_step: ms between the time steps that are kept; see `analysis.activations.probes.kept_every`.
      space: maps of convolution layers become their "mean" over space, one value a channel, all their "units", or a
        random "subset(k)" of the units, another one with "subset(k, key=1)".
      probe: what to show instead of the task's own probe; see `analysis.activations.stimuli.read_stimuli`.

    Returns:
      One item per network and layer, named `member/layer`, or `member/layer/untrained`; the labels are member, layer,
      layer_depth (0 is the first), trained, cohort, task, model, seed, status, score, every varied field, and copies:
      how many members are this very network, of which the first is named; see `analysis.activations.copies`.

    Raises:
      ValueError: no such layer, task or space; several probes and no task; nothing trained yet; stimuli for a task
        that takes other inputs.
    """
    reduction = spaces.parse(space)
    shown = _probe_of(trained, task, probe)
    shapes = [shapes_of(cohort, shown.inputs) for cohort in shown.cohorts]
    everything = dict.fromkeys(name for of_cohort in shapes for name in of_cohort)
    for layer in layers or ():
        if layer not in everything:
            raise ValueError(f"{trained.path} has no layer {layer!r}; {nearest(layer, everything)}.")
    every = kept_every(shown, time_step)
    classes = {} if shown.dt else category_structure.usable(shown.conditions)
    view = View(trained, shown, reduction, every, classes)
    table = trained.members[finished(trained)].drop(columns=["steps", "loss"]).set_index("member")
    items: Counter[tuple[int, ...]] = Counter()  # shape -> how many
    work = []
    for cohort, of_cohort in zip(shown.cohorts, shapes):
        ids = [member.id for member in cohort.members if member.id in table.index]
        depths = _depths(of_cohort, layers)
        if ids and depths:
            work.append((cohort, list(_blocks(view, ids, of_cohort, depths, untrained, items))))
    arrays = {shape: np.empty((count, *shape), np.float32) for shape, count in items.items()}
    structure = [_fill(view, cohort, of_cohort, arrays) for cohort, of_cohort in work]
    blocks = [block for _, of_cohort in work for block in of_cohort]
    groups = tuple(_group([b for b in blocks if b.shape == shape], x, table) for shape, x in arrays.items())
    categories = _categories(blocks, structure, sorted(classes), table)
    of_space = "" if shown.dt else reduction.name
    return merged(Representations(groups, shown.id, shown.conditions, shown.dt * every, of_space, categories))


class View(NamedTuple):
    """What is taken of every network.

    Attributes:
      trained: what `zoo.load` gives.
      probe: what the networks are shown.
      space: how maps of convolution layers are reduced.
      every: of how many time steps one is kept.
      classes: condition -> `(class, stimulus)`, of which category structure is told.
    """

    trained: Any
    probe: Probe
    space: spaces.Space
    every: int
    classes: dict[str, np.ndarray]

    def patterns(self, x: Any, layer: str) -> Any:
        """The activations of a layer, `(stimulus, ...)`, without the time steps, or the places, that are not kept."""
        if self.probe.dt:
            return self.probe.at_kept(x, self.every)
        return self.space.reduce(x, layer) if x.ndim == 4 else x

    def structure(self, x: Any) -> Any:
        """Condition -> dissimilarities within and between its classes, from all units."""
        import jax.numpy as jnp

        x = x.reshape(len(x), -1)
        return {name: category_structure.dissimilarities(x, classes, jnp) for name, classes in self.classes.items()}


class Block(NamedTuple):
    """A layer of a cohort's members in one state: items that stand together in a group.

    Attributes:
      ids: the members.
      layer: its name.
      depth: of the layer, from 0 on.
      depth_fraction: of the layer, 1 at the last that is taken.
      is_trained: whether the members are trained.
      shape: of the patterns of one of them.
      start: the place of the first of them in the group.
    """

    ids: list[str]
    layer: str
    depth: int
    depth_fraction: float
    is_trained: bool
    shape: tuple[int, ...]
    start: int


def _probe_of(trained: Any, task: str | None, stimuli: Stimuli | None) -> Probe:
    """The probe that is asked for; an error where there is none of this name, or are several and none is named."""
    known = probes_of(trained, stimuli)
    if task is None and len(known) > 1:
        raise ValueError(f"{trained.path} has {len(known)} probes, {', '.join(known)}; choose one with task=...")
    if task is not None and task not in known:
        if stimuli is not None and task in probes_of(trained):
            raise ValueError(
                f"Task {task} cannot be shown the probe {stimuli.name!r}, whose inputs are of another kind."
            )
        raise ValueError(f"{trained.path} has no task {task!r}; {nearest(task, known)}.")
    return known[task or next(iter(known))]


def _depths(available: Mapping[str, Any], layers: Sequence[str] | None) -> dict[str, int]:
    """The layers to take, in order, and how deep each lies; "x.pre" is as deep as "x", "output" the last."""
    plain = [name for name in available if is_plain(name)]
    wanted = plain if layers is None else [name for name in available if name in layers]
    stack = [*plain, *(name for name in (WHOLE_STATE, OUTPUT) if name in wanted)]
    return {name: stack.index(name.removesuffix(".pre")) for name in wanted}


def _blocks(
    view: View,
    ids: list[str],
    shapes: Mapping[str, tuple[int, ...]],
    depths: Mapping[str, int],
    untrained: bool,
    items: Counter[tuple[int, ...]],
) -> Iterator[Block]:
    """The blocks of a cohort; `items`, shape -> how many came before, counts theirs, too.

    Args:
      view: what is taken.
      ids: of the members.
      shapes: layer -> shape of its activations.
      depths: the layers that are taken, and how deep each lies.
      untrained: take the members before training, too.
      items: see above.
    """
    import jax

    last = max(1, *depths.values())
    for is_trained in (True, False) if untrained else (True,):
        for layer, depth in depths.items():
            whole = jax.ShapeDtypeStruct(shapes[layer], np.float32)
            shape = jax.eval_shape(lambda x, layer=layer: view.patterns(x, layer), whole).shape
            yield Block(ids, layer, depth, depth / last, is_trained, shape, items[shape])
            items[shape] += len(ids)


def _fill(view: View, cohort: Any, blocks: Sequence[Block], arrays: Mapping[tuple[int, ...], np.ndarray]) -> np.ndarray:
    """Computes a cohort's activations, a few members at a time; whole maps never leave the device.

    Args:
      view: what is taken.
      cohort: whose members are shown the probe.
      blocks: of the cohort.
      arrays: shape -> `(item, stimulus, ...)`; the places of the blocks are filled.

    Returns:
      `(row, 2)`, dissimilarities within and between classes: block by block, of every member all conditions, sorted.
    """
    from zoo.devices.population import population_batches

    layers, conditions = list(dict.fromkeys(block.layer for block in blocks)), sorted(view.classes)

    def reduced(bound: Any, variables: Any, key: Any, inputs: Any) -> Any:
        outputs, whole = bound.model.apply(variables, inputs)
        whole = {**whole, OUTPUT: outputs}
        if WHOLE_STATE in layers:
            whole[WHOLE_STATE] = visited_states(bound.model, variables, inputs).swapaxes(0, 1)
        return {layer: (view.patterns(whole[layer], layer), view.structure(whole[layer])) for layer in layers}

    structure = np.empty((len(blocks), len(blocks[0].ids), len(conditions), 2), np.float32)
    for is_trained in dict.fromkeys(block.is_trained for block in blocks):
        at, done = "last" if is_trained else "initial", 0
        for members, activations in population_batches(
            view.trained, cohort, reduced, [view.probe.inputs], members=blocks[0].ids, at=at
        ):
            now = slice(done, done + len(members))
            for place, block in enumerate(blocks):
                if block.is_trained == is_trained:
                    patterns, dissimilarities = activations[block.layer]
                    arrays[block.shape][block.start :][now] = patterns
                    for condition, name in enumerate(conditions):
                        structure[place, now, condition] = np.stack(dissimilarities[name], -1)
            done = now.stop
    return structure.reshape(-1, 2)


def _items(blocks: Sequence[Block]) -> pd.DataFrame:
    """`member`, `layer`, `layer_depth` and `trained` of the items of some blocks."""
    counts = [len(block.ids) for block in blocks]
    columns = {
        "layer": [block.layer for block in blocks],
        "layer_depth": [block.depth for block in blocks],
        "trained": [block.is_trained for block in blocks],
    }
    repeated = {name: np.repeat(values, counts) for name, values in columns.items()}
    return pd.DataFrame({"member": [member for block in blocks for member in block.ids], **repeated})


def _group(blocks: Sequence[Block], array: np.ndarray, table: pd.DataFrame) -> Group:
    """The group of all blocks of a shape, with what the member table says of its members."""
    items = _items(blocks)
    names = items["member"] + "/" + items["layer"] + np.where(items["trained"], "", "/untrained")
    # Of the types of what these members have: a text that none of them has is missing, no text.
    about = pd.DataFrame(table.loc[items["member"]].to_dict("list"))
    return Group(tuple(names), pd.concat([items, about], axis=1), array)


def _categories(
    blocks: Sequence[Block], structure: Sequence[np.ndarray], conditions: list[str], table: pd.DataFrame
) -> pd.DataFrame:
    """The table of category structure, see `Representations`, from what `_fill` gives of every cohort."""
    if not blocks or not conditions:
        return pd.DataFrame()
    items = _items(blocks)
    members, count = items["member"], len(conditions)
    fractions = np.repeat([block.depth_fraction for block in blocks], [len(block.ids) for block in blocks])
    within, between = np.concatenate(structure).astype(np.float64).T
    of_items = {
        "member": members,
        "model": table["model"].loc[members],
        "layer": items["layer"],
        "depth": items["layer_depth"],
        "depth_fraction": fractions,
        "trained": items["trained"],
        "status": table["status"].loc[members],
    }
    columns = {name: np.repeat(np.asarray(values), count) for name, values in of_items.items()}
    of_conditions = {"condition": np.tile(conditions, len(items)), "within": within, "between": between}
    return pd.DataFrame({**columns, **of_conditions, "index": between - within})

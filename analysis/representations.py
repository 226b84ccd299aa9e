"""Labelled representations: the activations of many members, at many layers, on one probe."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from zoo.lookup import nearest

__all__ = [
    "SPACES",
    "TIMES",
    "Group",
    "Probe",
    "Representations",
    "in_time",
    "layer_names",
    "probes",
    "representations",
]

TIMES = ("samples", "features", "mean", "last")
"""How time enters a measure; see `in_time`."""

SPACES = ("mean", "units")
"""How the maps of convolution layers are reduced."""

MOST_TIMES = 25
"""Time steps of a trajectory that are kept unless a time step is asked for: its neighbours say the same again."""

AT_ONCE = 32
"""Members whose activations are computed in one call."""


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Items (members at one layer each) whose representations share a shape.

    Attributes:
      names: one name per item, unique over all groups.
      labels: one row per item; columns such as member, layer, model, seed, trained, hidden. May have no columns.
      array: `(item, stimulus, unit)` or `(item, stimulus, time, unit)`, float32.
    """

    names: tuple[str, ...]
    labels: pd.DataFrame
    array: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Representations:
    """All representations of a population on one probe.

    Attributes:
      groups: the items, grouped by the shape of their representation.
      probe: the probe's id, a hash of its inputs and conditions; what differs in it is never compared.
      conditions: name -> one label per stimulus, `(stimulus,)`.
      dt: ms between the steps of the time axis, 0 where there is none.
      space: how maps of convolution layers were reduced, "mean" or "units"; "" where there are none.
    """

    groups: tuple[Group, ...]
    probe: str = ""
    conditions: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    dt: float = 0.0
    space: str = ""


def in_time(x: Any, time: str) -> Any:
    """`(member, stimulus, time, unit)` with time entering as asked, again with four axes.

    `samples` keeps each time step as a row of its stimulus, `features` makes each (time, unit) a feature of the
    stimulus, `mean` averages over time and `last` takes the last step: the latter three leave one row per stimulus.
    """
    members, stimuli, times, units = x.shape
    if time == "features":
        return x.reshape(members, stimuli, 1, times * units)
    if time == "mean":
        return x.mean(2, keepdims=True)
    return x[:, :, -1:] if time == "last" else x


def representations(
    trained: Any,
    layers: Sequence[str] | None = None,
    *,
    task: str | None = None,
    untrained: bool = False,
    time_step: float | None = None,
    space: str = "mean",
) -> Representations:
    """The representations of a zoo's members on their task's probe.

    Args:
      trained: what `zoo.load` gives.
      layers: names of layers, "output" among them if wanted; default every layer but the outputs.
      task: which task, where the zoo's members have several probes.
      untrained: add every member before training, as further items.
      time_step: ms between the time steps that are kept; by default as many as leave at most `MOST_TIMES`.
      space: maps of convolution layers become their "mean" over space, one value a channel, or all their "units".

    Returns:
      One item per member and layer, named `member/layer`, or `member/layer/untrained`; the labels are member, layer,
      trained, cohort, task, model, seed, status, score and every varied field.

    Raises:
      ValueError: no such layer or task; several probes and no task; nothing trained yet.
    """
    import jax

    from zoo import training

    if space not in SPACES:
        raise ValueError(f"space is {space!r}; allowed: {', '.join(SPACES)}.")
    known = probes(trained)
    if task is None and len(known) > 1:
        raise ValueError(f"{trained.path} has {len(known)} probes, {', '.join(known)}; choose one with task=...")
    if task is not None and task not in known:
        raise ValueError(f"{trained.path} has no task {task!r}; {nearest(task, known)}.")
    probe = known[task or next(iter(known))]
    ready = trained.members[_finished(trained)].set_index("member", drop=False)
    every = _every(probe, time_step)
    shapes: dict[tuple[int, ...], list[tuple[str, dict[str, Any], np.ndarray]]] = {}
    available: dict[str, None] = {}
    for cohort in probe.cohorts:
        rows = [i for i, member in enumerate(cohort.members) if member.id in ready.index]
        ids = [cohort.members[i].id for i in rows]
        floats = jax.tree.map(lambda x, rows=rows: x[rows], training.floats_of(cohort))
        represent = _represent(trained, cohort)
        for is_trained in (True, False) if untrained else (True,):
            variables = trained.variables(ids, initial=not is_trained)
            activations = represent(variables.pop("params"), variables, floats)
            available |= dict.fromkeys(activations)
            for layer, array in activations.items():
                if (layers is None and layer == "output") or (layers is not None and layer not in layers):
                    continue
                array = array[:, :, ::every] if probe.dt else _flat(array, space)
                for member, row in zip(ids, array):
                    name = f"{member}/{layer}" + ("" if is_trained else "/untrained")
                    labels = {"member": member, "layer": layer, "trained": is_trained}
                    labels |= ready.loc[member].drop(["member", "steps", "loss"]).to_dict()
                    shapes.setdefault(row.shape, []).append((name, labels, row))
    for layer in layers or ():
        if layer not in available:
            raise ValueError(f"{trained.path} has no layer {layer!r}; {nearest(layer, available)}.")
    groups = tuple(
        Group(tuple(n for n, _, _ in items), pd.DataFrame([r for _, r, _ in items]), np.stack([x for _, _, x in items]))
        for items in shapes.values()
    )
    return Representations(groups, probe.id, probe.conditions, probe.dt * every, "" if probe.dt else space)


class Probe(NamedTuple):
    """The conditions on which a set of cohorts is compared.

    Attributes:
      id: a hash of inputs, time step and condition labels.
      cohorts: whose members meet it.
      conditions: name -> one label per stimulus.
      dt: ms per time step, 0 where there is no time.
      times: time steps.
    """

    id: str
    cohorts: tuple[Any, ...]
    conditions: dict[str, np.ndarray]
    dt: float
    times: int


def probes(trained: Any) -> dict[str, Probe]:
    """The probes of a zoo's trained members, by the name of their task (with the id where a task has several)."""
    from zoo.spec import cohorts, name_of

    ready = set(trained.members["member"][_finished(trained)])
    found: dict[tuple[str, str], Probe] = {}
    for cohort in cohorts(trained.zoo):
        if not any(member.id in ready for member in cohort.members):
            continue
        task = cohort.members[0].task
        trials = task.probe(task.data())
        conditions = {name: np.asarray(values) for name, values in trials.conditions.items()}
        digest = hashlib.sha256(np.ascontiguousarray(trials.inputs).tobytes() + np.float64(task.dt).tobytes())
        for name, values in conditions.items():
            digest.update(name.encode() + values.tobytes())
        key = (name_of(task), digest.hexdigest()[:12])
        if key in found:
            found[key] = found[key]._replace(cohorts=(*found[key].cohorts, cohort))
        else:
            found[key] = Probe(key[1], (cohort,), conditions, float(task.dt), trials.inputs.shape[1])
    if not found:
        raise ValueError(f"{trained.path} has no member that is trained to its end; train it first.")
    names = [name for name, _ in found]
    return {name if names.count(name) == 1 else f"{name}-{probe_id}": p for (name, probe_id), p in found.items()}


def layer_names(trained: Any, task: str) -> list[str]:
    """The layers of all models of a probe, "output" among them, in order; nothing is computed."""
    import jax

    from zoo import training

    names: dict[str, None] = {}
    for cohort in probes(trained)[task].cohorts:
        program, data = training.program(cohort), cohort.members[0].task.data()
        floats = jax.tree.map(lambda x: x[0], training.floats_of(cohort))
        state = jax.eval_shape(program.init, floats)
        names |= dict.fromkeys(jax.eval_shape(program.represent, state.params, state.stats, floats, data))
    return list(names)


def _finished(trained: Any) -> Any:
    return ~trained.members["status"].isin(["pending", "training"])


def _every(probe: Probe, time_step: float | None) -> int:
    if not probe.dt:
        return 1
    if time_step is None:
        return -(-probe.times // MOST_TIMES)
    every = round(time_step / probe.dt)
    if every < 1 or abs(every * probe.dt - time_step) > 1e-6 * probe.dt:
        raise ValueError(f"time_step is {time_step} ms; it must be a multiple of the task's {probe.dt} ms.")
    return every


def _represent(trained: Any, cohort: Any) -> Any:
    """`(params, stats, floats) -> dict` of host arrays for any number of a cohort's members, a few at a time."""
    import jax

    from zoo import training

    recipe = trained.manifest["cohorts"][cohort.id]["recipe"]
    one: Any = training.program(cohort, conv_form=recipe["conv_form"]).represent
    data = cohort.members[0].task.data()
    some = jax.jit(lambda data, *rows: jax.lax.map(lambda row: one(*row, data), rows))

    def represent(*stacked: Any) -> dict[str, np.ndarray]:
        count = len(jax.tree.leaves(stacked)[0])
        parts = []
        for start in range(0, count, AT_ONCE):
            # Padded to one size: a remainder of its own would be a second program, with other bits.
            rows = np.minimum(np.arange(start, start + min(AT_ONCE, count)), count - 1)
            part = some(data, *jax.tree.map(lambda x, rows=rows: x[rows], stacked))
            parts.append({name: np.asarray(x)[: count - start] for name, x in part.items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return represent


def _flat(array: np.ndarray, space: str) -> np.ndarray:
    """`(member, stimulus, unit)`: maps `(member, stimulus, height, width, channel)` reduced over space."""
    if array.ndim == 3:
        return array
    return array.mean(axis=(2, 3)) if space == "mean" else array.reshape(*array.shape[:2], -1)

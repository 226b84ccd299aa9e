"""The probes of a zoo: the conditions on which members are compared, and who meets them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.activations.stimuli import Stimuli
from zoo.training.status import UNFINISHED

__all__ = [
    "MOST_TIMES",
    "Probe",
    "finished",
    "finished_alike",
    "is_plain",
    "kept_every",
    "names_apart",
    "probes_of",
    "shapes_of",
]

MOST_TIMES = 25
"""Time steps of a trajectory that are kept unless a time step is asked for: its neighbours say the same again."""


class Probe(NamedTuple):
    """The conditions on which a set of cohorts is compared.

    Attributes:
      id: a hash of inputs, time step and condition labels.
      cohorts: whose members meet it.
      inputs: `(stimulus, ...)`, as the models take them.
      conditions: name -> one label per stimulus; `image` is its place in the held-out set that it was taken from.
      dt: ms per time step, 0 where there is no time.
      lasts: how many time steps each trial lasts, `(stimulus,)`, see `zoo.tasks.lengths`; 1 where there is no time.
    """

    id: str
    cohorts: tuple[Any, ...]
    inputs: np.ndarray
    conditions: dict[str, np.ndarray]
    dt: float
    lasts: np.ndarray

    @property
    def steps(self) -> int:
        """The time steps that all trials last: what follows is padding of some, and compared of none."""
        return int(self.lasts.min())

    def at_kept(self, x: Any, every: int) -> Any:
        """Of trials `(stimulus, time, ...)`, every such time step of those that all last."""
        return x[:, : self.steps : every]


def probes_of(trained: Any, stimuli: Stimuli | None = None) -> dict[str, Probe]:
    """The probes of a zoo's trained members, by the name of their task (with the id where a task has several).

    Args:
      trained: what `zoo.load` gives.
      stimuli: images, or inputs over time, to show instead of each task's own probe; tasks that take none such are left
        out.
    """
    from zoo.devices import startup
    from zoo.spec.fields import name_of
    from zoo.store.data_hashes import check_data
    from zoo.training.answers import check_task

    startup.start_as(trained.manifest)
    ready = set(trained.members["member"][finished(trained)])
    shown_by_task: dict[Any, _Shown] = {}  # cohorts by the hundred share a task
    probes: dict[tuple[str, str], Probe] = {}
    groups = trained.zoo.cohorts
    if foreign := ready - {member.id for cohort in groups for member in cohort.members}:
        raise ValueError(
            f"{trained.path} holds {len(foreign)} members that its spec does not name, such as {min(foreign)}: it was "
            "trained by another version, whose models or tasks have other fields."
        )
    for cohort in groups:
        if not any(member.id in ready for member in cohort.members):
            continue
        task = cohort.members[0].task
        if stimuli is not None and not _takes(task, stimuli):
            continue
        if task not in shown_by_task:
            check_data(trained.path, task, dict(trained.manifest.get("data", {})))
            check_task(task)  # whose file may be another than when it was trained
            shown_by_task[task] = _shown(task, stimuli)
        shown = shown_by_task[task]
        key = (name_of(task), shown.digest)
        if key in probes:
            probes[key] = probes[key]._replace(cohorts=(*probes[key].cohorts, cohort))
        else:
            probes[key] = Probe(shown.digest, (cohort,), shown.inputs, shown.conditions, float(task.dt), shown.lasts)
    if not probes and (stimuli is None or not ready):
        raise ValueError(f"{trained.path} has no member that is trained to its end; train it first.")
    if not probes and stimuli is not None:
        raise ValueError(
            f"{trained.path} has no trained member whose task takes {_kind(stimuli)}, to be shown the probe "
            f"{stimuli.name!r}; "
            f"without it {', '.join(sorted(set(trained.members['task'])))} is compared on a probe of its own."
        )
    names = [name for name, _ in probes]
    return {name if names.count(name) == 1 else f"{name}-{probe_id}": p for (name, probe_id), p in probes.items()}


def names_apart(groups: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    """What a reader calls groups of tasks: the task's name, and the fields by which groups of one name differ.

    Args:
      groups: key -> tasks of one class.

    Returns:
      Key -> `flipflop`, or `flipflop bits=2`, or where no field says which, the key; no two are the same.
    """
    from zoo.spec.fields import name_of, values_of

    alike: dict[str, dict[str, dict[str, set[Any]]]] = {}  # name -> key -> field -> values
    for key, tasks in groups.items():
        values = [values_of(task) for task in tasks]
        alike.setdefault(name_of(tasks[0]), {})[key] = {field: {each[field] for each in values} for field in values[0]}
    names = {}
    for name, by_key in alike.items():
        fields = next(iter(by_key.values()))
        alone = [f for f in fields if all(len(of[f]) == 1 for of in by_key.values())]
        differ = [f for f in alone if len({next(iter(of[f])) for of in by_key.values()}) > 1]
        for key, of in by_key.items():
            names[key] = " ".join([name, *(f"{f}={next(iter(of[f]))}" for f in differ)])
    taken = list(names.values())
    return {key: key if taken.count(name) > 1 else name for key, name in names.items()}


def _takes(task: Any, stimuli: Stimuli) -> bool:
    """Whether a task's networks can be shown stimuli: images, or inputs over time that are as many as its own."""
    if stimuli.inputs is None:
        return hasattr(task, "stimuli")
    return bool(task.dt) and not hasattr(task, "stimuli") and task.inputs == stimuli.inputs.shape[2]


def _kind(stimuli: Stimuli) -> str:
    return "images" if stimuli.inputs is None else f"{stimuli.inputs.shape[2]} inputs over time"


class _Shown(NamedTuple):
    """What a task shows its networks, as `Probe` has it, and a hash of it and of the time step."""

    inputs: np.ndarray
    conditions: dict[str, np.ndarray]
    lasts: np.ndarray
    digest: str


def _shown(task: Any, stimuli: Stimuli | None) -> _Shown:
    from zoo.spec.fields import name_of
    from zoo.tasks import lengths

    if stimuli is None:
        trials = task.probe(task.data())
        lasts = lengths(trials.mask)
        if not lasts.all():
            raise ValueError(
                f"Task {name_of(task)}: no time step of trial {int(lasts.argmin())} of its probe counts; a trial ends "
                "with the last step whose mask is above 0."
            )
        inputs, conditions = np.asarray(trials.inputs), {n: np.asarray(v) for n, v in trials.conditions.items()}
        if hasattr(task, "places"):
            conditions["image"] = task.places()
    elif stimuli.inputs is not None:
        inputs, conditions = stimuli.inputs, stimuli.conditions
        lasts = np.full(len(inputs), inputs.shape[1])
    else:
        inputs, conditions = np.asarray(task.stimuli(stimuli.images)), stimuli.conditions
        lasts = np.ones(len(inputs), int)
    digest = hashlib.sha256(np.ascontiguousarray(inputs).tobytes() + np.float64(task.dt).tobytes())
    for name, values in conditions.items():
        digest.update(name.encode() + values.tobytes())
    if task.dt and lasts.min() < inputs.shape[1]:
        digest.update(lasts.tobytes())
    return _Shown(inputs, conditions, lasts, digest.hexdigest()[:12])


def kept_every(probe: Probe, time_step: float | None = None) -> int:
    """Of how many time steps one is kept; 1 where there is no time.

    Args:
      probe: what the networks are shown.
      time_step: ms between the steps that are kept; by default as many are kept as leave at most `MOST_TIMES`.

    Raises:
      ValueError: the time step is no multiple of the task's.
    """
    if not probe.dt:
        return 1
    if time_step is None:
        return -(-probe.steps // MOST_TIMES)
    every = round(time_step / probe.dt)
    if every < 1 or abs(every * probe.dt - time_step) > 1e-6 * probe.dt:
        raise ValueError(f"time_step is {time_step} ms; it must be a multiple of the task's {probe.dt} ms.")
    return every


def shapes_of(cohort: Any, inputs: Any) -> dict[str, tuple[int, ...]]:
    """Layer -> shape of its activations on the inputs, `(stimulus, ...)`, in the model's order, and of the whole state
    of a recurrent network; nothing is run."""
    import jax
    import jax.numpy as jnp

    from analysis.dynamics.states import WHOLE_STATE, layout_of
    from zoo.training.binding import Binder, floats_of
    from zoo.training.program import program_of

    program, order = program_of(cohort), []
    binder = Binder(cohort.members[0], {})

    def forward(floats: Any, inputs: Any) -> Any:
        state = program.init(floats)
        activations = program.represent(state.variables, floats, inputs)
        if binder.member.model.family == "recurrent":
            whole = layout_of(binder.bind(floats).model, state.variables).width
            activations = {**activations, WHOLE_STATE: jnp.zeros((*inputs.shape[:2], whole))}
        order.extend(activations)  # JAX gives a dict back sorted by its keys
        return activations

    shapes = jax.eval_shape(forward, jax.tree.map(lambda x: x[0], floats_of(cohort)), inputs)
    return {name: shapes[name].shape for name in order}


def is_plain(layer: str) -> bool:
    """Whether a layer is taken where none is named: no output, no state, nothing before its nonlinearity."""
    from analysis.dynamics.states import WHOLE_STATE
    from models import is_before_nonlinearity
    from zoo.training.program import OUTPUT

    return layer not in (OUTPUT, WHOLE_STATE) and not is_before_nonlinearity(layer)


def finished(trained: Any) -> Any:
    """Which rows of the member table are of members that are trained to their end."""
    return ~trained.members["status"].isin(UNFINISHED)


def finished_alike(trained: Any, ids: Iterable[str]) -> int:
    """How many members are trained to their end on the tasks of these members."""
    own = set(trained.members["member"])  # and not networks trained elsewhere
    tasks = {trained.task(member) for member in own.intersection(ids)}
    return sum(trained.task(member) in tasks for member in trained.members["member"][finished(trained)])

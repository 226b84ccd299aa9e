"""What a zoo is: tasks x models x training settings x seeds, expanded to members and split into cohorts.

Nothing here touches an accelerator.
"""

import dataclasses
import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from models import off, setting
from zoo import lookup
from zoo.fields import checked, fields, label, name_of, replaced, values_of

SECTIONS = ("task", "model", "training")
OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine", "linear", "exponential")


MOST_MEMBERS = 10**6
"""A zoo of more is taken for a mistake, or worse."""


@dataclasses.dataclass(frozen=True)
class Training:
    """How a member is trained.

    Attributes:
      learning_rate: peak step size.
      optimizer: "adam", "adamw" (L2 becomes decoupled weight decay) or "sgd" (with momentum).
      momentum: of "sgd", as in v <- momentum v + g.
      schedule: multiplier of the learning rate over the steps, from 1 to `final`: "constant", "cosine", "linear" or
        "exponential".
      final: the multiplier at the last step of a schedule that is not constant.
      warmup: steps over which the multiplier first rises linearly to 1.
      steps: optimisation steps.
      batch: trials per step.
      l2: coefficient of the sum of squared weights (arrays of two axes or more; not biases) in the loss.
      rate_l2: coefficient of the mean squared activation over all layers in the loss; 0 is off.
      clip: largest global norm of the gradient; 0 is off.
      data: "own": each member draws its own stream from its seed; "shared": all members see one stream, from
        `data_seed`.
      data_seed: the seed of the shared stream.
      target: score on the evaluation set at which a member stops; 0 is off.
      evaluate_every: steps between evaluations; 0 chooses it so that evaluations cost at most 2 % of the steps.
      rule: learning rule, a file of zoo/rules.
      precision: of matrix products: "highest" (float32 everywhere), "high" or "default" (TF32 / bfloat16 passes).
    """

    learning_rate: float = setting(1e-3, above=0)
    optimizer: str = setting("adam", choices=OPTIMIZERS)
    momentum: float = setting(0.9, least=0, below=1)
    schedule: str = setting("constant", choices=SCHEDULES)
    final: float = setting(0.01, above=0, most=1)
    warmup: int = setting(0, least=0)
    steps: int = setting(1000, above=0)
    batch: int = setting(64, above=0)
    l2: float = setting(0.0, least=0)
    rate_l2: float = off(0.0)
    clip: float = off(0.0)
    data: str = setting("own", choices=("own", "shared"))
    data_seed: int = setting(0, least=0)
    target: float = off(0.0)
    evaluate_every: int = setting(0, least=0)
    rule: str = "bptt"
    precision: str = setting("highest", choices=("highest", "high", "default"))


class Member(NamedTuple):
    """One network: one task, model, training and seed.

    Attributes:
      id: `<task>-<model>-<hash of its own fields and seed>`: the same whatever other members exist.
      task, model, training: the instances.
      seed: of its initial parameters and, with data="own", its data stream.
    """

    id: str
    task: Any
    model: Any
    training: Training
    seed: int


class Grid(NamedTuple):
    """tasks x models x trainings x seeds.

    Attributes:
      task, model, training, seeds: the values.
      generation: above 0 of members that were added to a zoo that was trained already: they share no block with others.
    """

    task: tuple[Any, ...]
    model: tuple[Any, ...]
    training: tuple[Training, ...]
    seeds: tuple[int, ...]
    generation: int = 0


@dataclasses.dataclass(frozen=True, init=False)
class Zoo:
    """A set of members: tasks x models x training settings x seeds; zoos add with `+`.

    Args:
      name: of the zoo.
      task, model, training: one instance each, or a list, as `product`, `zipped` and `sampled` make.
      seeds: which ones, or how many: 3 is 0, 1 and 2.
    """

    name: str
    grids: tuple[Grid, ...]

    def __init__(self, name: str, *, task: Any, model: Any, training: Any = None, seeds: int | Iterable[int] = 1):
        training = Training() if training is None else training
        parts = [_instances(s, v) for s, v in zip(SECTIONS, (task, model, training))]
        seeds = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
        for section, values in zip((*SECTIONS, "seeds"), (*parts, seeds)):
            if not values:
                raise ValueError(f"Zoo {name!r} is empty: it has no {section}.")
        self._set(name, (Grid(parts[0], parts[1], parts[2], seeds),))

    def _set(self, name: str, grids: tuple[Grid, ...]) -> "Zoo":
        if not isinstance(name, str) or not re.fullmatch(r"[\w.+-]{1,80}", name):
            raise ValueError(f"The zoo's name is {name!r}; it must be 1 to 80 letters, digits, '_', '-', '.' or '+'.")
        for seed in (seed for grid in grids for seed in grid.seeds):
            if type(seed) is not int or not 0 <= seed < 2**32:
                raise ValueError(f"A seed of zoo {name!r} is {seed!r}; it must be an integer from 0 to 2**32 - 1.")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "grids", grids)
        return self

    def __add__(self, other: "Zoo") -> "Zoo":
        name = self.name if self.name == other.name else f"{self.name}+{other.name}"
        return object.__new__(Zoo)._set(name, self.grids + other.grids)

    def to_json(self) -> dict[str, Any]:
        """The spec as plain JSON values."""
        grids = [
            {
                **{s: [_to_json(i) for i in getattr(grid, s)] for s in SECTIONS},
                "seeds": list(grid.seeds),
                **({"generation": grid.generation} if grid.generation else {}),
            }
            for grid in self.grids
        ]
        return {"name": self.name, "grids": grids}

    @staticmethod
    def from_json(spec: dict[str, Any]) -> "Zoo":
        """The zoo of `to_json`; a ValueError where a name, field or value is not known."""
        try:
            grids = tuple(
                Grid(
                    **{s: tuple(_from_json(s, i) for i in grid[s]) for s in SECTIONS},
                    seeds=tuple(grid["seeds"]),
                    generation=_count(grid.get("generation", 0)),
                )
                for grid in spec["grids"]
            )
            return object.__new__(Zoo)._set(spec["name"], grids)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"The zoo's JSON is not a spec: {error!r:.200}.") from None

    @staticmethod
    def of(name: str, members: Sequence[Member], generation: int = 0) -> "Zoo":
        """The zoo of just these members."""
        grids = tuple(Grid((m.task,), (m.model,), (m.training,), (m.seed,), generation) for m in members)
        return object.__new__(Zoo)._set(name, grids)

    def replace(self, path: str, value: Any) -> "Zoo":
        """The zoo with one field set in every instance that has it; what becomes equal is kept once.

        Args:
          path: "training.steps", "model.hidden", "task.bits", "seeds", or a field's name alone where it is unique; or
            "task", the whole.
          value: the field's value; for "seeds", how many from each grid's first on, or a list; for "task", a task.
        """
        if path == "task":
            grids = [grid._replace(task=_instances("task", value)) for grid in self.grids]
            return object.__new__(Zoo)._set(self.name, tuple(dict.fromkeys(grids)))
        if path == "seeds":
            listed = isinstance(value, (list, tuple, range))
            if not value or not (listed or (type(value) is int and value > 0)):
                raise ValueError(f"seeds is {value!r}; it must be how many, at least 1, or a list of them.")
            # A number keeps where each grid starts: grids that had seeds of their own still do.
            grids = []
            for grid in self.grids:
                seeds = range(grid.seeds[0], grid.seeds[0] + value) if isinstance(value, int) else value
                grids.append(grid._replace(seeds=tuple(seeds)))
            return object.__new__(Zoo)._set(self.name, tuple(grids))
        section, name = self.locate(path)
        grids = []
        for grid in self.grids:
            new = [
                checked(replaced(i, {name: value})) if name in fields(type(i)) else i for i in getattr(grid, section)
            ]
            grids.append(grid._replace(**{section: tuple(dict.fromkeys(new))}))
        return object.__new__(Zoo)._set(self.name, tuple(grids))

    def locate(self, path: str) -> tuple[str, str]:
        """The section and name of a field, given as "section.field" or "field"; a ValueError with the nearest."""
        known = {
            (section, name)
            for grid in self.grids
            for section in SECTIONS
            for instance in getattr(grid, section)
            for name in fields(type(instance))
        }
        section, _, name = path.rpartition(".")
        hits = sorted({s for s, n in known if n == name and section in ("", s)})
        if len(hits) == 1:
            return hits[0], name
        if hits:
            raise ValueError(f"The field {path!r} is in {' and '.join(hits)}; write {hits[0]}.{name} or so.")
        raise ValueError(
            f"Zoo {self.name!r} has no field {path!r}; {lookup.nearest(path, sorted(f'{s}.{n}' for s, n in known))}."
        )


def _instances(section: str, value: Any) -> tuple[Any, ...]:
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    for instance in values:
        if not _is_of(section, instance):
            allowed = "a Training" if section == "training" else f"a {section} of the folder {lookup.FOLDERS[section]}"
            raise ValueError(f"The zoo's {section} is {instance!r}; it must be {allowed}, or a list of them.")
    return tuple(checked(instance) for instance in values)


def _is_of(section: str, instance: Any) -> bool:
    if section == "training":
        return type(instance) is Training
    package, _, name = type(instance).__module__.rpartition(".")
    return package == lookup.FOLDERS[section] and type(instance).__name__ == section.capitalize() and bool(name)


def _to_json(instance: Any) -> dict[str, Any]:
    named = {} if isinstance(instance, Training) else {"name": name_of(instance)}
    return {**named, **{n: list(v) if isinstance(v, tuple) else v for n, v in values_of(instance).items()}}


def _from_json(section: str, values: dict[str, Any]) -> Any:
    values = dict(values)
    cls = Training
    if section != "training":
        cls = getattr(lookup.find(section, values.pop("name")), section.capitalize())
    for name in values:
        if name not in fields(cls):
            raise ValueError(f"{label(cls)} has no field {name!r}; {lookup.nearest(name, fields(cls))}.")
    return checked(cls(**values))


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 10**6:
        raise ValueError(f"A generation of the zoo's JSON is {value!r:.80}; it must be a number from 0 on.")
    return value


def canonical_json(instance: Any) -> str:
    """One line of JSON for an instance, always the same for equal values."""
    return _line(_to_json(instance))


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _hash(value: Any) -> str:
    return hashlib.sha256(_line(value).encode()).hexdigest()[:10]


def members(zoo: Zoo) -> list[Member]:
    """All members of a zoo, grid after grid; a ValueError where two are the same."""
    count = sum(math.prod(map(len, grid[:4])) for grid in zoo.grids)
    if count > MOST_MEMBERS:
        raise ValueError(f"Zoo {zoo.name!r} has {count} members; at most {MOST_MEMBERS} are allowed.")
    result: dict[str, Member] = {}
    for grid in zoo.grids:
        for task, model, training in itertools.product(grid.task, grid.model, grid.training):
            start = f"{name_of(task)}-{name_of(model)}"
            parts = [_to_json(task), _to_json(model), _to_json(training)]
            for seed in grid.seeds:
                member = Member(f"{start}-{_hash([*parts, seed])}", task, model, training, seed)
                if member.id in result:
                    raise ValueError(
                        f"Two members of zoo {zoo.name!r} are the same: {member.id} (seed {seed}, {start}); "
                        "each task, model, training and seed may stand once."
                    )
                result[member.id] = member
    return list(result.values())


class Cohort(NamedTuple):
    """The members that share one compiled program.

    Attributes:
      id: `<task>-<model>-<hash of what is static>`, and the generation of members that were added later.
      members: in the zoo's order.
      traced: section -> names of the fields that are arguments of the program; the others are compiled in.
    """

    id: str
    members: tuple[Member, ...]
    traced: dict[str, tuple[str, ...]]

    def floats(self, section: str) -> dict[str, list[float]]:
        """Traced field -> its value for every member."""
        return {n: [getattr(getattr(m, section), n) for m in self.members] for n in self.traced[section]}


def _static(instance: Any) -> dict[str, Any]:
    """What splits cohorts: static values, and for each field with an off value whether it is on."""
    result: dict[str, Any] = {"": label(instance)}
    for name, field in fields(type(instance)).items():
        value = getattr(instance, name)
        if not field.traced:
            result[name] = list(value) if isinstance(value, tuple) else value
        elif field.off is not None:
            result[name] = value != field.off
    return result


def cohorts(zoo: Zoo) -> list[Cohort]:
    """The members of a zoo grouped by (class, static values), in order of first appearance."""
    groups: dict[str, list[Member]] = {}
    generations = [g.generation for g in zoo.grids for _ in itertools.product(*g[:4])]
    for member, generation in zip(members(zoo), generations, strict=True):
        key = _hash([_static(getattr(member, section)) for section in SECTIONS])
        again = f"-{generation}" if generation else ""
        groups.setdefault(f"{name_of(member.task)}-{name_of(member.model)}-{key}{again}", []).append(member)
    result = []
    for cohort_id, group in groups.items():
        traced = {}
        for section in SECTIONS:
            instance = getattr(group[0], section)
            known = fields(type(instance))
            traced[section] = tuple(n for n, f in known.items() if f.traced and getattr(instance, n) != f.off)
        if group[0].training.data == "shared":
            for name in traced["task"]:
                if len({getattr(member.task, name) for member in group}) > 1:
                    where = f"{label(group[0].task)}.{name}"
                    raise ValueError(f"Shared data needs one task, but {where} varies in cohort {cohort_id}.")
        result.append(Cohort(cohort_id, tuple(group), traced))
    return result


MEMBER_COLUMNS = ("member", "cohort", "task", "model", "seed", "status", "steps", "loss", "score")
"""The columns of the member table that every zoo has; those of varied fields follow."""


def varied(group: Sequence[Member]) -> dict[str, list[Any]]:
    """Column -> value per member, for every field that is not the same in all members that have it.

    A column is named after its field, prefixed by its section (`model.noise`) where two sections share the name or a
    column of the member table has it. A member without the field has None.
    """
    owners: dict[str, set[str]] = {}
    for member in group:
        for section in SECTIONS:
            for name in fields(type(getattr(member, section))):
                owners.setdefault(name, set()).add(section)
    result = {}
    for section in SECTIONS:
        for name in dict.fromkeys(n for m in group for n in fields(type(getattr(m, section)))):
            values = [getattr(getattr(m, section), name, None) for m in group]
            if len({v for v in values if v is not None}) > 1:
                plain = len(owners[name]) == 1 and name not in MEMBER_COLUMNS
                result[name if plain else f"{section}.{name}"] = values
    return result


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Paths at which two JSON values differ, with both values."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in dict.fromkeys([*ours, *theirs]):
            yield from differences(ours.get(key), theirs.get(key), f"{path}.{key}" if path else key)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for i, (a, b) in enumerate(zip(ours, theirs)):
            yield from differences(a, b, f"{path}[{i}]")
    elif ours != theirs:
        yield path, ours, theirs

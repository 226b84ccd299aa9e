"""What a zoo is: tasks x models x training settings x rules x seeds, expanded to members and split into cohorts.

Nothing here touches an accelerator.
"""

import dataclasses
import functools
import hashlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from zoo import lookup
from zoo.spec import encoding
from zoo.spec.cohorts import Cohort, grouped
from zoo.spec.contracts import allowed_of, check_contract, is_of
from zoo.spec.encoding import DEFAULT_RULE, default_rule
from zoo.spec.fields import checked, name_of, paths_of, replaced
from zoo.spec.member import SECTIONS, Member
from zoo.spec.settings import Training

MOST_MEMBERS = 10**6
"""A zoo of more is taken for a mistake, or worse."""


class Grid(NamedTuple):
    """tasks x models x trainings x rules x seeds.

    Attributes:
      task, model, training, rule, seeds: the values.
      generation: above 0 of members that were added to a zoo that was trained already, or came from another one: they
        share no block with those of other generations.
    """

    task: tuple[Any, ...]
    model: tuple[Any, ...]
    training: tuple[Training, ...]
    rule: tuple[Any, ...]
    seeds: tuple[int, ...]
    generation: int = 0


@dataclasses.dataclass(frozen=True, init=False)
class Zoo:
    """A set of members: tasks x models x training settings x rules x seeds; zoos add with `+`.

    Args:
      name: of the zoo.
      task, model, training, rule: one instance each, or a list, as `product`, `zipped` and `sampled` make; the rule is
        backpropagation through time, `bptt`, where none is given.
      seeds: which ones, or how many: 3 is 0, 1 and 2.
    """

    name: str
    grids: tuple[Grid, ...]

    def __init__(
        self,
        name: str,
        *,
        task: Any,
        model: Any,
        training: Any = None,
        rule: Any = None,
        seeds: int | Iterable[int] = 1,
    ):
        given = (task, model, Training() if training is None else training, default_rule() if rule is None else rule)
        parts = [_instances(s, v) for s, v in zip(SECTIONS, given)]
        seeds = _plain(seeds)
        seeds = tuple(range(seeds)) if isinstance(seeds, int) else tuple(map(_plain, seeds))
        for section, values in zip((*SECTIONS, "seeds"), (*parts, seeds)):
            if not values:
                raise ValueError(f"Zoo {name!r} is empty: it has no {section}.")
        self._set(name, (_grid(parts, seeds),))

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

    @functools.cached_property
    def _batches(self) -> list[tuple[list[Member], int]]:
        """Members that differ in their seeds alone, with their generation; grid after grid."""
        count = sum(math.prod(map(len, grid[:5])) for grid in self.grids)
        if count > MOST_MEMBERS:
            raise ValueError(f"Zoo {self.name!r} has {count} members; at most {MOST_MEMBERS} are allowed.")
        return [(members, grid.generation) for grid in self.grids for members in _expanded(grid)]

    @functools.cached_property
    def members(self) -> list[Member]:
        """All members, grid after grid; a ValueError where two are the same."""
        members = [member for batch, _ in self._batches for member in batch]
        counts = Counter(member.id for member in members)
        if len(counts) < len(members):
            member = next(member for member in members if counts[member.id] > 1)
            twins = [other for other in members if other.id == member.id]
            if any(other != twins[0] for other in twins):
                raise ValueError(
                    f"Two different members of zoo {self.name!r} have the id {member.id} by chance, as happens "
                    "among hundreds of thousands; leave one out, or give it another seed."
                )
            start = f"{name_of(member.task)}-{name_of(member.model)}"
            raise ValueError(
                f"Two members of zoo {self.name!r} are the same: {member.id} (seed {member.seed}, {start}); "
                "each task, model, training, rule and seed may stand once."
            )
        return members

    @functools.cached_property
    def cohorts(self) -> list[Cohort]:
        """The members grouped by what is compiled, in order of first appearance."""
        _ = self.members  # which refuses two that are the same
        return grouped(self._batches)

    @property
    def next_generation(self) -> int:
        """The generation of members that are added now."""
        return 1 + max((grid.generation for grid in self.grids), default=0)

    @property
    def hints(self) -> list[str]:
        """What is allowed and probably not meant, each once, as sentences."""
        trainings = dict.fromkeys(training for grid in self.grids for training in grid.training)
        return list(dict.fromkeys(hint for training in trainings if (hint := training.hint)))

    @functools.cached_property
    def homes(self) -> dict[str, str]:
        """Member -> its cohort."""
        return {member.id: cohort.id for cohort in self.cohorts for member in cohort.members}

    @functools.cached_property
    def by_id(self) -> dict[str, Member]:
        """Id -> member."""
        return {member.id: member for member in self.members}

    def to_json(self) -> dict[str, Any]:
        """The spec as plain JSON values."""
        grids = [
            {
                **{s: [encoding.to_json(i) for i in getattr(grid, s)] for s in _sections(grid)},
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
                    **{
                        s: tuple(encoding.from_json(s, i) for i in (grid[s] if s in grid else _ABSENT[s]))
                        for s in SECTIONS
                    },
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
        return Zoo.of_grids(name, grids_of(members, generation))

    @staticmethod
    def of_grids(name: str, grids: Iterable[Grid]) -> "Zoo":
        """The zoo of these grids."""
        return object.__new__(Zoo)._set(name, tuple(grids))

    def replace(self, path: str, value: Any) -> "Zoo":
        """The zoo with one field set in every instance that has it; what becomes equal is kept once.

        Args:
          path: "training.steps", "model.hidden", "task.bits", "seeds", or a field's name alone where it is unique; or
            "task" or "rule", the whole.
          value: the field's value; for "seeds", how many from each grid's first on, or a list; a task, or a rule.
        """
        if path in ("task", "rule"):
            grids = [grid._replace(**{path: _instances(path, value)}) for grid in self.grids]
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
            new = [checked(replaced(i, {name: value})) if name in paths_of(i) else i for i in getattr(grid, section)]
            grids.append(grid._replace(**{section: tuple(dict.fromkeys(new))}))
        return object.__new__(Zoo)._set(self.name, tuple(grids))

    def locate(self, path: str) -> tuple[str, str]:
        """The section and name of a field, given as "section.field" or "field"; a ValueError with the nearest."""
        known = {
            (section, name)
            for grid in self.grids
            for section in SECTIONS
            for instance in getattr(grid, section)
            for name in paths_of(instance)
        }
        section, _, name = path.partition(".")
        section, name = (section, name) if section in SECTIONS and name else ("", path)
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
        if type(instance) is not Training if section == "training" else not is_of(section, instance):
            allowed = "a Training" if section == "training" else allowed_of(section, instance)
            raise ValueError(f"The zoo's {section} is {instance!r}; it must be {allowed}, or a list of them.")
        if section != "training":
            check_contract(section, type(instance))
    return tuple(checked(instance) for instance in values)


def _plain(value: Any) -> Any:
    """A NumPy number as Python's; anything else as it is."""
    return value.item() if hasattr(value, "item") and not getattr(value, "shape", ()) else value


def _grid(parts: Sequence[Any], seeds: tuple[int, ...], generation: int = 0) -> Grid:
    """The grid of these sections."""
    return Grid(**dict(zip(SECTIONS, parts)), seeds=seeds, generation=generation)


_ABSENT: dict[str, Any] = {"rule": [{"name": DEFAULT_RULE}]}
"""What a section that is not in a grid's JSON holds; the others must be there."""


def _sections(grid: Grid) -> tuple[str, ...]:
    """The sections that a grid's JSON has: rules only where there is one beside the default."""
    return SECTIONS if grid.rule != (default_rule(),) else SECTIONS[:-1]


def grids_of(members: Iterable[Member], generation: int = 0) -> list[Grid]:
    """Grids that give these members in this order: as few as there are runs that differ in their seeds alone."""
    runs = itertools.groupby(members, key=lambda member: member.parts)
    return [_grid([(part,) for part in parts], tuple(m.seed for m in run), generation) for parts, run in runs]


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 10**6:
        raise ValueError(f"A generation of the zoo's JSON is {value!r:.80}; it must be a number from 0 on.")
    return value


def _expanded(grid: Grid) -> Iterator[list[Member]]:
    """The members of a grid, seeds together. An id is the hash of `[task, model, training, seed]` as a line of JSON, or
    `[task, model, training, seed, rule]` where the rule is not the default."""
    lines = {section: [encoding.canonical_json(i) for i in getattr(grid, section)] for section in SECTIONS}
    choices = itertools.product(*(zip(getattr(grid, section), lines[section]) for section in SECTIONS))
    for parts in choices:
        (task, model, training, rule), (*before_seed, rule_line) = zip(*parts)
        start = f"{name_of(task)}-{name_of(model)}-"
        prefix = hashlib.sha256(f"[{','.join(before_seed)},".encode())
        end = "]" if rule == default_rule() else f",{rule_line}]"
        members = []
        for seed in grid.seeds:
            digest = prefix.copy()
            digest.update(f"{seed}{end}".encode())
            members.append(Member(start + digest.hexdigest()[:10], task, model, training, rule, seed))
        if members:
            yield members

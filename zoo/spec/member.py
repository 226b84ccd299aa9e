"""What one network is: a task, a model, training settings, a rule and a seed; and the columns of a table of them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from models import Network
from zoo.spec.fields import name_of, paths_of
from zoo.spec.settings import Training

if TYPE_CHECKING:
    from zoo.rules import Rule
    from zoo.tasks import Task

SECTIONS = ("task", "model", "training", "rule")
"""The parts of a spec, in the order of a member's fields."""

MEMBER_COLUMNS = ("member", "cohort", "task", "model", "seed", "status", "steps", "loss", "score")
"""The columns of the member table that every zoo has; those of varied fields follow."""

BEGINS_FROM = "begins_from"
"""The column, where there is one, of the member with fewer steps at whose end a member began."""

RESERVED_COLUMNS = {*MEMBER_COLUMNS, BEGINS_FROM, "rule", "item", "layer", "layer_depth", "trained", "units", "source"}
"""Columns that no field has under its own name: of the member table, and those that comparisons and assays add."""


class Member(NamedTuple):
    """One network: one task, model, training, rule and seed.

    Attributes:
      id: `<task>-<model>-<hash of its own fields and seed>`: the same whatever other members exist.
      task, model, training, rule: the instances.
      seed: of its initial parameters and, with data="own", its data stream.
    """

    id: str
    task: "Task"
    model: Network
    training: Training
    rule: "Rule"
    seed: int

    @property
    def parts(self) -> tuple["Task", Network, Training, "Rule"]:
        """Its sections, in their order: all but the seed."""
        return self.task, self.model, self.training, self.rule


def varied(members: Sequence[Member]) -> dict[str, list[Any]]:
    """Column -> value per member, for every field that is not the same in all members that have it.

    A column is named after its field, prefixed by its section (`model.noise`) where two sections share the name or a
    column of another meaning has it. A member without the field has None.
    """
    # Members share their instances: what is asked of a field is asked of each instance once.
    instances = {section: {id(i): i for i in (getattr(m, section) for m in members)} for section in SECTIONS}
    names = {s: dict.fromkeys(n for i in of.values() for n in paths_of(i)) for s, of in instances.items()}
    columns = {}
    for section in SECTIONS:
        for name in names[section]:
            values = {key: _shown(instance, name) for key, instance in instances[section].items()}
            if len({value for value in values.values() if value is not None}) > 1:
                shared = sum(name in of for of in names.values()) > 1 or name in RESERVED_COLUMNS
                columns[f"{section}.{name}" if shared else name] = [values[id(getattr(m, section))] for m in members]
    return columns


def set_apart(cohorts: Sequence[Any], kinds: Sequence[Any], columns: Mapping[Any, Sequence[Any]]) -> dict[Any, str]:
    """Cohort -> what sets its members apart from those of its kind in other cohorts: "hidden 32, noise 0.1 to 0.3".

    Args:
      cohorts: of each member.
      kinds: of each member, which are told apart anyhow: its task and model.
      columns: name of a field -> its value for each member, None or NaN where it has none.
    """
    kind_of = dict(zip(cohorts, kinds))
    words: dict[Any, list[str]] = {cohort: [] for cohort in kind_of}
    for name, values in columns.items():
        of_cohort: dict[Any, set[Any]] = {cohort: set() for cohort in words}
        for cohort, value in zip(cohorts, values):
            if value is not None and value == value:
                of_cohort[cohort].add(value)
        by_kind: dict[Any, set[frozenset[Any]]] = {}
        for cohort, found in of_cohort.items():
            by_kind.setdefault(kind_of[cohort], set()).add(frozenset(found))
        for cohort, found in of_cohort.items():
            if found and len(by_kind[kind_of[cohort]]) > 1:
                words[cohort].append(f"{name} {_span(found)}")
    return {cohort: ", ".join(parts) for cohort, parts in words.items()}


def _span(values: set[Any]) -> str:
    """One value, the ends of a range of numbers, or how many there are."""
    if len(values) == 1:
        return _short(next(iter(values)))
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return f"{_short(min(values))} to {_short(max(values))}"
    return f"({len(values)} values)"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _shown(instance: Any, path: str) -> Any:
    """The value of a field as a table has it: of a rule that it holds, the name. Where the class has no such field, it
    is what the class says of this name, as images say `dt`, or None."""
    value = instance
    for name in path.split("."):
        value = getattr(value, name, None)
    field = paths_of(instance).get(path)
    return name_of(value) if field is not None and field.holds else value

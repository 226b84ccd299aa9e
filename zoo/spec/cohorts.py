"""Which members share one compiled program."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from zoo.spec.encoding import default_rule, digest, line
from zoo.spec.fields import fields_of, label, name_of, named_values, paths_of, value_at
from zoo.spec.member import SECTIONS, Member


class Cohort(NamedTuple):
    """The members that share one compiled program.

    Attributes:
      id: `<task>-<model>-<hash of what is static>`, and the generation of members that were added later.
      members: in the zoo's order.
      traced: section -> names of the fields that are arguments of the program; the others are compiled in.
      generation: above 0 of members that were added to a directory that was trained already.
    """

    id: str
    members: tuple[Member, ...]
    traced: dict[str, tuple[str, ...]]
    generation: int = 0

    @property
    def kind(self) -> str:
        """The id without the generation: cohorts of one kind have one program."""
        return self.id.removesuffix(f"-{self.generation}") if self.generation else self.id

    def floats(self, section: str) -> dict[str, list[float]]:
        """Traced field -> its value for every member."""
        return {n: [value_at(getattr(m, section), n) for m in self.members] for n in self.traced[section]}


def _static(instance: Any) -> dict[str, Any]:
    """What splits cohorts: static values, and for each field with an off value whether it is on."""
    result: dict[str, Any] = {"": label(instance)}
    known = fields_of(type(instance))
    for name, value in named_values(instance).items():
        field = known.get(name)  # None of a field that the class had once
        if field is not None and field.holds:
            result[name] = _static(value)
        elif field is None or not field.traced:
            result[name] = list(value) if isinstance(value, tuple) else value
        elif field.off is not None:
            result[name] = value != field.off
    return result


def grouped(batches: Iterable[tuple[Sequence[Member], int]]) -> list[Cohort]:
    """Members grouped by (class, static values), in order of first appearance.

    Args:
      batches: members that differ in their seeds alone, with the generation that they are of.
    """
    statics: dict[int, str] = {}  # by instance: thousands of members share one
    groups: dict[tuple[str, int], list[Member]] = {}
    for members, generation in batches:
        instances: Sequence[Any] = members[0].parts
        if instances[-1] == default_rule():
            instances = instances[:-1]
        for instance in instances:
            if id(instance) not in statics:
                statics[id(instance)] = line(_static(instance))
        key = digest(f"[{','.join(statics[id(instance)] for instance in instances)}]")
        later = f"-{generation}" if generation else ""
        name = f"{name_of(instances[0])}-{name_of(instances[1])}-{key}{later}"
        groups.setdefault((name, generation), []).extend(members)
    cohorts = [Cohort(name, tuple(them), _traced(them[0]), number) for (name, number), them in groups.items()]
    for cohort in cohorts:
        if cohort.members[0].training.data == "shared":
            _check_shared(cohort)
    return cohorts


def _traced(member: Member) -> dict[str, tuple[str, ...]]:
    """Section -> the fields that may differ between this member and others of its cohort."""
    traced = {}
    for section in SECTIONS:
        instance = getattr(member, section)
        known = paths_of(instance).items()
        traced[section] = tuple(n for n, field in known if field.traced and value_at(instance, n) != field.off)
    return traced


def _check_shared(cohort: Cohort) -> None:
    """Members that see one stream of trials must have one task."""
    for name, values in cohort.floats("task").items():
        if len(set(values)) > 1:
            where = f"{label(cohort.members[0].task)}.{name}"
            raise ValueError(f"Shared data needs one task, but {where} varies in cohort {cohort.id}.")

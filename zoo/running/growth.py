"""Members that a spec has and its directory has not: added to what is trained already, which stays as it is."""

from typing import Any

from zoo.running.shares import Share
from zoo.spec.member import Member
from zoo.spec.zoo import Grid, Zoo
from zoo.store.directory import Store
from zoo.training import shapes

__all__ = ["grow"]


def grow(store: Store, share: Share) -> str:
    """Add what the directory lacks of the zoo that was given, as a generation of its own.

    Members' bits do not depend on each other: a cohort that continues an earlier one has that one's recipe, and its
    members end as if they had been there from the beginning.

    Args:
      store: of a directory that this process holds.
      share: of the work that this process has.

    Returns:
      What was added, in a sentence; "" where nothing was.

    Raises:
      ValueError: the new parts do not fit together, or other processes share the directory and would not see it grow.
    """
    if not store.absent:
        return ""
    count, there = len(store.absent), len(store.zoo.members)
    if share.count > 1:
        raise ValueError(
            f"{store.path} lacks {count} members of this spec, and adding them is for one process alone, or for --on; "
            "the others can join later."
        )
    added = _generation(store.zoo.name, store.absent, len(store.manifest.get("retries", [])) + 1)
    for cohort in added.cohorts:
        shapes.check(cohort)
    store.add(added)
    members = "1 member is" if count == 1 else f"{count} members are"
    return f"{members} added to the {there} of {store.path.name}, which stay as they are"


def _generation(name: str, members: list[Member], generation: int) -> Zoo:
    """The zoo of these members: those that differ in their seeds alone as one grid."""
    seeds: dict[Any, list[int]] = {}
    for member in members:
        seeds.setdefault(member.parts, []).append(member.seed)
    grids = []
    for (task, model, training, rule), of_parts in seeds.items():
        grids.append(Grid((task,), (model,), (training,), (rule,), tuple(of_parts), generation))
    return Zoo.of_grids(name, grids)

"""Members that failed, again: with another seed, or another learning rate, beside the old ones."""

import dataclasses
import os
from typing import Any

from zoo import files
from zoo.spec.fields import checked
from zoo.spec.member import Member
from zoo.spec.settings import Training
from zoo.spec.zoo import Zoo
from zoo.store import manifest
from zoo.store.directory import Store
from zoo.store.lock import locked
from zoo.store.members import member_table
from zoo.training import shapes
from zoo.training.status import DIVERGED_WORD, UNSOLVED_WORD

STATUSES = (DIVERGED_WORD, UNSOLVED_WORD)


def retried(
    out: str | os.PathLike[str], zoo: Zoo, status: str, learning_rate: float | None = None
) -> list[tuple[str, str]]:
    """Add a new member for every member of a status that has not been tried again; the old ones and their rows stay.

    Args:
      out: the zoo directory.
      zoo: its spec.
      status: "diverged" or "unsolved".
      learning_rate: of the new members, with the old seed; by default they have the old rate and the next free seed of
        their configuration.

    Returns:
      The old member's id and the new one's, of those that were added now.

    Raises:
      ValueError: an unknown status, a bad rate, or one that a member has already.
    """
    if status not in STATUSES:
        raise ValueError(f"--retry is {status!r}; it must be one of {', '.join(STATUSES)}.")
    if learning_rate is not None:
        checked(Training(learning_rate=learning_rate))
    manifest.read_manifest(files.directory(out))  # what is no zoo directory must not become one
    store = Store(out, zoo)
    with locked(store.path):
        store.read()  # another may have added members before this one held the directory
        if store.absent:
            raise ValueError(f"{store.path} lacks {len(store.absent)} members of this spec; train it first.")
        return _added(store, status, learning_rate)


def _added(store: Store, status: str, learning_rate: float | None) -> list[tuple[str, str]]:
    content, zoo = store.manifest, store.zoo
    tried = manifest.tried_again(content)
    everyone = zoo.by_id
    table = member_table(store.path, zoo)
    failed = [everyone[m] for m in table.loc[table["status"] == status, "member"] if m not in tried]
    used: dict[Any, set[int]] = {}
    for member in everyone.values():
        used.setdefault(member.parts, set()).add(member.seed)
    pairs = []
    for member in failed:
        new = _again(member, learning_rate, used)
        if new.id in everyone:
            raise ValueError(f"{member.id} with learning rate {learning_rate} is {new.id}, which the zoo has already.")
        pairs.append((member, new))  # two that differ in their rates alone become one
    if pairs:
        generation = len(content.get("retries", [])) + 1
        added = Zoo.of(zoo.name, list({new.id: new for _, new in pairs}.values()), generation)
        for cohort in added.cohorts:
            shapes.check(cohort)
        store.add(added, {old.id: new.id for old, new in pairs})
    return [(old.id, new.id) for old, new in pairs]


def _again(member: Member, learning_rate: float | None, used: dict[Any, set[int]]) -> Member:
    if learning_rate is not None:
        training = checked(dataclasses.replace(member.training, learning_rate=learning_rate))
        return _named(member._replace(training=training))
    seeds = used[member.parts]
    seed = max(seeds) + 1
    seeds.add(seed)
    return _named(member._replace(seed=seed))


def _named(member: Member) -> Member:
    """The member with the id that its fields give it."""
    (named,) = Zoo.of("again", [member]).members
    return named

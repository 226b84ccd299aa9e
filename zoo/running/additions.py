"""Members added to a directory that was trained already, which stays as it is: those that a larger spec has, and those
that failed, again with another seed or learning rate."""

import dataclasses
import functools
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from models import on
from zoo import files
from zoo.running.shares import Share
from zoo.spec.encoding import canonical_json
from zoo.spec.fields import checked
from zoo.spec.member import Member
from zoo.spec.settings import Training
from zoo.spec.zoo import Grid, Zoo
from zoo.store import manifest
from zoo.store.directory import Store
from zoo.store.lock import locked
from zoo.store.members import member_table
from zoo.store.reader import Trained
from zoo.store.regrouping import places_of
from zoo.training import shapes
from zoo.training.evaluation import evaluate_every
from zoo.training.status import DIVERGED_WORD, UNFINISHED, UNSOLVED_WORD
from zoo.wording import counted

__all__ = ["grow", "longer", "retried", "retry"]

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


def retry(
    out: str | os.PathLike[str],
    zoo: Zoo,
    status: str | None,
    learning_rate: float | None,
    several: bool,
    say: Callable[[str], object],
) -> None:
    """What `--retry` and `--retry-learning-rate` ask for, said line by line.

    Args:
      out, zoo, status, learning_rate: of `retried`.
      several: whether this process is one of several of its run, which is refused.
      say: takes a line.
    """
    if several:
        raise ValueError("--retry adds members: give it to one process alone, or with --on, and the others later.")
    if status is None:
        raise ValueError(f"--retry-learning-rate is {learning_rate}; it needs --retry diverged.")
    added = retried(out, zoo, status, learning_rate)
    for old, new in added:
        say(f"{new} is {old} again")
    say(f"{counted(len(added), 'member')} added for those that are {status} and have not been tried again.")


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
        added = Zoo.of(zoo.name, list({new.id: new for _, new in pairs}.values()), zoo.next_generation)
        for cohort in added.cohorts:
            shapes.check(cohort)
        store.add(added, of={old.id: new.id for old, new in pairs})
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


def grow(store: Store, share: Share) -> str:
    """Add what the directory lacks of the zoo that was given, as a generation of its own.

    Members' bits do not depend on each other: a cohort that continues an earlier one has that one's recipe, and its
    members end as if they had been there from the beginning. A member that differs from an old one in having more steps
    begins where that one ended, if it would have come by there.

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
    begins, reasons = _beginnings(store)
    # Who begins where another ended has a cohort with those of one old cohort, and its recipe.
    cohorts: dict[str, list[Member]] = {}
    for member in store.absent:
        cohorts.setdefault(store.zoo.homes[begins[member.id]] if member.id in begins else "", []).append(member)
    first = store.zoo.next_generation
    added = Zoo.of_grids(
        store.zoo.name, [grid for i, members in enumerate(cohorts.values()) for grid in _grids(members, first + i)]
    )
    for cohort in added.cohorts:
        shapes.check(cohort)
    store.add(added, begins=begins)
    members = "1 member is" if count == 1 else f"{count} members are"
    sentence = f"{members} added to the {there} of {store.path.name}, which stay as they are"
    if begins:
        sentence += f"; {len(begins)} of the new begin where one with fewer steps ended"
    for reason, number in Counter(reasons).items():
        sentence += f"; {number} with more steps than before begin from their seeds, since {reason}"
    return sentence


def _beginnings(store: Store) -> tuple[dict[str, str], list[str]]:
    """Members that are to be added and differ from one that is there in having more steps -> the longest such one whose
    end is a moment of their own training; and of those that have none why the longest is not."""
    shorter: dict[Any, list[Member]] = {}
    for member in sorted(store.zoo.members, key=lambda m: m.training.steps, reverse=True):
        shorter.setdefault(_but_for_steps(member), []).append(member)
    begins, reasons, ends = {}, [], None
    for member in store.absent:
        known = [m for m in shorter.get(_but_for_steps(member), []) if m.training.steps < member.training.steps]
        if known:
            ends = ends or _Ends(store)
            why = {old.id: ends.why_not(member, old) for old in known}
            if old := next((old for old, reason in why.items() if not reason), None):
                begins[member.id] = old
            else:
                reasons.append(why[known[0].id])
    return begins, reasons


def _but_for_steps(member: Member) -> Any:
    """What two members share of which one may be the other with more steps, as ids have it, whatever classes a
    directory's code has given; snapshots are looked at by `_Ends`."""
    parts = member.task, member.model, dataclasses.replace(member.training, steps=1, snapshots=()), member.rule
    return *map(_line, parts), member.seed


_line = functools.lru_cache(maxsize=4096)(canonical_json)  # a grid of members shares its parts


class _Ends:
    """How the members of a directory have ended; each block is looked at once, when it is asked for."""

    def __init__(self, store: Store):
        self._store = store
        table = member_table(store.path, store.zoo, strict=False).set_index("member")
        self._status: dict[str, str] = table["status"].to_dict()
        self._places = places_of(store.path)
        self._newest = functools.cache(lambda folder: (folder.steps() or [None])[-1])
        self._interval = functools.cache(_evaluated_every)

    def why_not(self, new: Member, old: Member) -> str:
        """Why the training of `new` would not have come by the end of `old`; "" where it would."""
        training, entry = old.training, self._store.manifest["cohorts"][self._store.zoo.homes[old.id]]
        if training.schedule != "constant":
            return f"the {training.schedule} schedule of the learning rate depends on their number"
        if on(training.target):
            return "members with a target stop at it"
        if self._status[old.id] in UNFINISHED:
            return "those with fewer are not trained to their end"
        if self._status[old.id] == DIVERGED_WORD:
            return "those with fewer diverged"
        # The old interval is never above the old steps, the new one may be: then it is another.
        every = self._interval(new.task, new.training) if training.score_levels else 1
        if training.score_levels and (training.steps % every or entry["evaluate_every"] != every):
            return f"score levels are met at evaluations, and step {training.steps} would be none of theirs"
        if lacking := [s for s in new.training.snapshots if s < training.steps and s not in training.snapshots]:
            return f"those with fewer have no snapshot at step {lacking[0]}"
        if old.id not in self._places or self._newest(self._places[old.id].folder) != training.steps:
            return f"the checkpoint of those with fewer at step {training.steps} is not there"
        return ""


def _evaluated_every(task: Any, training: Training) -> int:
    """Steps between the evaluations of a member that nobody has trained."""
    return evaluate_every(task, training, None if training.evaluate_every else task.data())


def longer(out: str | os.PathLike[str], given: Zoo, steps: int) -> Zoo:
    """All members of a directory, and each with fewer steps once more with so many.

    Args:
      out: the directory.
      given: its spec, or a part of it.
      steps: how many.

    Raises:
      ValueError: it is no zoo directory, or one without some of this spec; the number is none, or no member has fewer.
    """
    zoo = Trained(out).zoo
    if lacking := sum(member not in zoo.by_id for member in given.by_id):
        raise ValueError(f"{out} lacks {counted(lacking, 'member')} of this spec; train it first.")
    again: dict[str, Member] = {}
    for member in zoo.members:
        if member.training.steps < steps:
            new = _named(member._replace(training=checked(dataclasses.replace(member.training, steps=steps))))
            again[new.id] = new
    if not again:
        most = max(member.training.steps for member in zoo.members)
        raise ValueError(f"--more-steps is {steps}, and no member of {out} has fewer; the most is {most}.")
    return zoo + Zoo.of(zoo.name, [new for member, new in again.items() if member not in zoo.by_id])


def _grids(members: list[Member], generation: int) -> list[Grid]:
    """The grids of these members: those that differ in their seeds alone as one."""
    seeds: dict[Any, list[int]] = {}
    for member in members:
        seeds.setdefault(member.parts, []).append(member.seed)
    grids = []
    for (task, model, training, rule), of_parts in seeds.items():
        grids.append(Grid((task,), (model,), (training,), (rule,), tuple(of_parts), generation))
    return grids

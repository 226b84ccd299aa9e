"""One zoo directory made of several, which stay as they are: a member that is in two of them counts once."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from zoo import files
from zoo.buckets import is_remote
from zoo.spec import own_parts
from zoo.spec.member import Member
from zoo.spec.zoo import Grid, Zoo, grids_of
from zoo.store import manifest
from zoo.store._sources import Source, difference, differing, opened
from zoo.store.checkpoints import BlockFolder
from zoo.store.directory import Store, check_place
from zoo.store.lock import DirectoryInUse, locked
from zoo.store.reader import Trained
from zoo.store.regrouping import Place, save_gathered
from zoo.training.status import UNFINISHED
from zoo.wording import counted

__all__ = ["merge"]

STAGE = ".merging"
"""Where in the new directory it is written until it is whole."""


class Piece(NamedTuple):
    """Members of one cohort of one source that are a cohort of the new directory.

    Attributes:
      source, cohort: where they come from.
      members: they, in order.
      blocks: of each new block the index of the old one and, where members of that are left out, the rows that stay.
      generation: the new one.
    """

    source: Source
    cohort: str
    members: tuple[Member, ...]
    blocks: list[tuple[int, list[int] | None]]
    generation: int


def merge(
    directories: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str], say: Callable[[str], Any] = print
) -> Trained:
    """Make one zoo directory of several.

    Checkpoints are linked where the disk allows it, else copied, with their checksums; a block of which members are
    left out is written anew without them. Every cohort keeps its recipe, as a generation of its own. Of a member that
    is in several directories the first copy is taken that was trained to its end, its checkpoints whole. What was
    compared or drawn stays where it is. Directories that differ in what decides bits (`zoo.store.manifest.machines`)
    make one in which nothing is trained.

    Args:
      directories: zoo directories of this machine, two or more.
      out: where the new one is to be; or the same merge, which then stays as it is.
      say: takes sentences on what was merged.

    Returns:
      The directory, opened for reading.

    Raises:
      ValueError: directories that cannot be one, and why; nothing is written.
      OSError: it could not be written; the same call begins again.
    """
    if remote := [str(place) for place in (*directories, out) if is_remote(place)]:
        raise ValueError(f"{remote[0]} is in a bucket; merge copies on this machine.")
    paths, target = [Path(each).resolve() for each in directories], Path(out).resolve()
    if len(paths) < 2:
        raise ValueError(f"One directory, {paths[0]}, needs no merging." if paths else "Name the directories to merge.")
    if twice := [path for i, path in enumerate([*paths, target]) if path in [*paths, target][:i]]:
        raise ValueError(f"{twice[0]} is named twice; each directory may stand once, and --out is a new one.")
    with ExitStack() as held:
        kept = []
        for path in paths:
            kept.append((path, manifest.read_manifest(path).get("parts", {})))  # what is no zoo directory gets no lock
            _hold(path, held)
        own_parts.check_alike(kept)  # before any of it is run
        if (target / STAGE / "zoo.json").exists():
            with locked(target):
                _settle(target)
        if (target / "zoo.json").exists():
            return _merged_before(target, paths, say)
        check_place(target)
        say(f"merging {', '.join(str(path) for path in paths)} into {target}; every checkpoint is read first")
        sources = [opened(path, say) for path in paths]
        owners = _owners(sources)
        data = _check_alike(sources, owners)
        for line in _lines(sources, owners):
            say(line)
        target.mkdir(parents=True, exist_ok=True)
        with locked(target):
            if (target / "zoo.json").exists():  # another has made it meanwhile
                return _merged_before(target, paths, say)
            check_place(target)
            try:
                _write(target / STAGE, sources, owners, data)
            except Exception:  # a full disk
                files.remove(target / STAGE)
                raise
            _settle(target)
    say(f"{counted(len(owners), 'member')} of {len(sources)} directories are in {target}")
    return Trained(target)


def one_of(directories: Sequence[Path], out: str | None, say: Callable[[str], Any]) -> Path:
    """The directory to go on with: the one that is given, or of several their merge.

    Raises:
      ValueError: as `merge`; several and no place for their merge, or one and a place.
    """
    if len(directories) == 1:
        if out is not None:
            raise ValueError("--out is for several directories; a comparison of one is written into it.")
        return directories[0]
    if out is None:
        raise ValueError("Several directories are merged to be compared; say where with --out.")
    return Path(merge(directories, out, say).path)


def _hold(path: Path, held: ExitStack) -> None:
    """Hold a directory for as long as it is read; of one that may not be written nobody here is training."""
    try:
        held.enter_context(locked(path))
    except DirectoryInUse:
        raise
    except OSError:
        return


def _settle(target: Path) -> None:
    """Move what is staged to where it is to be, `zoo.json` last: a run that is killed meanwhile goes on with it."""
    if not (target / "zoo.json").exists():
        for name in sorted(files.names(target / STAGE), key="zoo.json".__eq__):
            (target / STAGE / name).rename(target / name)
    files.remove(target / STAGE)


def _owners(sources: Sequence[Source]) -> dict[str, int]:
    """Member -> the source whose copy is taken."""
    owners: dict[str, int] = {}
    for i, source in enumerate(sources):
        for member in source.zoo.by_id:
            if member in source.finished and member not in sources[owners.get(member, i)].finished:
                owners[member] = i
            owners.setdefault(member, i)
    return owners


def _check_alike(sources: Sequence[Source], owners: dict[str, int]) -> dict[str, str]:
    """Refuse what cannot be one directory; the hashes of the data of all tasks."""
    data: dict[str, tuple[str, Source]] = {}
    for source in sources:
        content = source.trained.manifest
        for task, hashed in content.get("data", {}).items():
            known, other = data.setdefault(task, (hashed, source))
            if known != hashed:
                raise ValueError(
                    f"{other.name} and {source.name} have other data of the task {task}: {known}, {hashed}."
                )
    if differ := difference(sources):
        for i, source in enumerate(sources):
            if left := sum(owner == i and member not in source.finished for member, owner in owners.items()):
                raise ValueError(
                    f"{counted(left, 'member')} of {source.name} are not trained to their end, and the directories "
                    f"differ in what decides bits ({differ}): train them first."
                )
    return {task: hashed for task, (hashed, _) in data.items()}


def _lines(sources: Sequence[Source], owners: dict[str, int]) -> Iterator[str]:
    """What is said of members that are in several sources, and of sources that differ."""
    if differ := difference(sources):
        yield f"The directories differ in what decides bits ({differ}): in their merge nothing is trained"
    for i, source in enumerate(sources):
        shared = [member for member in source.zoo.by_id if owners[member] != i]
        for owner in sorted({owners[member] for member in shared}):
            taken = sources[owner]
            both = [member for member in shared if owners[member] == owner]
            other = differing(taken, source, [m for m in both if m in taken.finished & source.finished])
            line = f"{counted(len(both), 'member')} of {source.name} that {taken.name} has too count once"
            if other:
                some = ", ".join(other[:3]) + ", ..." * (len(other) > 3)
                line += f"; {len(other)} of them are not the same bits ({some}), and those of {taken.name} are taken"
            yield line


def _pieces(source: Source, owned: set[str], first: int) -> list[Piece]:
    """The cohorts that a source gives, without the members that others give.

    Args:
      source: which.
      owned: its members that are taken.
      first: what its generations begin with in the new directory.
    """
    pieces, further = [], first + source.zoo.next_generation
    for cohort in source.zoo.cohorts:
        recipe = source.entry(cohort.id)["recipe"]
        size = recipe["block"] if recipe else len(cohort.members)
        whole: list[Member] = []
        indices: list[int] = []
        for index, begin in enumerate(range(0, len(cohort.members), size)):
            block = cohort.members[begin : begin + size]
            rows = [row for row, member in enumerate(block) if member.id in owned]
            if len(rows) == len(block):
                whole += block
                indices.append(index)
            elif rows:  # blocks stand close in a cohort: what is left of one is a cohort of its own
                kept = tuple(block[row] for row in rows)
                pieces.append(Piece(source, cohort.id, kept, [(index, rows)], further))
                further += 1
        if whole:
            old: list[tuple[int, list[int] | None]] = [(index, None) for index in indices]
            pieces.append(Piece(source, cohort.id, tuple(whole), old, first + cohort.generation))
    return pieces


def _grids(source: Source, pieces: Sequence[Piece], first: int) -> list[Grid]:
    """The grids of a source in the new spec: its own where all its members are taken."""
    if sum(len(piece.members) for piece in pieces) == len(source.zoo.members):
        return [grid._replace(generation=first + grid.generation) for grid in source.zoo.grids]
    return [grid for piece in pieces for grid in grids_of(piece.members, piece.generation)]


def _write(place: Path, sources: Sequence[Source], owners: dict[str, int], data: dict[str, str]) -> None:
    """Write the new directory in place of what a killed run has left of one; its `zoo.json` last."""
    files.remove(place)
    given: list[list[Piece]] = []
    grids: list[Grid] = []
    for i, source in enumerate(sources):
        first = 1 + max((grid.generation for grid in grids), default=-1)
        given.append(_pieces(source, {member for member, owner in owners.items() if owner == i}, first))
        grids += _grids(source, given[-1], first)
    names = list(dict.fromkeys(source.zoo.name for source in sources))
    name = "+".join(names) if len("+".join(names)) <= 80 else names[0]
    zoo, asked = Zoo.of_grids(name, grids), {}
    for piece in (piece for pieces in given for piece in pieces):
        home, entry = zoo.homes[piece.members[0].id], piece.source.entry(piece.cohort)
        if entry["asked"]:
            asked[home] = entry["asked"]
        if entry["recipe"]:
            old = piece.source.path / "cohorts" / piece.cohort
            files.link(old / "cohort.json", place / "cohorts" / home / "cohort.json")
            for new, (index, rows) in enumerate(piece.blocks):
                block, copy = BlockFolder(old / f"{index:04d}"), place / "cohorts" / home / f"{new:04d}"
                steps = piece.source.steps.get(block.path, [])
                if rows is None:
                    _copy(block, copy, steps)
                else:
                    _leave_out(block, copy, steps, piece, rows, entry["recipe"]["block"])
    files.write_atomically(place / "recipes.json", files.to_json(asked))
    trained = [source.trained.manifest for source in sources if manifest.machines(source.trained.manifest)]
    content = {**(trained or [sources[0].trained.manifest])[0]}
    content.update(spec=zoo.to_json(), cohorts=manifest.sizes(zoo), data=data)
    lineage = [entry for i, pieces in enumerate(given) for entry in _lineage(sources[i], i, owners, pieces)]
    # An entry even where there is no lineage: the recipes of cohorts that are begun later have a file of their own.
    content["retries"] = [{"name": name, "grids": [], **pairs} for pairs in lineage or [{}]]
    content = {name: value for name, value in content.items() if name not in ("parts", "own")}
    content |= own_parts.keep(place, own_parts.own_of(zoo))
    content["merged"] = [_about(source, pieces, zoo) for source, pieces in zip(sources, given)]
    for entry in ("last_run", *ABOUT[:-1] * bool(difference(sources))):  # what none of the sources can say for all
        content.pop(entry, None)
    files.write_atomically(place / "zoo.json", files.to_json(content))
    Store(place, zoo).write_table()


def _copy(block: BlockFolder, target: Path, steps: Sequence[int]) -> None:
    """Link some checkpoints of a block."""
    for step in steps:
        for name in files.sizes(block.path / str(step)):
            files.link(block.path / str(step) / name, target / str(step) / name)


def _leave_out(
    block: BlockFolder, target: Path, steps: Sequence[int], piece: Piece, rows: list[int], size: int
) -> None:
    """Write some checkpoints of a block without some of its members."""
    new = BlockFolder(target, kept=len(steps))
    for step in steps:
        save_gathered(new, step, [Place(block, row) for row in rows], [member.id for member in piece.members], size)


def _lineage(source: Source, number: int, owners: dict[str, int], pieces: Sequence[Piece]) -> Iterator[dict[str, Any]]:
    """What `retries` of a source says of who comes from whom: of beginnings those of members that it gives.

    Who is still to begin does so from a copy of the same source, or else from its seed: with the same bits.
    """
    begun, kept = manifest.begun_from(source.trained.manifest), set()
    for piece in pieces:
        members = [member.id for member in piece.members if member.id in begun]
        if all(member in source.finished or owners[begun[member]] == number for member in members):
            kept |= set(members)
    for retry in source.trained.manifest.get("retries", []):
        begins = {new: old for new, old in retry.get("begins", {}).items() if new in kept}
        if pairs := {name: of for name, of in (("of", retry.get("of", {})), ("begins", begins)) if of}:
            yield pairs


ABOUT = ("versions", "environment", "hardware", "merged")
"""Entries of a `zoo.json` that stand in that of a merge, too, for each directory by itself."""


def _about(source: Source, pieces: Sequence[Piece], zoo: Zoo) -> dict[str, Any]:
    """What the `zoo.json` of a merge, with this spec, says of a directory that was merged."""
    content = source.trained.manifest
    return {
        "directory": source.path.name,
        "members": len(source.zoo.members),
        "ids": _hash(source.zoo.by_id),
        "cohorts": [zoo.homes[piece.members[0].id] for piece in pieces],
        "machines": manifest.machines(content),
        **{name: content[name] for name in ABOUT if name in content},
    }


def _hash(members: Iterable[str]) -> str:
    return hashlib.sha256(" ".join(sorted(members)).encode()).hexdigest()[:16]


def _merged_before(target: Path, paths: Sequence[Path], say: Callable[[str], Any]) -> Trained:
    """The directory, where it is the merge of these sources; a ValueError where it is not."""
    merged, sources = Trained(target), [Trained(path) for path in paths]
    recorded = merged.manifest.get("merged", [])
    if [about.get("ids") for about in recorded] != [_hash(source.zoo.by_id) for source in sources]:
        of = ", ".join(f"{about.get('directory')} ({about.get('members')} members)" for about in recorded)
        now = ", ".join(f"{source.path.name} ({len(source.zoo.members)} members)" for source in sources)
        what = f"the merge of {of}" if recorded else "another zoo"
        raise ValueError(f"--out {target} is {what} and not of {now}; choose a new one, or remove it.")
    say(f"{target} is the merge of these already, with {counted(len(merged.zoo.members), 'member')}")
    table = merged.members
    waiting = set(table.loc[table["status"].isin(UNFINISHED), "member"])
    tables = [source.members for source in sources] if waiting else []
    if later := waiting & {m for t in tables for m in t.loc[~t["status"].isin(UNFINISHED), "member"]}:
        say(
            f"{counted(len(later), 'member')} that are not trained to their end in it have been since, where they came "
            f"from: remove {target} to merge anew, or `train` it"
        )
    return merged

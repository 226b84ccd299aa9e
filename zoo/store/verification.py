"""Every checksum of a zoo directory."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from zoo import files
from zoo.spec.encoding import described
from zoo.spec.own_parts import kept_text
from zoo.store import sealing
from zoo.store.checkpoints import BlockFolder, block_folders
from zoo.store.manifest import check_cohorts, read_manifest, zoo_of
from zoo.store.reader import Trained
from zoo.store.sealing import MENDS
from zoo.training.status import PENDING_WORD


class Verified(NamedTuple):
    """What reading every file has shown.

    Attributes:
      blocks, checkpoints, bytes: how much was read.
      unfinished: folders of steps without a manifest: a run was killed there, or is writing; harmless.
      faults: what is damaged or lost, and what to do about it.
    """

    blocks: int
    checkpoints: int
    bytes: int
    unfinished: int
    faults: list[str]


def verify(directory: str | os.PathLike[str]) -> Verified:
    """Read every file of every checkpoint, and compare it with what was written; changes nothing.

    Args:
      directory: of a zoo.

    Raises:
      ValueError: it is no zoo directory.
    """
    path = files.directory(directory)
    changed, snapshots = [], {}
    try:
        manifest = read_manifest(path)
        if parts := manifest.get("parts", {}):  # to compare spec and cohorts would run their code
            for module, digest in parts.items():
                kept_text(path, module, digest)
            snapshots = _snapshots(path, [manifest["spec"], *manifest.get("retries", [])])
        else:
            zoo = zoo_of(manifest, path)
            snapshots = {cohort.id: cohort.members[0].training.snapshots for cohort in zoo.cohorts}
            check_cohorts(path, manifest, zoo)
    except ValueError as error:
        if not (path / "zoo.json").exists():
            raise
        changed = [str(error)]
    blocks = list(verified_blocks(path, snapshots))
    members = {member for block in blocks for member in block.members}
    damaged = {block.folder.path.parent.name for block in blocks if block.faults}
    return Verified(
        blocks=len(blocks),
        checkpoints=sum(len(block.steps) for block in blocks),
        bytes=sum(block.bytes for block in blocks),
        unfinished=sum(block.unfinished for block in blocks),
        faults=[*changed, *(fault for block in blocks for fault in block.faults), *_lost(path, members, damaged)],
    )


def _snapshots(path: Any, specs: list[dict[str, Any]]) -> dict[str, tuple[int, ...]]:
    """Cohort -> the snapshots of its members, by those that a block of it holds: read without the classes."""
    found: dict[str, tuple[int, ...]] = {}
    for folder in block_folders(path):
        cohort, steps = folder.path.parent.name, folder.steps()
        if cohort not in found and steps:
            fields = described(specs, sealing.sealed_manifest(folder.path / str(steps[0]), steps[0])["members"][0])
            found[cohort] = tuple((fields or {}).get("training", {}).get("snapshots", ()))
    return found


class VerifiedBlock(NamedTuple):
    """What reading every file of a block has shown.

    Attributes:
      folder: which.
      members: that its newest whole checkpoint holds.
      steps: of its whole checkpoints, ascending.
      bytes, unfinished, faults: as of `Verified`.
    """

    folder: BlockFolder
    members: list[str]
    steps: list[int]
    bytes: int
    unfinished: int
    faults: list[str]


def verified_blocks(path: Any, snapshots: Mapping[str, tuple[int, ...]]) -> Iterator[VerifiedBlock]:
    """Of every block, in order, what reading every file of it has shown.

    Args:
      path: of the directory.
      snapshots: cohort -> the steps that its blocks are to keep.
    """
    folders = [
        BlockFolder(folder.path, snapshots=snapshots.get(folder.path.parent.name, ())) for folder in block_folders(path)
    ]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # a digest leaves the other threads alone
        yield from pool.map(_block, folders)


def _block(folder: BlockFolder) -> VerifiedBlock:
    size = unfinished = 0
    members, steps, damaged = [], [], {}
    for step in folder.numbers():
        try:
            content = sealing.verify_step(folder.path / str(step), step)
        except (FileNotFoundError, NotADirectoryError):
            unfinished += 1
        except sealing.CheckpointCorrupt as error:
            damaged[step] = str(error)
        else:
            steps.append(step)
            members = content["members"]
            size += sum(entry["bytes"] for entry in content["files"].values())
    faults = []
    for step, error in damaged.items():
        mended = step in (0, *folder.snapshots) or step > max(steps, default=-1)
        way = MENDS if mended else f"newer ones are whole, so remove {folder.path / str(step)}"
        faults.append(f"{error.rstrip('.')}; {way}.")
    for step in folder.lost():
        if step not in damaged:
            what = "a snapshot" if step else "the untrained networks"
            faults.append(f"{folder.path} has lost step {step}, {what}; {MENDS}.")
    return VerifiedBlock(folder, members, steps, size, unfinished, faults)


def _lost(path: Any, members: set[str], damaged: set[str]) -> list[str]:
    """What the member table speaks of, and no block holds; damaged blocks have said so."""
    try:
        table = Trained(path).written()
    except ValueError as error:
        return [str(error)]
    faults = []
    if table is not None:
        for cohort, group in table[table["status"] != PENDING_WORD].groupby("cohort", sort=False):
            lost = [member for member in group["member"] if member not in members]
            if lost and cohort not in damaged:
                place = path / "cohorts" / str(cohort)
                way = MENDS if place.is_dir() else "bring it back, or remove members.csv to train its members again"
                faults.append(
                    f"{place}: members.csv says that {lost[0]} was trained, and no checkpoint holds it; {way}."
                )
    return faults

"""What makes a folder of files a checkpoint: a manifest with the size and sha256 of every file, written last.

    {"files": {"state/_METADATA": {"bytes": 1797, "sha256": "..."}, ...}, "format": 1, "members": [...], "step": 60,
     "seal": sha256 of all the rest}

Orbax restores a flipped bit without a word, and lists steps that are half deleted. A folder without a manifest that
agrees with itself is no checkpoint here, and what the manifest does not vouch for is not read.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from zoo.files import read, read_json_bytes, sha256, sizer, sizes, spread, write_atomically

MANIFEST = "manifest.json"
MENDS = "`train` on the same directory mends it"
"""What to do about what the seeds, or another checkpoint, can give again."""
SEAL_FORMAT = 1


class CheckpointCorrupt(ValueError):
    """A checkpoint that is not what was written. The sentence names the file and the step."""


def seal(folder: Any, step: int, members: Sequence[str]) -> None:
    """Write the manifest of a folder whose files are all there."""
    known = [(n, s) for n, s in sizes(folder).items() if n != MANIFEST and not PurePosixPath(n).name.startswith(".")]
    digests = spread(folder, lambda file: sha256(folder / file[0], file[1]), known)
    files = {name: {"bytes": size, "sha256": digest} for (name, size), digest in zip(known, digests)}
    content = {"files": files, "format": SEAL_FORMAT, "members": list(members), "step": step}
    write_atomically(folder / MANIFEST, _line({**content, "seal": _sha256(_line(content))}))


def sealed_manifest(folder: Any, step: int) -> dict[str, Any]:
    """The manifest of a step, if it agrees with itself and every file is there in its size; contents are not read.

    Raises:
      FileNotFoundError: there is no manifest: the step was never finished, or is being removed.
      CheckpointCorrupt: it has been changed, or a file is missing, or has another size.
      ValueError: another version of this program wrote it.
      OSError: it cannot be read now; that says nothing about what is in it.
    """
    path = folder / MANIFEST
    try:
        content, stored = read_json_bytes(path)
    except ValueError as error:  # no JSON
        raise CheckpointCorrupt(f"Step {step} is damaged: {error}") from None
    rest = {name: value for name, value in content.items() if name != "seal"}
    if stored != _line(content) or content.get("seal") != _sha256(_line(rest)):
        raise CheckpointCorrupt(f"Step {step} is damaged: {path} is not as it was written.")
    _check_schema(path, step, content)
    size = sizer(folder)
    for name, entry in content["files"].items():
        file = folder / name
        try:
            length = size(name)
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name that no file system takes
            read_json_bytes(path)  # the manifest is still there: the step is not just being removed
            raise CheckpointCorrupt(f"Step {step} is damaged: {file} is missing.") from None
        if length != entry["bytes"]:
            raise CheckpointCorrupt(f"Step {step} is damaged: {file} has {length} bytes instead of {entry['bytes']}.")
    return content


def verify_step(folder: Any, step: int) -> dict[str, Any]:
    """The manifest of a step, after every byte of every file was read; raises as `sealed_manifest`."""
    content = sealed_manifest(folder, step)
    digests = spread(folder, lambda file: sha256(folder / file[0], file[1]["bytes"]), content["files"].items())
    for name, entry in content["files"].items():
        file = folder / name
        if next(digests) != entry["sha256"]:
            raise CheckpointCorrupt(f"Step {step} is damaged: {file} is not as it was written.")
    return content


def read_sealed(folder: Any, step: int, name: str) -> bytes:
    """The content of one file of a step, as it was written; raises as `sealed_manifest`."""
    entry = sealed_manifest(folder, step)["files"].get(name)
    content = read(folder / name) if entry else b""
    if entry is None or _sha256(content) != entry["sha256"]:
        raise CheckpointCorrupt(f"Step {step} is damaged: {folder / name} is not as it was written.")
    return content


def _check_schema(path: Any, step: int, content: dict[str, Any]) -> None:
    """A seal can be written by anyone: what it says may still not lead out of the folder."""
    files, members = content.get("files"), content.get("members")
    if content.get("format") != SEAL_FORMAT:
        raise ValueError(
            f"{path} has format {content.get('format')!r:.40}, of another version of this program; this version reads "
            f"format {SEAL_FORMAT}."
        )
    listed = isinstance(members, list) and all(isinstance(m, str) for m in members)
    if not (isinstance(files, dict) and listed) or content.get("step") != step:
        raise CheckpointCorrupt(f"Step {step} is damaged: {path} is no manifest of this step.")
    for name, entry in files.items():
        inside = not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts and name
        known = isinstance(entry, dict) and type(entry.get("bytes")) is int and isinstance(entry.get("sha256"), str)
        if not (inside and known):
            raise CheckpointCorrupt(f"Step {step} is damaged: {path} names the file {name!r}, which cannot be.")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

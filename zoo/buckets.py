"""Files in a bucket, at an address that begins with gs://.

Every question to a bucket takes a tenth of a second or so: a function here asks once, and for a whole folder at a time
where it can. There are no locks, a rename is a copy, and an object is written whole or not at all.
"""

import functools
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zoo.wording import first_line

MOST_AT_ONCE = 32 * 2**20
"""Bytes of a file that are read whole for its checksum; of a larger one so many at a time."""

REQUESTS = 8
"""Questions that are asked at the same time."""


class BucketError(OSError):
    """A bucket that does not answer, or refuses. Nothing is known then of what is there; it is not damaged."""


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path is in a bucket."""
    return "://" in os.fspath(path)


def local(name: str) -> Path:
    """The path of a directory that must be on this machine."""
    if is_remote(name):
        raise ValueError(f"{name} is in a bucket; `train` into it, and compare a copy on this machine.")
    return Path(name)


def address(name: str | os.PathLike[str]) -> Any:
    """The folder at an address, as an `etils.epath.Path`, which has the methods of a `pathlib.Path`.

    Raises:
      ValueError: the address does not begin with gs://, or gcsfs is not installed.
    """
    if not os.fspath(name).startswith("gs://"):
        raise ValueError(f"{name} is an address that nothing can be kept at; it must begin with gs://.")
    _file_system()
    from etils import epath

    return epath.Path(name)


@functools.cache
def _file_system() -> Any:
    """The file system of all buckets.

    It keeps no listing: what TensorStore and other processes write, it would not see otherwise, in this process ever.
    epath takes the same setting, so it must be made before epath looks at a bucket.
    """
    import fsspec
    import fsspec.config

    fsspec.config.conf.setdefault("gs", {})["use_listings_cache"] = False
    try:
        return fsspec.filesystem("gs", finalize_on_close=True)
    except ImportError:
        raise ValueError("A gs:// address needs gcsfs: pip install gcsfs.") from None


@contextmanager
def _asking() -> Iterator[None]:
    """Errors of gcsfs become a `BucketError`; its own, as for credentials that are not taken, are no OSErrors."""
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except Exception as error:
        raise BucketError(first_line(error)) from error


def write(path: Any, content: bytes) -> None:
    """Write a file whole, over what was there."""
    with _asking():
        _file_system().pipe_file(str(path), content)


def write_once(path: Any, content: bytes) -> bool:
    """Write a file whole where there is none; False where there is one."""
    try:
        with _asking():
            _file_system().pipe_file(str(path), content, mode="create")
    except FileExistsError:
        return False
    return True


def read(path: Any, most: int | None = None) -> bytes:
    """The content of a file, at most so many bytes of it."""
    with _asking():
        try:
            return _file_system().cat_file(str(path), end=most)
        except Exception as error:
            if getattr(error, "code", None) == 416:  # an empty file has no first byte to begin at
                return b""
            raise


def sha256(path: Any, size: int) -> str:
    """The checksum of a file of so many bytes, which need not fit into memory."""
    if size <= MOST_AT_ONCE:
        return hashlib.sha256(read(path)).hexdigest()
    with _asking(), _file_system().open(str(path), "rb", block_size=MOST_AT_ONCE, cache_type="readahead") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def entries(folder: Any) -> dict[str, str]:
    """What is in a folder: name -> "file" or "directory"; nothing where the folder is not there."""
    place = str(folder).removeprefix("gs://")
    try:
        with _asking():
            listing = _file_system().ls(place, detail=True)
    except FileNotFoundError:
        return {}
    # A folder that was made by hand is an object of its own, and in its own listing.
    return {entry["name"].rpartition("/")[2]: entry["type"] for entry in listing if entry["name"].rstrip("/") != place}


def sizes(folder: Any) -> dict[str, int]:
    """Every file below a folder: its name relative to the folder -> its bytes."""
    place = str(folder).removeprefix("gs://") + "/"
    with _asking():
        listing = _file_system().find(place, detail=True)
    return {name.removeprefix(place): int(about["size"]) for name, about in listing.items() if not name.endswith("/")}


def remove(folder: Any) -> None:
    """Remove a folder with all that is in it, if it is there."""
    with suppress(FileNotFoundError), _asking():
        _file_system().rm(str(folder), recursive=True)


def unlink(path: Any) -> None:
    """Remove a file, if it is there."""
    with suppress(FileNotFoundError), _asking():
        _file_system().rm_file(str(path))

"""Files of a zoo directory, here or in a bucket: written whole or not at all, and checked before they are believed.

A directory is a `pathlib.Path`, or for `gs://` an `etils.epath.Path`, which has the same methods. What is asked often
goes through the functions here: each asks a bucket once (zoo/buckets.py), where the methods would ask many times.
"""

import hashlib
import io
import json
import math
import os
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from zoo import buckets
from zoo.buckets import is_remote
from zoo.wording import first_line

MOST_JSON = 256 * 2**20
"""Bytes of the largest JSON file that is read: a spec of a million members has less."""

MOST_ARRAYS = 4 * 2**30
"""Bytes that the arrays of one .npz may say they have."""


def directory(name: str | os.PathLike[str]) -> Any:
    """The absolute path of a directory, or the address of one in a bucket."""
    if not is_remote(name):
        return Path(name).resolve()  # Orbax and TensorStore ask for it
    return buckets.address(name)


def write_atomically(path: Any, content: bytes) -> None:
    """Write a file whole or not at all. A bucket does so by itself."""
    if is_remote(path):
        buckets.write(path, content)
        return
    with _WholeFile(path, content) as temporary:
        temporary.replace(path)


def write_once(path: Any, content: bytes) -> bool:
    """Write a file that several processes may want to write; False where one was there first."""
    if is_remote(path):
        return buckets.write_once(path, content)
    with _WholeFile(path, content) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if path.exists():
                return False
            temporary.replace(path)
    return True


class _WholeFile:
    """A temporary file beside `path` with the content, on the disk; gone afterwards."""

    def __init__(self, path: Path, content: bytes):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        self.content = content

    def __enter__(self) -> Path:
        try:
            with open(self.path, "wb") as file:
                file.write(self.content)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            self.path.unlink(missing_ok=True)
            raise
        return self.path

    def __exit__(self, *_: Any) -> None:
        self.path.unlink(missing_ok=True)


def to_json(value: Any) -> bytes:
    """JSON for people."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def read_json(path: Any) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
      FileNotFoundError: it is not there.
      OSError: it cannot be read now.
      ValueError: it is too large, or no JSON object; one sentence.
    """
    return read_json_bytes(path)[0]


def read_json_bytes(path: Any) -> tuple[dict[str, Any], bytes]:
    """The object in a JSON file, and the file's content; raises as `read_json`."""
    try:
        if (length := 0 if is_remote(path) else size(path)) > MOST_JSON:
            raise ValueError(f"it has {length} bytes, and at most {MOST_JSON} are read")
        content = read(path, MOST_JSON)
        value = json.loads(content)
        if not isinstance(value, dict):
            raise ValueError(f"it holds a {type(value).__name__} and must hold an object")
    except RecursionError:
        raise ValueError(f"{path} cannot be read: it is nested too deeply.") from None
    except ValueError as error:  # as UnicodeDecodeError and JSONDecodeError are
        raise ValueError(f"{path} cannot be read: {first_line(error)}.") from None
    return value, content


def read(path: Any, most: int | None = None) -> bytes:
    """The content of a file; of one in a bucket at most `most` bytes."""
    return buckets.read(path, most) if is_remote(path) else path.read_bytes()


def sha256(path: Any, size: int) -> str:
    """The checksum of a file of so many bytes, which need not fit into memory."""
    if is_remote(path):
        return buckets.sha256(path, size)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def names(folder: Any) -> list[str]:
    """Names of what is in a folder, in order; none where it is not there."""
    if not is_remote(folder):
        return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    return sorted(buckets.entries(folder))


def folders(folder: Any) -> list[Any]:
    """The folders in a folder, in order; none where it is not there."""
    if not is_remote(folder):
        return sorted((p for p in folder.iterdir() if p.is_dir()), key=lambda p: p.name) if folder.is_dir() else []
    return [folder / name for name, kind in sorted(buckets.entries(folder).items()) if kind == "directory"]


def sizes(folder: Any) -> dict[str, int]:
    """Every file below a folder: its name relative to it -> its bytes. In a bucket one question."""
    if not is_remote(folder):
        return {name: size(path) for name, path in _below(folder)}
    return buckets.sizes(folder)


def _below(folder: Path, above: str = "") -> Iterator[tuple[str, Path]]:
    for path in folder.iterdir():
        if path.is_dir():
            yield from _below(path, f"{above}{path.name}/")
        else:
            yield f"{above}{path.name}", path


def sizer(folder: Any) -> Callable[[str], int]:
    """What tells the bytes of a file below a folder, by its name; of a folder in a bucket all are asked for at once."""
    if not is_remote(folder):
        return lambda name: size(folder / name)
    known = sizes(folder)

    def look(name: str) -> int:
        if name not in known:
            raise FileNotFoundError(f"{folder / name} is missing")
        return known[name]

    return look


def spread(place: Any, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """`map`; where the place is in a bucket several calls at a time, since they wait more than they work."""
    if not is_remote(place):
        yield from map(function, items)
        return
    with ThreadPoolExecutor(buckets.REQUESTS) as pool:
        yield from pool.map(function, items)


def read_arrays(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an .npz, without pickles; what each says of its shape is compared with what there is, first.

    Raises:
      ValueError: damaged, pickled, or of other sizes than declared.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as stream:
                    version = np.lib.format.read_magic(stream)
                    if version not in ((1, 0), (2, 0)):
                        raise ValueError(f"{entry.filename} has version {version}")
                    first = version == (1, 0)
                    header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
                    shape, _, dtype = header(stream)
                    declared = math.prod(shape) * dtype.itemsize
                    if dtype.hasobject or declared > MOST_ARRAYS or declared != entry.file_size - stream.tell():
                        raise ValueError(f"{entry.filename} says that it has {declared} bytes, which is not so")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return dict(file)
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ValueError(first_line(error)) from None


def size(path: Any) -> int:
    """Bytes of a file of this machine."""
    return int(path.stat().st_size)


def link(source: Path, target: Path) -> None:
    """A file of this machine under a second name, or copied where the disk is another. Files are replaced here, never
    changed: neither name can alter what the other shows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def remove(folder: Any) -> None:
    """Remove a folder with all that is in it, if it is there."""
    if is_remote(folder):
        buckets.remove(folder)
        return
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():  # another process may have removed a part meanwhile, but not all
        shutil.rmtree(folder)


def unlink(path: Any) -> None:
    """Remove a file, if it is there."""
    if is_remote(path):
        buckets.unlink(path)
    else:
        path.unlink(missing_ok=True)


def check_writable(folder: Any) -> None:
    """Raise an OSError where no file can be written into a folder, or the folder not made; leaves nothing behind."""
    name = f".{os.getpid()}.{threading.get_ident()}"
    if is_remote(folder):
        write_atomically(folder / name, b"")
        unlink(folder / name)
        return
    probe = _existing(folder) / name
    probe.write_bytes(b"")
    probe.unlink()


def bytes_left(path: Any) -> int | None:
    """Free bytes of the disk that a path is, or will be, on; None for a bucket."""
    if is_remote(path):
        return None
    return shutil.disk_usage(_existing(path)).free


def _existing(path: Path) -> Path:
    """A path, or the nearest folder above it that there is."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path

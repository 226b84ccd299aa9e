"""Files of a zoo directory, here or in a bucket: written whole or not at all, and checked before they are believed.

A directory is a `pathlib.Path`, or for `gs://` and other buckets an `etils.epath.Path`, which has the same methods.
"""

import io
import json
import math
import os
import shutil
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

MOST_JSON = 256 * 2**20
"""Bytes of the largest JSON file that is read: a spec of a million members has less."""

MOST_ARRAYS = 4 * 2**30
"""Bytes that the arrays of one .npz may say they have."""


def directory(name: str | os.PathLike[str]) -> Any:
    """The absolute path of a directory, or the address of one in a bucket."""
    if is_remote(name):
        from etils import epath

        return epath.Path(name)
    return Path(name).resolve()  # Orbax and TensorStore ask for it


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path is in a bucket, where there are no locks, and a rename is a copy."""
    return "://" in os.fspath(path)


def write_atomically(path: Any, content: bytes) -> None:
    """Write a file whole or not at all. A bucket does so by itself."""
    if is_remote(path):
        path.write_bytes(content)
        return
    with _complete(path, content) as temporary:
        temporary.replace(path)


def write_once(path: Any, content: bytes) -> bool:
    """Write a file that several processes may want to write; False where one was there first.

    In a bucket two that come at the same moment may both write: what they write must not differ.
    """
    if is_remote(path):
        if path.exists():
            return False
        path.write_bytes(content)
        return True
    with _complete(path, content) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if path.exists():
                return False
            temporary.replace(path)
    return True


class _complete:
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
      ValueError: it is too large, or no JSON object; one sentence.
    """
    try:
        if (found := size(path)) > MOST_JSON:
            raise ValueError(f"it has {found} bytes, and at most {MOST_JSON} are read")
        value = json.loads(path.read_bytes())
        if not isinstance(value, dict):
            raise ValueError(f"it holds a {type(value).__name__} and must hold an object")
    except FileNotFoundError:
        raise
    except RecursionError:
        raise ValueError(f"{path} cannot be read: it is nested too deeply.") from None
    except (ValueError, OSError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise ValueError(f"{path} cannot be read: {first_line(error)}.") from None
    return value


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
                    one = version == (1, 0)
                    read = np.lib.format.read_array_header_1_0 if one else np.lib.format.read_array_header_2_0
                    shape, _, dtype = read(stream)
                    declared = math.prod(shape) * dtype.itemsize
                    if dtype.hasobject or declared > MOST_ARRAYS or declared != entry.file_size - stream.tell():
                        raise ValueError(f"{entry.filename} says that it has {declared} bytes, which is not so")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return dict(file)
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ValueError(first_line(error)) from None


def size(path: Any) -> int:
    """Bytes of a file."""
    stat = path.stat()
    return int(stat.length if is_remote(path) else stat.st_size)


def remove(folder: Any) -> None:
    """Remove a folder with all that is in it, if it is there."""
    if is_remote(folder):
        if folder.exists():
            folder.rmtree()
        return
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():  # another process may have removed a part meanwhile, but not all
        shutil.rmtree(folder)


def check_writable(folder: Any) -> None:
    """Raise an OSError where no file can be written into a folder, or the folder not made; leaves nothing behind."""
    if not is_remote(folder):
        folder = _existing(folder)
    probe = folder / f".{os.getpid()}.{threading.get_ident()}"
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


def memory_size() -> int:
    """Bytes of memory that this machine has, used or not."""
    known = hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else 2**40


def mebibytes(count: float) -> str:
    """A number of bytes, for people."""
    return f"{count / 2**20:.3g} MiB" if count < 2**30 else f"{count / 2**30:.3g} GiB"


def first_line(error: Exception) -> str:
    """The first line of an error, without the page that some libraries add."""
    return str(error).strip().split("\n")[0].rstrip(".")[:200] or type(error).__name__

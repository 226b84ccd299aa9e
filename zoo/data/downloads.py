"""Published files: verified, and downloaded once into a cache from the first address that has them right."""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

MOST_SECONDS = 3600.0
"""A download that takes longer is given up."""


class File(NamedTuple):
    """A published file.

    Attributes:
      name: of the file.
      size: bytes.
      digest: "sha256:..." or "md5:...", as published.
      shape: of the array in it; () of an archive.
    """

    name: str
    size: int
    digest: str
    shape: tuple[int, ...]


def look_in(directory: Path | None) -> None:
    """Look for image sets in this directory from now on, by `ZOO_DATA`; None leaves it as it is."""
    if directory is None:
        return
    if not directory.is_dir():
        raise ValueError(f"--data-dir is {directory}, which is no directory.")
    os.environ["ZOO_DATA"] = str(directory.resolve())


def wrong_with(path: Path, file: File) -> str | None:
    """What is wrong with a file, if anything: its size, else its checksum."""
    if (size := path.stat().st_size) != file.size:
        return f"expected {file.size} bytes, found {size}"
    kind, _, expected = file.digest.partition(":")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
    return None if digest == expected else f"expected {kind} {expected}, found {digest}"


def fetched(name: str, file: File, addresses: Sequence[str], cache: Path) -> Path:
    """A verified file in the cache, downloaded from the first address that has it right."""
    path = cache / file.name
    if path.is_file() and not wrong_with(path, file):
        return path
    import pooch  # slow to import, and wanted only here

    pooch.get_logger().setLevel("WARNING")  # an error must be one sentence
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{name}: the cache directory {cache} cannot be made: {error.strerror}.") from None
    tried = []
    for address in addresses:
        try:
            return Path(
                pooch.retrieve(address + file.name, file.digest, file.name, cache, downloader=_downloader(file))
            )
        except (OSError, ValueError) as error:  # requests' errors are OSErrors
            tried.append(f"{address}{file.name} ({_reason(error)})")
    raise ValueError(
        f"{name}: {file.name} could not be downloaded from {' or '.join(tried)}; "
        f"put a copy into a directory and name that by ZOO_DATA or --data-dir."
    )


def _downloader(file: File) -> Callable[..., None]:
    """For pooch: never more bytes than the file has, within `MOST_SECONDS`, and a word on what was found instead."""

    def download(url: str, output: str, _: Any) -> None:
        import requests

        begin, left = time.monotonic(), file.size
        with requests.get(url, stream=True, timeout=30) as answer, open(output, "wb") as stream:
            answer.raise_for_status()
            for chunk in answer.iter_content(2**16):
                left -= len(chunk)
                if left < 0:
                    raise ValueError(f"expected {file.size} bytes, found more")
                if time.monotonic() - begin > MOST_SECONDS:
                    raise ValueError(f"not finished after {MOST_SECONDS} seconds")
                stream.write(chunk)
        if wrong := wrong_with(Path(output), file):
            raise ValueError(wrong)

    return download


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.RequestException):
        return "no connection, or it broke" if error.response is None else f"status {error.response.status_code}"
    return str(error).split("\n")[0]

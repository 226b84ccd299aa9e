"""Image sets as uint8 arrays with int32 labels: found or downloaded, verified, checked, kept for the process.

Where files are looked for: the directory given, else the one that `ZOO_DATA` names, and then nowhere else; else the
cache, `$XDG_CACHE_HOME/model-zoo/data` or `~/.cache/model-zoo/data`, into which what is missing is downloaded. What was
published is verified by checksum at every load, and whatever is wrong with a file is one sentence, a ValueError.
"""

import dataclasses
import functools
import gzip
import hashlib
import importlib.util
import io
import math
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo import lookup
from zoo.data.downloads import File, fetched, wrong_with
from zoo.files import write_atomically

DIGITS = tuple(map(str, range(10)))
CLASSES = {
    "digits": DIGITS,
    "mnist": DIGITS,
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}
"""The classes of every set, in the order of its labels."""

LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601)."""

SPLIT_SEED = 0
"""Seed of the digits' split: stored writer by writer, their last fifth, tested on the rest, costs 4 % accuracy."""


ADDRESSES = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion_mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
    "cifar10": ("https://www.cs.toronto.edu/~kriz/",),
}
"""Folders that hold a set's files: the first that answers with the right bytes serves."""


def _idx_files(*published: tuple[int, str]) -> tuple[File, ...]:
    names = [f"{part}-{what}.gz" for part in ("train", "t10k") for what in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    shapes = ((60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,))
    return tuple(File(n, size, f"sha256:{digest}", shape) for n, (size, digest), shape in zip(names, published, shapes))


FILES = {
    "mnist": _idx_files(
        (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
    "fashion_mnist": _idx_files(
        (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
}
ARCHIVE = File("cifar-10-binary.tar.gz", 170_052_171, "md5:c32a1d4ab5d03f1284b67883e8d87530", ())
BATCHES = "cifar-10-batches-bin"
"""The folder of CIFAR-10's six files in their archive."""
BATCH_BYTES = 10_000 * 3_073
BATCH_DIGESTS = {
    "data_batch_1.bin": ("e089133f4b27fe2499933fb92fbbcc51", "30f55b79f7954f592721267e37ffcbcf"),
    "data_batch_2.bin": ("1de5dd711a8f0bcacfb9a30601172ecc", "bdca50851f742064551c3fa947e975d6"),
    "data_batch_3.bin": ("28797e8984ca472a21646d72d5b1660b", "23228d18cd9f4c032bb8cfa72996e3ef"),
    "data_batch_4.bin": ("21ac5d7ad76f680cc37bf831afe4901e", "61be7314d261d42101f429408af67a28"),
    "data_batch_5.bin": ("5b7262fae1c886554070552d6ce4fa79", "8ca6bc10f4bd0e81fba552f724423842"),
    "test_batch.bin": ("f1aa22116df97725db0e47461c45a82b", "251f18ce75337ae9ca5d0dbd7ea62cf4"),
}
"""md5 of a batch's pixels, in the file's order, and of its labels."""


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """An image set. Sets are equal only where they are the same, so that what is made of one can be kept by it.

    Attributes:
      train_images, test_images: `(image, height, width)` or `(image, height, width, 3)`, uint8, read-only.
      train_labels, test_labels: `(image,)`, int32, read-only.
      classes: a name for every label.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            array.setflags(write=False)


def load(name: str, data_dir: str | os.PathLike[str] | None = None, batches: int = 5) -> Dataset:
    """An image set; the second time, the same object.

    Args:
      name: "digits" (comes with scikit-learn), "mnist", "fashion_mnist" or "cifar10".
      data_dir: where the files are: `<name>/<file>` or `<file>`; nothing is downloaded then. Default: `ZOO_DATA`.
      batches: training batches of CIFAR-10 to read, of 10,000 images each; others need not be there.
    """
    if name not in CLASSES:
        raise ValueError(f"Unknown image set {name!r}; {lookup.nearest(name, CLASSES)}.")
    if type(batches) is not int or not 1 <= batches <= 5:
        raise ValueError(f"{name}: batches is {batches!r}; it must be an integer from 1 to 5.")
    given = data_dir or os.environ.get("ZOO_DATA") if name != "digits" else None
    folder = Path(given).expanduser().resolve() if given else None
    if folder is not None and not folder.is_dir():
        raise ValueError(f"The data directory {folder} is no directory; it must hold the files of {name}.")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "model-zoo" / "data" / name
    return _load(name, folder, cache.absolute(), batches if name == "cifar10" else 0)


@functools.lru_cache(maxsize=8)
def _load(name: str, folder: Path | None, cache: Path, batches: int) -> Dataset:
    if name == "digits":
        images, labels = digits()
        train, test = split(len(images), round(0.8 * len(images)) / len(images), SPLIT_SEED)
        parts = [images[train], labels[train], images[test], labels[test]]
    elif name == "cifar10":
        parts = _cifar10(folder, cache, batches)
    else:
        parts = [_idx(_place(name, file, folder, cache), file.shape) for file in FILES[name]]
    train = checked_images(f"{name}'s training set", *parts[:2], classes=10)
    test = checked_images(f"{name}'s test set", *parts[2:], classes=10)
    return Dataset(*train, *test, CLASSES[name])


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` of a user's; nothing is unpickled.

    Raises:
      ValueError: it cannot be read, for whatever reason.
    """
    try:
        with path.open("rb") as opened:
            if not zipfile.is_zipfile(opened):
                raise ValueError("it is no archive of arrays, as np.savez writes")
            opened.seek(0)
            with np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
                if other := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
                    raise ValueError(f"{other[0]} in it is no array")
                return arrays
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        why = str(error).split("\n")[0].rstrip(".") or type(error).__name__
        raise ValueError(f"{path} must be an .npz file of plain arrays; it cannot be read: {why}.") from None


def checked_images(where: str, images: Any, labels: Any, classes: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The images, and their labels as int32, or a ValueError that names `where` they are from.

    Args:
      where: a file, or part of a set.
      images: must be `(image, height, width)` or `(image, height, width, 3)`, uint8.
      labels: must be `(image,)` integers from 0 to classes - 1, each of them present.
      classes: how many; default: as many as the largest label says.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    check_images(where, images)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(images):
        raise ValueError(
            f"{where}: labels must be {len(images)} integers, one for every image; found {labels.dtype} {labels.shape}."
        )
    low, high, most = int(labels.min()), int(labels.max()), (classes or len(labels)) - 1
    if low < 0 or high > most:
        raise ValueError(f"{where}: labels must lie in 0 to {most}; found {low} to {high}.")
    labels = labels.astype(np.int32)
    counts = np.bincount(labels, minlength=classes or 0)
    if not counts.all():
        empty = ", ".join(map(str, np.flatnonzero(counts == 0)[:5]))
        raise ValueError(f"{where}: every class from 0 to {len(counts) - 1} must have an image; found none of {empty}.")
    return images, labels


def check_images(where: str, images: np.ndarray) -> None:
    """A ValueError unless the images are uint8, grey or with three colours, and there are any."""
    shaped = images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3)
    if images.dtype != np.uint8 or not shaped or not images.size:
        raise ValueError(
            f"{where}: images must be uint8 of shape (image, height, width) or (image, height, width, 3); "
            f"found {images.dtype} {images.shape}."
        )


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Scikit-learn's packaged 8 x 8 handwritten digits (Alpaydin & Kaynak 1998, UCI); nothing is downloaded.

    Returns:
      images: `(1797, 8, 8)` uint8. The set's 17 grey levels, 0 to 16, are spread over 0 to 255.
      labels: `(1797,)` int32, 0 to 9.
    """
    packaged = importlib.util.find_spec("sklearn")
    path = (
        Path(packaged.origin).parent / "datasets" / "data" / "digits.csv.gz" if packaged and packaged.origin else None
    )
    if path is not None and path.exists():  # without the package itself, which takes a second and a half to import
        table = np.loadtxt(path, delimiter=",")
        images, labels = table[:, :-1], table[:, -1]
    else:
        from sklearn.datasets import load_digits

        images, labels = map(np.asarray, load_digits(return_X_y=True))
    return np.round(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), labels.astype(np.int32)


def split(size: int, fraction: float, key: int) -> tuple[np.ndarray, np.ndarray]:
    """A random split of `range(size)` that depends on `key` alone: indices to train on, `fraction` of all, and others.

    Image sets are stored writer by writer, so that the first part is not a fair sample of the rest.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"split: fraction={fraction} must lie between 0 and 1.")
    order = shuffled(size, key)
    count = round(size * fraction)
    if not 0 < count < size:
        raise ValueError(f"split: fraction={fraction} of {size} examples leaves one part empty.")
    return order[:count], order[count:]


def shuffled(size: int, key: int) -> np.ndarray:
    """A random order of `range(size)` that depends on `key` alone."""
    # NumPy promises never to change the raw words of a bit generator; of its `permutation` it promises less.
    return np.argsort(np.random.Philox(key=key).random_raw(size), kind="stable")


def _idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The array of a gzipped idx file of bytes: magic number 0x08<axes>, sizes (big-endian), values."""
    header = struct.pack(f">{1 + len(shape)}I", 0x800 + len(shape), *shape)
    size = len(header) + math.prod(shape)
    raw = _gunzip(path, size)
    if len(raw) != size or not raw.startswith(header):
        raise ValueError(f"{path} does not hold bytes of shape {shape}: expected {size} bytes, found {len(raw)}.")
    return np.frombuffer(raw, np.uint8, offset=len(header)).reshape(shape).copy()


def _cifar10(folder: Path | None, cache: Path, batches: int) -> list[np.ndarray]:
    """Training images and labels, test images and labels, from the six files or their archive."""
    names = [*list(BATCH_DIGESTS)[:batches], "test_batch.bin"]
    roots = [folder / "cifar10", folder] if folder else [cache]
    contents: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    damaged = ""
    for name in names:
        places = [root / part / name for root in roots for part in (BATCHES, "")]
        for path in [path for path in places if path.is_file()][:1]:
            try:
                contents[name] = _batch(str(path), name, path)
            except ValueError as error:
                if folder:
                    raise
                damaged = f"{error} "  # in the cache, where it is as good as missing
    missing = [name for name in names if name not in contents]
    if missing and folder:
        archives = [path for root in roots if (path := root / ARCHIVE.name).is_file()]
        if not archives:
            raise ValueError(_is_missing("cifar10", folder, f"{BATCHES}/{missing[0]}, nor {ARCHIVE.name}"))
        unpacked = _members(archives[0], missing)
        contents |= {name: _batch(f"{name} of the archive", name, raw) for name, raw in unpacked.items()}
    elif missing:
        try:
            archive = fetched("cifar10", ARCHIVE, ADDRESSES["cifar10"], cache)
        except ValueError as error:
            raise ValueError(f"{damaged}{error}") from None
        for name, raw in _members(archive, list(BATCH_DIGESTS)).items():
            contents[name] = _batch(f"{archive}, {name}", name, raw)
            write_atomically(cache / BATCHES / name, raw)
    images, labels = ([contents[name][i] for name in names] for i in (0, 1))
    return [np.concatenate(images[:-1]), np.concatenate(labels[:-1]), images[-1], labels[-1]]


def _batch(where: str, name: str, source: Path | bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images `(10000, 32, 32, 3)` and labels of 10,000 records: a label byte, then planes of red, green and blue."""
    size = source.stat().st_size if isinstance(source, Path) else len(source)
    if size != BATCH_BYTES:
        raise ValueError(f"{where} is not the published file: expected {BATCH_BYTES} bytes, found {size}.")
    raw = source.read_bytes() if isinstance(source, Path) else source
    records = np.frombuffer(raw, np.uint8).reshape(-1, 3_073)
    parts = np.ascontiguousarray(records[:, 1:]), np.ascontiguousarray(records[:, 0])
    for what, part, expected in zip(("pixels", "labels"), parts, BATCH_DIGESTS[name]):
        if (digest := hashlib.md5(part.data, usedforsecurity=False).hexdigest()) != expected:
            raise ValueError(f"{where} is not the published file: expected {what} of md5 {expected}, found {digest}.")
    return np.ascontiguousarray(parts[0].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), parts[1]


def _members(archive: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Files of CIFAR-10's archive, in memory: nothing else that it may hold is read, and no path in it is followed."""
    raw = _gunzip(archive, len(BATCH_DIGESTS) * BATCH_BYTES + 2**20)
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as tar:
            members = {member.name.removeprefix("./"): member for member in tar}
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise ValueError(f"{archive} is damaged or no archive: {error}.") from None
    contents = {}
    for name in names:
        member = members.get(f"{BATCHES}/{name}")
        size = member.size if member and member.isreg() else None
        if not member or size != BATCH_BYTES:
            what = "none" if not member else "no plain file" if size is None else f"{size} bytes"
            raise ValueError(
                f"{archive} is not the published archive: expected {BATCHES}/{name} of {BATCH_BYTES} bytes in it, "
                f"found {what}."
            )
        contents[name] = raw[member.offset_data : member.offset_data + BATCH_BYTES]
    return contents


def _gunzip(path: Path, most: int) -> bytes:
    """The content of a gzip file of at most so many bytes; what claims to be more is not unpacked."""
    try:
        with gzip.open(path) as file:
            raw = file.read(most + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {str(error).rstrip('.')}; found {path.stat().st_size} bytes.") from None
    if len(raw) > most:
        raise ValueError(f"{path} is not the published file: expected at most {most} bytes in it, found more.")
    return raw


def _place(name: str, file: File, folder: Path | None, cache: Path) -> Path:
    """Where a file of a set is, verified."""
    if folder is None:
        return fetched(name, file, ADDRESSES[name], cache)
    places = [path for path in (folder / name / file.name, folder / file.name) if path.is_file()]
    if not places:
        raise ValueError(_is_missing(name, folder, file.name))
    if wrong := wrong_with(places[0], file):
        raise ValueError(f"{places[0]} is not the published file: {wrong}.")
    return places[0]


def _is_missing(name: str, folder: Path, files: str) -> str:
    return (
        f"The data directory {folder} holds no {files}; put it there or into {folder / name}, from "
        f"{' or '.join(ADDRESSES[name])}"
    )

"""The image sets: where files are found, what is verified, and what is said about a file that is wrong."""

import functools
import gzip
import importlib.util
import io
import lzma
import os
import re
import struct
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.zoo.data.served import IMAGES, Web, declare, digest, forget, put, sentence, tree
from zoo.data import datasets
from zoo.data.datasets import File, checked_images, digits, load, split

PUBLISHED = Path(os.environ.get("ZOO_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
"""Copies of the published files, where there are any."""


def published(name: str):
    return pytest.mark.skipif(not (PUBLISHED / name).is_dir(), reason=f"no copy of {name}; ZOO_TEST_DATA names one")


@pytest.fixture
def batches(monkeypatch, tmp_path) -> dict[str, bytes]:
    """A small CIFAR-10 of 20 images a batch: the content of its six files. The cache is empty."""
    monkeypatch.delenv("ZOO_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")
    monkeypatch.setattr(datasets, "BATCH_BYTES", 20 * 3073)
    random = np.random.default_rng(1)
    contents = {}
    for name in datasets.BATCH_DIGESTS:
        pixels = random.integers(0, 256, (20, 3072), dtype=np.uint8)
        labels = random.permutation(np.arange(20, dtype=np.uint8) % 10)
        contents[name] = np.concatenate([labels[:, None], pixels], axis=1).tobytes()
        monkeypatch.setitem(datasets.BATCH_DIGESTS, name, (digest("md5", pixels.tobytes()), digest("md5", labels)))
    return contents


def archive(contents: dict[str, bytes], folder: str = "cifar-10-batches-bin/", **odd: bytes | tarfile.TarInfo) -> bytes:
    """A gzipped tar file of the contents; `odd` are further members, by their whole path."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as tar:
        for name, raw in {**{folder + n: raw for n, raw in contents.items()}, **odd}.items():
            if isinstance(raw, tarfile.TarInfo):
                tar.addfile(raw)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return target.getvalue()


# files that are there


@pytest.mark.parametrize("below", ["mnist", "."])
def test_a_set_is_read_from_a_directory_or_one_of_its_own_name(small, tmp_path, below):
    put(tmp_path / "sets" / below, small)
    found = load("mnist", tmp_path / "sets")
    raw = gzip.decompress(small["train-images-idx3-ubyte.gz"])
    assert found.train_images.tobytes() == raw[16:]
    assert found.train_images.shape == (60, 28, 28)
    assert found.test_images.shape == (20, 28, 28)
    assert (found.train_images.dtype, found.train_labels.dtype) == (np.uint8, np.int32)
    np.testing.assert_array_equal(found.test_labels, np.arange(20) % 10)
    assert found.classes == tuple("0123456789")


def test_a_set_is_read_once_and_cannot_be_written(small, tmp_path):
    found = load("mnist", put(tmp_path / "sets", small))
    (tmp_path / "sets" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert load("mnist", str(tmp_path / "sets")) is found
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[0] = 1


def test_the_argument_comes_before_the_environment(small, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_DATA", str(put(tmp_path / "one", small)))
    assert load("mnist") is load("mnist", tmp_path / "one")
    with pytest.raises(ValueError, match="two holds no train-images-idx3-ubyte"):
        load("mnist", put(tmp_path / "two", {}))


def test_a_directory_that_was_given_is_all_that_is_looked_at(small, web, mirrors, tmp_path):
    web.pages = {f"/one/{name}": raw for name, raw in small.items()}
    load("mnist")  # all in the cache now
    web.asked.clear()
    lacking = put(tmp_path / "sets", {n: raw for n, raw in small.items() if "t10k-images" not in n})
    with pytest.raises(ValueError, match="t10k-images") as error:
        load("mnist", lacking)
    assert sentence(error) == (
        f"The data directory {lacking} holds no t10k-images-idx3-ubyte.gz; put it there or into {lacking}/mnist, from "
        f"{mirrors[0]} or {mirrors[1]}"
    )
    assert not web.asked
    assert len(tree(lacking)) == 3


def test_a_directory_that_is_none_is_named(small, tmp_path):
    with pytest.raises(ValueError, match="nowhere is no directory; it must hold the files of mnist") as error:
        load("mnist", tmp_path / "nowhere")
    sentence(error)


def test_a_wrong_name_or_number_of_batches_is_answered():
    with pytest.raises(ValueError, match="Unknown image set 'mnits'; the nearest is 'mnist'"):
        load("mnits")
    for number in (0, 6, 1.0, True):
        with pytest.raises(ValueError, match=f"batches is {number}; it must be an integer from 1 to 5"):
            load("cifar10", batches=number)


def test_a_truncated_file_is_named_with_both_sizes(small, tmp_path):
    size = len(small[IMAGES])
    folder = put(tmp_path, {**small, IMAGES: small[IMAGES][:-7]})
    with pytest.raises(ValueError, match=f"{IMAGES} is not the pub.* expected {size} bytes, found {size - 7}") as error:
        load("mnist", folder)
    assert str(folder / IMAGES) in sentence(error)


def test_a_changed_file_is_named_with_both_checksums(small, tmp_path):
    raw = bytearray(small[IMAGES])
    raw[1000] ^= 1
    wanted, found = digest("sha256", small[IMAGES]), digest("sha256", raw)
    folder = put(tmp_path, {**small, IMAGES: bytes(raw)})
    with pytest.raises(ValueError, match=f"expected sha256 {wanted}, found {found}") as error:
        load("mnist", folder)
    assert str(folder / IMAGES) in sentence(error)


def header(count: int, size: int) -> bytes:
    return struct.pack(">4I", 0x803, count, size, size)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (gzip.compress(header(20, 28) + bytes(20 * 784))[:-12], "is damaged: .*; found [0-9]+ bytes"),
        (header(20, 28) + bytes(20 * 784), "is damaged: Not a gzipped file"),
        (gzip.compress(header(20, 28) + bytes(10**7)), "expected at most 15696 bytes in it, found more"),
        (gzip.compress(header(20, 28) + bytes(700)), "expected 15696 bytes, found 716"),
        (gzip.compress(header(20, 27) + bytes(20 * 784)), r"does not hold bytes of shape \(20, 28, 28\)"),
    ],
    ids=["cut", "plain", "bomb", "short", "header"],
)
def test_what_does_not_unpack_to_the_array_is_refused(small, tmp_path, monkeypatch, raw, words):
    """Behind the checksum: here the file on the disk is the published one."""
    declare(monkeypatch, {**small, IMAGES: raw})
    with pytest.raises(ValueError, match=words) as error:
        load("mnist", put(tmp_path, {**small, IMAGES: raw}))
    assert str(tmp_path / IMAGES) in sentence(error)


# CIFAR-10


@pytest.mark.parametrize("below", ["cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "cifar10", "."])
def test_cifar_is_read_from_its_files(batches, tmp_path, below):
    put(tmp_path / "sets" / below, batches)
    found = load("cifar10", tmp_path / "sets")
    assert found.train_images.shape == (100, 32, 32, 3)
    assert found.test_images.shape == (20, 32, 32, 3)
    record = np.frombuffer(batches["data_batch_2.bin"], np.uint8)[3073:6146]
    assert found.train_labels[21] == record[0]
    for colour in range(3):  # 1024 bytes each of red, green and blue, row by row
        np.testing.assert_array_equal(found.train_images[21, :, :, colour].ravel(), record[1:].reshape(3, 1024)[colour])


@pytest.mark.parametrize("below", ["cifar10", "."])
def test_cifar_is_read_from_its_archive_without_unpacking_it(batches, tmp_path, below):
    folder = put(tmp_path / "sets" / below, {"cifar-10-binary.tar.gz": archive(batches)})
    found = load("cifar10", tmp_path / "sets")
    assert len(tree(tmp_path)) == 1
    put(folder, batches)
    forget()
    np.testing.assert_array_equal(load("cifar10", tmp_path / "sets").train_images, found.train_images)


def test_cifar_needs_and_reads_the_batches_asked_for_alone(batches, tmp_path):
    some = {name: raw for name, raw in batches.items() if name in ("data_batch_1.bin", "test_batch.bin")}
    folder = put(tmp_path, {**some, "data_batch_2.bin": b"damaged"})
    assert len(load("cifar10", folder, batches=1).train_images) == 20
    with pytest.raises(ValueError, match=r"data_batch_2.bin is not the published file: expected 61460 bytes, found 7"):
        load("cifar10", folder, batches=2)
    (folder / "data_batch_2.bin").unlink()
    with pytest.raises(
        ValueError, match=r"holds no .*/data_batch_2.bin, nor cifar-10-binary.tar.gz; .*toronto"
    ) as error:
        load("cifar10", folder, batches=2)
    sentence(error)


@pytest.mark.parametrize(("place", "what"), [(0, "labels"), (3073 + 5, "pixels")])
def test_a_changed_batch_is_named_with_both_checksums(batches, tmp_path, place, what):
    raw = bytearray(batches["test_batch.bin"])
    raw[place] ^= 1
    put(tmp_path, {**batches, "test_batch.bin": bytes(raw)})
    with pytest.raises(
        ValueError, match=f"test_batch.bin is .* expected {what} of md5 [0-9a-f]*, found [0-9a-f]*.$"
    ) as e:
        load("cifar10", tmp_path)
    assert str(tmp_path / "test_batch.bin") in sentence(e)


def publish(monkeypatch, web: Web, raw: bytes) -> None:
    file = File("cifar-10-binary.tar.gz", len(raw), f"md5:{digest('md5', raw)}", ())
    monkeypatch.setattr(datasets, "ARCHIVE", file)
    web.pages = {"/one/cifar-10-binary.tar.gz": raw}


def test_cifar_is_downloaded_and_unpacked_once(batches, web, mirrors, monkeypatch, tmp_path):
    publish(monkeypatch, web, archive(batches))
    first = load("cifar10", batches=2)
    cache = tmp_path / "cache" / "model-zoo" / "data" / "cifar10"
    assert {path.name: path.read_bytes() for path in (cache / "cifar-10-batches-bin").iterdir()} == batches
    (cache / "cifar-10-binary.tar.gz").unlink()  # not needed any more
    forget()
    again = load("cifar10")
    assert len(web.asked) == 1
    assert len(again.train_images) == 100
    np.testing.assert_array_equal(again.train_images[:40], first.train_images)


@pytest.mark.parametrize("fault", ["lost", "cut", "changed"])
def test_a_file_lost_from_the_cache_is_unpacked_again(batches, web, mirrors, monkeypatch, tmp_path, fault):
    publish(monkeypatch, web, archive(batches))
    load("cifar10")
    lost = tmp_path / "cache" / "model-zoo" / "data" / "cifar10" / "cifar-10-batches-bin" / "data_batch_4.bin"
    raw = lost.read_bytes()
    lost.unlink()
    if fault != "lost":
        lost.write_bytes(raw[:-1] if fault == "cut" else raw[:-1] + bytes([raw[-1] ^ 1]))
    forget()
    load("cifar10")
    assert lost.read_bytes() == batches[lost.name]
    assert len(web.asked) == 1


def test_many_may_fill_one_cache_at_once(batches, web, mirrors, monkeypatch, tmp_path):
    publish(monkeypatch, web, archive(batches))
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: datasets._load.__wrapped__("cifar10", None, tmp_path / "cache", 5), range(6)))
    for one in found:
        np.testing.assert_array_equal(one.train_images, found[0].train_images)
    assert len(tree(tmp_path / "cache")) == 7


def test_nothing_of_an_archive_lands_outside_the_cache(batches, web, mirrors, monkeypatch, tmp_path):
    outside = tmp_path / "absolute"
    odd = {
        "../evil": b"x",
        "../../../../evil": b"x",
        str(outside): b"x",
        "cifar-10-batches-bin/../../evil.bin": b"x",
        "../data_batch_1.bin": b"x" * (20 * 3073),
    }
    publish(monkeypatch, web, archive(batches, **odd))
    load("cifar10")
    assert len(tree(tmp_path)) == len(tree(tmp_path / "cache" / "model-zoo" / "data" / "cifar10")) == 7
    assert not outside.exists()
    assert not (tmp_path.parent / "evil").exists()


def member(name: str, kind: bytes, target: str = "") -> dict[str, tarfile.TarInfo]:
    info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
    info.type, info.linkname = kind, target
    return {info.name: info}


def without(contents: dict[str, bytes], name: str) -> dict[str, bytes]:
    return {n: raw for n, raw in contents.items() if n != name}


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda b: archive({**b, "test_batch.bin": bytes(70000)}), "test_batch.bin of 61460 bytes.*found 70000 bytes"),
        (lambda b: archive({**b, "test_batch.bin": b""}), "test_batch.bin of 61460 bytes in it, found 0 bytes"),
        (lambda b: archive(without(b, "data_batch_3.bin")), "data_batch_3.bin of 61460 bytes in it, found none"),
        (lambda b: archive(b, folder=""), "data_batch_1.bin of 61460 bytes in it, found none"),
        (
            lambda b: archive(
                without(b, "test_batch.bin"), **member("test_batch.bin", tarfile.SYMTYPE, "data_batch_1.bin")
            ),
            "test_batch.bin of 61460 bytes in it, found no plain file",
        ),
        (lambda b: archive({**b, "more.bin": bytes(5 * 10**6)}), "expected at most [0-9]* bytes in it, found more"),
        (lambda b: archive(b)[:90_000], "is damaged: Compressed file ended.*; found 90000 bytes"),
        (lambda b: gzip.compress(b"no archive" * 100), "is damaged or no archive"),
        (lambda b: gzip.compress(b""), "is damaged or no archive"),
        (lambda b: b"", "is damaged or no archive"),
    ],
    ids=["oversized", "empty", "missing", "elsewhere", "link", "bomb", "cut", "no-tar", "nothing", "no-bytes"],
)
@pytest.mark.parametrize("way", ["given", "downloaded"])
def test_a_wrong_archive_is_one_sentence(batches, web, mirrors, monkeypatch, tmp_path, made, words, way):
    raw = made(batches)
    if way == "given":
        folder: Path | None = put(tmp_path / "sets", {"cifar-10-binary.tar.gz": raw})
    else:
        folder = publish(monkeypatch, web, raw)
    with pytest.raises(ValueError, match=words) as error:
        load("cifar10", folder)
    assert "cifar-10-binary.tar.gz" in sentence(error)
    assert [name.rpartition("/")[2] for name in tree(tmp_path)] == ["cifar-10-binary.tar.gz"]


# what arrays may be


GREY = np.zeros((4, 5, 6), np.uint8)
LABELS = np.array([0, 1, 1, 0])


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (GREY.astype(np.float32), LABELS, "images must be uint8 of shape .*; found float32 (4, 5, 6)."),
        (GREY[0], LABELS, "images must be uint8 of shape .*; found uint8 (5, 6)."),
        (GREY[..., None], LABELS, "images must be uint8 of shape .*; found uint8 (4, 5, 6, 1)."),
        (GREY[:0], LABELS[:0], "images must be uint8 of shape .*; found uint8 (0, 5, 6)."),
        (GREY, LABELS[:3], "labels must be 4 integers, one for every image; found int64 (3,)."),
        (GREY, LABELS[:, None], "labels must be 4 integers, one for every image; found int64 (4, 1)."),
        (GREY, LABELS * 1.0, "labels must be 4 integers, one for every image; found float64 (4,)."),
        (GREY, LABELS > 0, "labels must be 4 integers, one for every image; found bool (4,)."),
        (GREY, LABELS - 1, "labels must lie in 0 to 1; found -1 to 0."),
        (GREY, LABELS * 2, "labels must lie in 0 to 1; found 0 to 2."),
        (GREY, LABELS * 0, "every class from 0 to 1 must have an image; found none of 1."),
    ],
)
def test_wrong_arrays_are_one_sentence_that_names_their_file(images, labels, words):
    pattern = re.escape(words).replace(re.escape(".*"), ".*")
    with pytest.raises(ValueError, match=f"^here.npz: {pattern}$"):
        checked_images("here.npz", images, labels, classes=2)


def test_right_arrays_pass_with_labels_of_any_integer_type():
    for kind in (np.uint8, np.int64, np.uint64):
        images, labels = checked_images("here.npz", GREY, LABELS.astype(kind))
        assert images is GREY
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(labels, LABELS)


def test_a_class_that_no_image_has_is_found_without_being_told_how_many_there_are():
    with pytest.raises(ValueError, match="every class from 0 to 2 must have an image; found none of 1"):
        checked_images("here.npz", GREY, LABELS * 2)
    with pytest.raises(ValueError, match="labels must lie in 0 to 3; found 0 to 1000000000"):
        checked_images("here.npz", GREY, LABELS * 10**9)


# the published files


@published("mnist")
def test_mnist_is_the_published_one():
    found = load("mnist", PUBLISHED)
    assert (found.train_images.shape, found.test_images.shape) == ((60_000, 28, 28), (10_000, 28, 28))
    assert np.bincount(found.train_labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(found.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert found.train_labels[:5].tolist() == [5, 0, 4, 1, 9]


@published("fashion_mnist")
def test_fashion_mnist_is_the_published_one():
    found = load("fashion_mnist", PUBLISHED)
    assert np.bincount(found.train_labels).tolist() == [6000] * 10
    assert np.bincount(found.test_labels).tolist() == [1000] * 10
    assert found.train_images.mean() == pytest.approx(72.9404, abs=1e-4)
    assert [found.classes[label] for label in found.train_labels[:2]] == ["Ankle boot", "T-shirt/top"]


@published("mnist")
def test_a_set_laid_where_another_is_looked_for_is_told_apart():
    with pytest.raises(
        ValueError, match=r"mnist/train-images-idx3-ubyte.gz is not the published file: expected 26421880"
    ):
        load("fashion_mnist", PUBLISHED / "mnist")


@functools.cache
def decoded(batch: str) -> np.ndarray:
    """Pixels `(10000, 3, 32, 32)` of a copy kept as differences of neighbours, (G, R - G, B - G), in xz."""
    raw = np.frombuffer(lzma.decompress((PUBLISHED / "cifar10" / f"{batch}.rgb.xz").read_bytes()), np.uint8)
    green, red, blue = raw.reshape(3, -1, 32, 32).cumsum(2, dtype=np.uint8).cumsum(3, dtype=np.uint8)
    return np.stack([red + green, green, blue + green], axis=1)


@published("cifar10")
def test_cifar_is_the_published_one(tmp_path):
    labels = np.load(PUBLISHED / "cifar10" / "labels.npz")
    parts = {"data_batch_1": labels["train_labels"][:10_000], "test_batch": labels["test_labels"]}
    for name, theirs in parts.items():
        records = np.concatenate([theirs[:, None], decoded(name).reshape(-1, 3072)], axis=1)
        put(tmp_path / "cifar-10-batches-bin", {f"{name}.bin": records.tobytes()})
    found = load("cifar10", tmp_path, batches=1)
    np.testing.assert_array_equal(found.test_images, decoded("test_batch").transpose(0, 2, 3, 1))
    assert np.bincount(found.test_labels).tolist() == [1000] * 10
    assert found.classes == tuple(labels["label_names"])
    # The digests of what is not here: of each batch's labels.
    for batch in range(5):
        part = labels["train_labels"][10_000 * batch :][:10_000]
        assert digest("md5", part) == datasets.BATCH_DIGESTS[f"data_batch_{batch + 1}.bin"][1]


# splits and the embedded set


def test_split_is_disjoint_complete_and_random():
    train, test = split(1797, 0.8, 0)
    assert (len(train), len(test)) == (1438, 359)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(1797))
    np.testing.assert_array_equal(train[:5], split(1797, 0.8, 0)[0][:5])
    assert not np.array_equal(train, split(1797, 0.8, 1)[0])
    # A random fifth reaches into every tenth of the set; the mean index of the held-out part is that of the whole.
    assert set(test // 180) == set(range(10))
    assert abs(test.mean() - 898) < 4 * 519 / np.sqrt(359)


@pytest.mark.parametrize("fraction", [0.0, 1.0, 1.5, -0.2])
def test_split_refuses_a_part_that_is_none(fraction):
    with pytest.raises(ValueError, match=f"fraction={fraction}"):
        split(10, fraction, 0)


def test_split_refuses_an_empty_part():
    with pytest.raises(ValueError, match="leaves one part empty"):
        split(3, 0.9, 0)


def test_digits_are_bytes_from_0_to_255():
    images, labels = digits()
    assert images.shape == (1797, 8, 8)
    assert images.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 255)
    assert len(np.unique(images)) == 17
    assert labels.dtype == np.int32
    assert set(labels) == set(range(10))


def test_digits_are_those_that_scikit_learn_loads_also_where_its_file_lies_elsewhere(monkeypatch):
    from sklearn.datasets import load_digits

    loaded, (images, labels) = load_digits(), digits()
    np.testing.assert_array_equal(images, np.round(loaded.images * (255 / 16)))
    np.testing.assert_array_equal(labels, loaded.target)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for found, wanted in zip(digits(), (images, labels)):
        np.testing.assert_array_equal(found, wanted)


def test_digits_are_split_at_random_into_a_set():
    found, (images, labels) = load("digits"), digits()
    assert load("digits", "/nowhere") is found  # they come with scikit-learn, wherever data are
    assert (found.train_images.shape, found.test_images.shape) == ((1438, 8, 8), (359, 8, 8))
    train, test = split(1797, 0.8, 0)
    np.testing.assert_array_equal(found.train_images, images[train])
    np.testing.assert_array_equal(found.test_labels, labels[test])

"""Downloads: once, from the first address that has a file right, and one sentence where none has."""

import os
import socket

import numpy as np
import pytest

from tests.zoo.data.served import IMAGES, forget, put, sentence, tree
from zoo.data import datasets
from zoo.data.datasets import load
from zoo.data.downloads import look_in


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as load_block:
        load_block.bind(("127.0.0.1", 0))
        return load_block.getsockname()[1]


def test_what_is_missing_is_downloaded_once(small, web, mirrors, tmp_path):
    web.pages = {f"/one/{name}": raw for name, raw in small.items()}
    first = load("mnist")
    assert web.asked == [f"/one/{name}" for name in small]
    assert tree(tmp_path / "cache" / "model-zoo" / "data") == sorted(f"mnist/{name}" for name in small)
    forget()
    again = load("mnist")
    assert len(web.asked) == 4
    assert again is not first
    np.testing.assert_array_equal(again.train_images, first.train_images)


@pytest.mark.parametrize("fault", ["down", "missing", "other", "cut", "short"])
def test_where_one_mirror_fails_the_next_serves(small, web, mirrors, monkeypatch, fault):
    web.pages = {f"/two/{name}": raw for name, raw in small.items()}
    good = small[IMAGES]
    if fault == "down":
        monkeypatch.setitem(datasets.ADDRESSES, "mnist", (f"http://127.0.0.1:{closed_port()}/", mirrors[1]))
    elif fault != "missing":
        page = {"other": good[:-1] + bytes([good[-1] ^ 1]), "cut": (good, 500), "short": good[:500]}[fault]
        web.pages[f"/one/{IMAGES}"] = page
    assert len(load("mnist").test_images) == 20
    assert web.asked.count(f"/two/{IMAGES}") == 1


def test_where_every_mirror_fails_all_are_named_and_nothing_is_kept(small, web, mirrors, tmp_path):
    web.pages[f"/two/{next(iter(small))}"] = b"<html>Please log in.</html>"
    with pytest.raises(ValueError, match="could not be downloaded") as error:
        load("mnist")
    name, size = next(iter(small)), len(next(iter(small.values())))
    assert sentence(error) == (
        f"mnist: {name} could not be downloaded from {mirrors[0]}{name} (status 404) or {mirrors[1]}{name} (expected "
        f"{size} bytes, found 27); put a copy into a directory and name that by ZOO_DATA or --data-dir."
    )
    assert not tree(tmp_path)


def test_without_a_network_one_sentence_says_what_to_do(small, monkeypatch):
    nowhere = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setitem(datasets.ADDRESSES, "mnist", (f"{nowhere}/a/", f"{nowhere}/b/"))
    with pytest.raises(ValueError, match=r"/a/train-im.*no connection.* or .*/b/train-im.*ZOO_DATA or --data") as error:
        load("mnist")
    sentence(error)


def test_a_damaged_file_in_the_cache_is_fetched_again(small, web, mirrors, tmp_path):
    web.pages = {f"/one/{name}": raw for name, raw in small.items()}
    put(tmp_path / "cache" / "model-zoo" / "data" / "mnist", {**small, IMAGES: b"half"})
    assert len(load("mnist").test_images) == 20
    assert web.asked == [f"/one/{IMAGES}"]


def test_a_cache_that_cannot_be_made_is_named(small, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"mnist: the cache directory .*file/model-zoo/data/mnist cannot be") as error:
        load("mnist")
    sentence(error)


def test_a_download_is_never_larger_than_the_file(small, web, mirrors, monkeypatch):
    from zoo.data import downloads

    written, check = [], downloads.wrong_with
    name = "train-images-idx3-ubyte.gz"
    web.pages = {f"/one/{n}": raw for n, raw in small.items()} | {f"/two/{n}": raw for n, raw in small.items()}
    web.pages[f"/one/{name}"] = small[name] + bytes(10**7)

    def wrong_with(path, file):
        written.append(path.stat().st_size)
        return check(path, file)

    monkeypatch.setattr(downloads, "wrong_with", wrong_with)
    assert load("mnist").train_images.shape == (60, 28, 28)  # from the second address
    assert max(written) <= max(map(len, small.values()))


def test_a_folder_of_image_sets_is_the_one_that_is_named_and_must_be_one(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_DATA", "elsewhere")
    look_in(None)
    assert os.environ["ZOO_DATA"] == "elsewhere"
    look_in(tmp_path)
    assert os.environ["ZOO_DATA"] == str(tmp_path)
    with pytest.raises(ValueError, match="which is no directory"):
        look_in(tmp_path / "none")

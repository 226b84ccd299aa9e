"""A small MNIST, and two addresses on this machine that serve it."""

import gzip

import numpy as np
import pytest

from tests.zoo.data.served import Web, declare, idx
from zoo.data import datasets


@pytest.fixture
def small(monkeypatch, tmp_path) -> dict[str, bytes]:
    """A small MNIST: its files' contents, which the program takes for the published ones. The cache is empty."""
    monkeypatch.delenv("ZOO_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")
    random = np.random.default_rng(0)
    contents = {}
    for file in datasets.FILES["mnist"]:
        count = 60 if "train" in file.name else 20
        array = random.integers(0, 256, (count, 28, 28)) if "images" in file.name else np.arange(count) % 10
        contents[file.name] = gzip.compress(idx(array.astype(np.uint8)), mtime=0)
    declare(monkeypatch, contents)
    return contents


@pytest.fixture
def web():
    web = Web()
    yield web
    web.server.shutdown()
    web.server.server_close()


@pytest.fixture
def mirrors(monkeypatch, web) -> tuple[str, str]:
    """Two addresses of MNIST and one of CIFAR-10, all of the server."""
    addresses = web.address + "one/", web.address + "two/"
    monkeypatch.setitem(datasets.ADDRESSES, "mnist", addresses)
    monkeypatch.setitem(datasets.ADDRESSES, "cifar10", addresses[:1])
    return addresses

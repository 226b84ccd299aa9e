"""Small image sets in the place of published ones, and a server of files on this machine."""

import hashlib
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from zoo.data import datasets
from zoo.data.datasets import File


def digest(kind: str, raw: bytes) -> str:
    return hashlib.new(kind, raw, usedforsecurity=False).hexdigest()


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def declare(monkeypatch, contents: dict[str, bytes]) -> None:
    """Let these be MNIST's published files."""
    files = []
    for file in datasets.FILES["mnist"]:
        raw = contents[file.name]
        shape = (60 if "train" in file.name else 20, 28, 28)[: len(file.shape)]
        files.append(File(file.name, len(raw), f"sha256:{digest('sha256', raw)}", shape))
    monkeypatch.setitem(datasets.FILES, "mnist", tuple(files))


def put(folder: Path, contents: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in contents.items():
        (folder / name).write_bytes(raw)
    return folder


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class Web:
    """A server on this machine. `pages`: path -> content, or a status, or (content, bytes that are really sent)."""

    def __init__(self):
        web = self
        self.pages: dict[str, bytes | int | tuple[bytes, int]] = {}
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self):
                web.asked.append(self.path)
                page = web.pages.get(self.path, 404)
                if isinstance(page, int):
                    self.send_error(page)
                    return
                raw, sent = page if isinstance(page, tuple) else (page, len(page))
                self.send_response(200)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw[:sent])

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


def sentence(error: pytest.ExceptionInfo) -> str:
    """The error's text, which must be one line, whatever it is made of."""
    assert "\n" not in str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None
    return str(error.value)


IMAGES = "t10k-images-idx3-ubyte.gz"


def forget() -> None:
    """As another process, which has only the cache on the disk."""
    datasets._load.cache_clear()

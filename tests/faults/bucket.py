"""A Google Cloud Storage of one process, on 127.0.0.1: what gcsfs, TensorStore and Orbax ask of the JSON API.

Objects are whole or not there, and are seen by everybody at once, as in the real one; listings come in short pages.
"""

import base64
import hashlib
import itertools
import json
import os
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 7
"""Entries of a page of a listing, of which the real one has a thousand."""


class Stored(NamedTuple):
    """An object."""

    content: bytes
    generation: int


class Bucket:
    """A server with one bucket, until the `with` block ends.

    Attributes:
      objects: name -> what is stored; tests may change it, under `lock`.
      asked: method and path of every request so far.
      denied: what refuses a request, by its method and path; lets all through.
      arriving: what is told "POST" or "DELETE" and the name of every object before it is stored or removed; may wait.
    """

    def __init__(self, name: str = "bucket"):
        self.name, self.objects, self.asked, self.lock = name, dict[str, Stored](), list[str](), threading.RLock()
        self.denied: Callable[[str], bool] = lambda asked: False
        self.arriving: Callable[[str], Any] = lambda change: None
        self.uploads: dict[str, tuple[str, dict[str, str], bytes]] = {}
        self._generations = itertools.count(1)
        handler = type("Handler", (_Handler,), {"bucket": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # who asked has been killed
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Bucket":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self) -> dict[str, str]:
        """What sends a process's gcsfs and TensorStore here, without credentials."""
        return {
            "STORAGE_EMULATOR_HOST": self.url,
            "FSSPEC_GCS": json.dumps({"token": "anon"}),
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # it asks for the kind of bucket over gRPC
            "TENSORSTORE_GCS_HTTP_URL": self.url,
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "anyone",
            "EPATH_USE_TF": "false",
        }

    def names(self, below: str = "") -> list[str]:
        """Names of the objects whose name begins so, in order."""
        with self.lock:
            return sorted(name for name in self.objects if name.startswith(below))

    def put(self, name: str, content: bytes, match: str | None = None) -> dict[str, Any] | None:
        """Store an object; None where it is of another generation than asked for: 0 is none."""
        with self.lock:
            if not self._matches(name, match):
                return None
            self.objects[name] = Stored(content, next(self._generations))
            return self.metadata(name)

    def drop(self, name: str, match: str | None = None) -> int:
        """Remove an object; the HTTP status."""
        with self.lock:
            if name not in self.objects:
                return 404
            if not self._matches(name, match):
                return 412
            del self.objects[name]
            return 204

    def _matches(self, name: str, match: str | None) -> bool:
        found = self.objects.get(name)
        return match is None or int(match) == (found.generation if found else 0)

    def metadata(self, name: str) -> dict[str, Any]:
        """An object resource."""
        content, generation = self.objects[name]
        return {
            "kind": "storage#object",
            "name": name,
            "bucket": self.name,
            "size": str(len(content)),
            "generation": str(generation),
            "metageneration": "1",
            "updated": "2026-01-01T00:00:00.000Z",
            "timeCreated": "2026-01-01T00:00:00.000Z",
            "md5Hash": base64.b64encode(hashlib.md5(content).digest()).decode(),
        }

    def listing(self, query: dict[str, str]) -> dict[str, Any]:
        """A page of a listing: objects, and common prefixes up to a delimiter."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        first, last = query.get("startOffset", ""), query.get("endOffset")
        with self.lock:
            entries: dict[str, dict[str, Any] | None] = {}
            for name in self.names(prefix):
                if name >= first and (last is None or name < last):
                    cut = name.find(delimiter, len(prefix)) if delimiter else -1
                    entries[name if cut < 0 else name[: cut + 1]] = self.metadata(name) if cut < 0 else None
        after = [(key, value) for key, value in sorted(entries.items()) if key > query.get("pageToken", "")]
        size = min(PAGE, int(query.get("maxResults", PAGE)))
        page = after[:size]
        found: dict[str, Any] = {"kind": "storage#objects", "items": [v for _, v in page if v]}
        found["prefixes"] = [key for key, value in page if value is None]
        return found | ({"nextPageToken": page[-1][0]} if len(after) > size else {})


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet, and not two with a delay between them
    disable_nagle_algorithm = True
    bucket: Bucket

    def log_message(self, format: str, *_: Any) -> None:
        """Nothing: the bucket keeps what was asked."""

    def _answer(self, status: int, content: Any = b"", **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        if not isinstance(content, bytes):
            self.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int) -> None:
        self._answer(status, {"error": {"code": status, "message": f"{status} {self.path}"}})

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        asked = f"{self.command} {unquote(parts.path)}"
        self.bucket.asked.append(asked)
        if self.bucket.denied(asked):
            return self._refuse(403)
        found = re.fullmatch(r"/(upload/|download/)?storage/v1/b/([^/]+)(?:/o(?:/([^/]+)(/.*)?)?)?", parts.path)
        if found is None or unquote(found[2]) != self.bucket.name:
            return self._refuse(404)
        name, rest = unquote(found[3] or ""), found[4] or ""
        if found[1] == "upload/":
            return self._upload(query, body)
        if rest:
            return self._copy(name, rest)
        if not name:
            whole = parts.path.rstrip("/").endswith("/o")
            return self._answer(200, self.bucket.listing(query) if whole else {"name": self.bucket.name})
        if self.command == "DELETE":
            self.bucket.arriving(f"DELETE {name}")
            status = self.bucket.drop(name, query.get("ifGenerationMatch"))
            return self._answer(status) if status == 204 else self._refuse(status)
        with self.bucket.lock:
            stored = self.bucket.objects.get(name)
        if stored is None:
            return self._refuse(404)
        if query.get("alt") != "media":
            return self._answer(200, self.bucket.metadata(name))
        if query.get("ifGenerationNotMatch") == str(stored.generation):
            return self._answer(304)
        return self._download(stored)

    do_GET = do_POST = do_PUT = do_DELETE = _handle

    def _download(self, stored: Stored) -> None:
        content, about = stored.content, {"x_goog_generation": str(stored.generation)}
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            return self._answer(200, content, **about)
        begin = int(asked[1]) if asked[1] else max(0, len(content) - int(asked[2]))
        end = min(len(content), int(asked[2]) + 1 if asked[1] and asked[2] else len(content))
        if begin >= end:
            return self._refuse(416)
        return self._answer(206, content[begin:end], Content_Range=f"bytes {begin}-{end - 1}/{len(content)}", **about)

    def _upload(self, query: dict[str, str], body: bytes) -> None:
        name, match = query.get("name", ""), query.get("ifGenerationMatch")
        if "upload_id" in query:
            name, first, before = self.bucket.uploads[query["upload_id"]]
            match, body = first.get("ifGenerationMatch"), before + body
            if (total := self.headers["Content-Range"].rpartition("/")[2]) == "*" or int(total) > len(body):
                self.bucket.uploads[query["upload_id"]] = name, first, body
                return self._answer(308, Range=f"bytes=0-{len(body) - 1}")
        elif query["uploadType"] == "resumable":
            name, key = name or json.loads(body)["name"], os.urandom(8).hex()
            self.bucket.uploads[key] = name, query, b""
            place = f"{self.bucket.url}/upload/storage/v1/b/{self.bucket.name}/o?uploadType=resumable&upload_id={key}"
            return self._answer(200, Location=place)
        elif query["uploadType"] == "multipart":
            boundary = re.search(r'boundary="?([^";]+)', self.headers["Content-Type"])
            assert boundary is not None
            mark = b"--" + boundary[1].encode()
            end = b"\r\n" if body.startswith(mark + b"\r") else b"\n"  # one of both: a content may end with a \r
            about, content = body.removeprefix(mark + end).split(end + mark + end, 1)
            name = json.loads(about.split(2 * end, 1)[1])["name"]
            body = content.split(2 * end, 1)[1].rpartition(end + mark + b"--")[0]
        self.bucket.arriving(f"POST {name}")
        stored = self.bucket.put(name, body, match)
        return self._refuse(412) if stored is None else self._answer(200, stored)

    def _copy(self, name: str, rest: str) -> None:
        found = re.fullmatch(r"/(copyTo|rewriteTo|moveTo)(?:/b/[^/]+)?/o/([^/]+)", rest)
        with self.bucket.lock:
            if found is None or name not in self.bucket.objects:
                return self._refuse(404)
            made = self.bucket.put(unquote(found[2]), self.bucket.objects[name].content)
            if found[1] == "moveTo":
                self.bucket.drop(name)
        return self._answer(200, {"done": True, "resource": made} if found[1] == "rewriteTo" else made)

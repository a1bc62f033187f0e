"""As much of the hub's interface as a download uses, on the loopback, with whatever faults a test asks for."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request. `status` is answered in place of the file, with `error` as the hub's word for it.

    `cut`: the connection ends after so many bytes. `stall`: nothing comes for so many seconds behind them. `content` comes in
    place of the file's own, under the file's checksum.
    """

    status: int = 200
    error: str = ""
    cut: int | None = None
    stall: float = 0.0
    content: bytes | None = None


def settings(address: str, home: Path, **more: str) -> dict[str, str]:
    """The environment in which downloads come from the hub at `address`, and lie in `home`."""
    return {
        "HF_ENDPOINT": address,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        **more,
    }


@dataclass
class Hub:
    """Serves `folder` as owner/tiny. `fault` says of a path and how often it was asked for what goes wrong; None: nothing.

    `asked` are the requests: method, path and the range that was asked for.
    """

    folder: Path
    fault: Callable[[str, int], Fault | None] = lambda path, times: None
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def times(self, path: str) -> int:
        return sum(one[1] == path and one[0] == "GET" for one in self.asked)


class _Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = unquote(self.path.split("?")[0])
        fault = self.hub.fault(path, self.hub.times(path)) if body or "/resolve/" not in path else None
        self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        fault = fault or Fault()
        folder = self.hub.folder
        if fault.status != 200:
            return self._refuse(fault.status, fault.error)
        if path.startswith("/api/models/owner/tiny"):
            files = [{"rfilename": p.name} for p in sorted(folder.iterdir())]
            data = json.dumps({"id": "owner/tiny", "sha": COMMIT, "siblings": files, "private": False, "tags": []}).encode()
            if "/tree/" in path:
                tree = [{"type": "file", "path": p.name, "size": p.stat().st_size, "oid": "0"} for p in folder.iterdir()]
                data = json.dumps(tree).encode()
        elif path.startswith("/owner/tiny/resolve/"):
            data = (folder / path.rsplit("/", 1)[1]).read_bytes()
        else:
            return self._refuse(404, "RepoNotFound")
        tag = hashlib.sha256(data).hexdigest()
        data = fault.content if fault.content is not None else data
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0] or 0)
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(data) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{tag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if not body:
            return None
        self.wfile.write(data[first:] if fault.cut is None else data[first : first + fault.cut])
        self.wfile.flush()
        if fault.stall:
            time.sleep(fault.stall)
        if fault.cut is not None:
            self.close_connection = True
        return None

    def _refuse(self, status: int, error: str) -> None:
        self.send_response(status)
        if error:
            self.send_header("X-Error-Code", error)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def handle(self) -> None:
        with suppress(ConnectionError):  # whoever asked has gone
            super().handle()

    def log_message(self, *args: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def served(hub: Hub) -> Iterator[str]:
    """The hub's address, while it is up."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    with _Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a hub without faults."""
    with served(Hub(folder)) as address:
        yield address

"""A model's weights fetched into the hub library's cache, file by file: what has come of one stays, and the next try goes on
behind it, whoever makes it; and none takes its name before its checksum is right.

The library's own downloads begin anew in every process. Files of its newer storage (xet) are left to it: they come in pieces.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from core.errors import ModelError

_WEIGHTS = ("*.safetensors", "*.bin")
_LOOK_AGAIN = 0.3  # seconds
_CHUNK = 1 << 22
_MOST_BYTES = 50_000_000_000  # beyond, the hub sends no file whole


def prefetch(
    location: str,
    revision: str | None,
    patterns: Sequence[str],
    bar: Any,
    progress: Callable[[str, float | None], None],
) -> None:
    """Fetches the weights that `patterns` name and the cache lacks. Does nothing where the hub does not say which these are:
    that is for the library to tell. Raises ModelError for a file that came damaged.
    """
    from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    try:
        info = HfApi().model_info(location, revision=revision)
    except Exception:  # refusals, no network, no such model
        return
    folder = cached(location)
    for file in info.siblings or ():
        name = file.rfilename
        if not any(fnmatch.fnmatch(name, one) for one in patterns) or not any(fnmatch.fnmatch(name, one) for one in _WEIGHTS):
            continue
        url = hf_hub_url(location, name, revision=info.sha)
        found = get_hf_file_metadata(url)
        chunked = found.xet_file_data is not None and not constants.HF_HUB_DISABLE_XET
        if chunked or not found.etag or not found.size or found.size > _MOST_BYTES or "/" in found.etag:
            continue
        whole = folder / "blobs" / found.etag
        with _alone(folder, found.etag, lambda name=name: progress(f"waiting for another process, which fetches {name}", None)):  # type: ignore[misc]
            if whole.exists():
                continue
            headers = build_hf_headers()
            if urlparse(found.location).netloc != urlparse(url).netloc:
                headers.pop("authorization", None)  # a token is for the hub alone
            part = whole.with_name(f"{found.etag}.part")
            part.parent.mkdir(parents=True, exist_ok=True)
            if part.exists() and part.stat().st_size > found.size:
                part.unlink()
            try:
                with part.open("ab") as stream:
                    http_get(
                        found.location,
                        stream,
                        resume_size=stream.tell(),
                        headers=headers,
                        expected_size=found.size,
                        tqdm_class=bar,
                    )
            except OSError as error:
                if "Consistency check failed" in str(error):  # what it says of its size, and what came, are two things
                    part.unlink(missing_ok=True)
                raise
            if not is_called(part, found.etag, lambda done, name=name: progress(f"checking {name}", done)):  # type: ignore[misc]
                part.unlink()
                raise damaged(name)
            part.replace(whole)


def cached(location: str) -> Path:
    """Where the hub library keeps the model."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{location.replace('/', '--')}"


def sweep(folder: Path) -> None:
    """Takes away what the library's downloads leave when their process is ended: nothing would go on with it."""
    from filelock import FileLock, Timeout

    for left in (folder / "blobs").glob("*.incomplete"):
        lock = FileLock(folder.parent / ".locks" / folder.name / f"{left.name.split('.')[0]}.lock")
        try:
            with lock.acquire(timeout=0):
                left.unlink(missing_ok=True)
        except (Timeout, OSError):  # it is being fetched
            continue


def is_called(file: Path, digest: str, told: Callable[[float], None]) -> bool:
    """Whether the content has the hash `digest`: SHA-256, or git's. So it is where that is neither."""
    size = file.stat().st_size
    if len(digest) == 64:
        own: Any = hashlib.sha256()
    elif len(digest) == 40:
        own = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    else:
        return True
    done = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            own.update(chunk)
            done += len(chunk)
            told(done / size)
    same: bool = own.hexdigest() == digest
    return same


def damaged(name: str) -> ModelError:
    return ModelError(
        f"{name} came damaged: its checksum is not the hub's, so it was thrown away",
        "fetch it again; if that is no better, something between here and the hub changes it",
    )


@contextmanager
def _alone(folder: Path, digest: str, told: Callable[[], None]) -> Iterator[None]:
    """Keeps others from fetching the same: by the library's own lock, so that its other users are kept off too."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder.parent / ".locks" / folder.name / f"{digest}.lock")
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_LOOK_AGAIN)
        except Timeout:
            told()
    try:
        yield
    finally:
        lock.release()

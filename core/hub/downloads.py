"""Downloads from the hub: what comes is resumed, checked, and where it fails told in one line with what to do about it."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import Cancelled, ModelError, causes, first_line
from core.hub.weights import cached, damaged, is_called, prefetch, sweep
from core.redaction import redacted
from vectors.files import disk

# Called with what is being done and how much of it (0..1, or None where that cannot be told); may raise Cancelled.
Progress = Callable[[str, float | None], None]
_WAITS = (1.0, 2.0, 4.0)  # seconds before the hub is asked again
_TRANSIENT = (408, 500, 502, 503, 504)
_TELL_SECONDS = 0.5
_WITHOUT_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)


class HubOutOfReach(ModelError):
    """A model that is not on this machine, and nobody can tell whether it is on the hub."""


@dataclass(frozen=True)
class Wanted:
    """A model on the hub. `patterns`: which of its files, by groups, each fetched only where the ones before bring no weights.
    `otherwise` is what else there is to do where the hub fails.
    """

    location: str
    revision: str | None
    patterns: Sequence[Sequence[str]]
    otherwise: str = ""


def download(wanted: Wanted, progress: Progress) -> Path:
    """The folder in the hub library's cache that the model lies in, fetched where it is not there. Raises ModelError."""
    from huggingface_hub import constants, snapshot_download

    label = f"fetching {wanted.location}"
    with readable_failures(wanted.location, wanted.revision, wanted.otherwise), _warnings_to(label, progress):
        progress(f"{label} from the hub", None)
        folder = Path()
        sweep(cached(wanted.location))
        for patterns in wanted.patterns:
            unchecked = _Unchecked(cached(wanted.location))

            def fetch(patterns: Sequence[str] = tuple(patterns)) -> Path:
                bar = bytes_bar(label, progress)
                if not constants.HF_HUB_OFFLINE:
                    prefetch(wanted.location, wanted.revision, patterns, bar, progress)
                return Path(
                    snapshot_download(wanted.location, revision=wanted.revision, allow_patterns=list(patterns), tqdm_class=bar)
                )

            folder = _patiently(fetch, wanted.location, progress)
            unchecked.check(folder, progress)
            if any(folder.glob("*.safetensors")):
                break
        return folder


@contextmanager
def _warnings_to(label: str, progress: Progress) -> Iterator[None]:
    """Tells `progress` what the hub library says of its own patience: that it is asked to wait, or tries again."""

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            progress(f"{label}: {redacted(record.getMessage().splitlines()[0])[:100]}", None)

    logger, told = logging.getLogger("huggingface_hub"), Told(logging.WARNING)
    level, propagates, others = logger.level, logger.propagate, list(logger.handlers)
    logger.setLevel(logging.WARNING)
    logger.propagate, logger.handlers = False, [told]
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagates, others


def _patiently(fetch: Callable[[], Path], location: str, progress: Progress) -> Path:
    """What `fetch` gives, tried again a few times where the hub's trouble may pass; what has come by then is resumed."""
    from huggingface_hub.errors import HfHubHTTPError

    for wait in _WAITS:
        try:
            return fetch()
        except HfHubHTTPError as error:
            status = _status(error)
            if status not in _TRANSIENT:
                raise
            why = f"the hub answers {status}"
        except Exception as error:
            if not _was_cut_off(error):
                raise
            why = "the connection was cut off"
        end = time.monotonic() + wait
        while time.monotonic() < end:
            progress(f"fetching {location}: {why}, so it is asked again", None)
            time.sleep(0.1)
    return fetch()


class _Unchecked:
    """The files of a model's that came since, or that an earlier process had no time to check: a mark stands for that."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = self._folder / ".melbo-tui-unchecked"
        self._all = self._mark.exists()
        self._before = set() if self._all else set((self._folder / "blobs").glob("*"))
        if not self._all:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._mark.touch()

    def check(self, snapshot: Path, progress: Progress) -> None:
        """Raises ModelError, having thrown it away, for a file that is not what the hub says: its name is its hash."""
        for file in sorted(snapshot.rglob("*")):
            blob = file.resolve()
            if not file.is_file() or blob in self._before or blob.parent != (self._folder / "blobs").resolve():
                continue
            if not is_called(blob, blob.name, lambda done, name=file.name: progress(f"checking {name}", done)):  # type: ignore[misc]
                blob.unlink()
                file.unlink()
                raise damaged(file.name)
        self._mark.unlink(missing_ok=True)


@contextmanager
def readable_failures(location: str, revision: str | None, otherwise: str = "") -> Iterator[None]:
    """Whatever the hub library raises, as one ModelError that says what became of the model."""
    from huggingface_hub import constants
    from huggingface_hub import logging as its_logging
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    its_logging.set_verbosity_error()  # it would write of each retry over the screen
    try:
        yield
    except (Cancelled, ModelError):
        raise
    except Exception as error:  # the hub client raises many kinds (HTTP, TLS, disk): all mean that nothing was fetched
        status, cause = _status(error), _cause(error)
        if isinstance(error, GatedRepoError):
            raise ModelError(
                f"{location} is gated: its authors let in whom they choose",
                f"ask for access at {constants.ENDPOINT}/{location}, then log in: hf auth login, or set HF_TOKEN",
            ) from error
        if isinstance(error, RevisionNotFoundError):
            raise ModelError(
                f"the hub has {location}, but not at revision {revision}", "check --revision: a branch, a tag or a commit"
            ) from error
        if isinstance(error, RepositoryNotFoundError) or status == 404:
            raise ModelError(
                f"the hub has no model {location}" + (f" at revision {revision}" if revision else ""),
                "check its spelling; a private or gated model needs `hf auth login` first",
            ) from error
        if status in (401, 403):
            raise ModelError(
                f"the hub refuses access to {location} ({status})",
                "log in: hf auth login, or set HF_TOKEN to a token that may read it",
            ) from error
        if status == 429:
            raise ModelError(
                f"{location} could not be fetched: the hub has had too many requests from here (429)",
                "try again in some minutes; who is logged in (hf auth login) may ask more often",
            ) from error
        if status is not None and status >= 500:
            raise ModelError(
                f"{location} could not be fetched: the hub answers {status}, again and again",
                otherwise or "the fault is the hub's: try again later; what has come is kept and resumed",
            ) from error
        if (met := _of_the_disk(error)) is not None:
            raise _no_place(met, location, Path(constants.HF_HUB_CACHE)) from error
        if isinstance(error, LocalEntryNotFoundError):
            why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else _told(cause)
            raise HubOutOfReach(
                f"{location} is not on this machine, and the hub cannot be reached" + (f" ({why})" if why else ""),
                otherwise or "check the network, or name a model folder or a .gguf file",
            ) from error
        raise ModelError(
            f"{location} could not be fetched ({_told(cause) or first_line(error)})",
            otherwise or "check the network and try again; what has come is kept and resumed",
        ) from error


def _no_place(error: OSError, location: str, cache: Path) -> ModelError:
    if error.errno in _WITHOUT_SPACE:
        return ModelError(
            disk.refused(f"{location} could not be fetched", cache, error),
            "or set HF_HOME to a folder on a larger disk; what has come is kept and resumed",
        )
    return ModelError(
        f"{location} could not be fetched: the cache {cache} cannot be written ({error.strerror})",
        "set HF_HOME to a folder that can be written",
    )


def _status(error: BaseException) -> int | None:
    """The HTTP status that the hub answered with, if it did."""
    codes = (getattr(getattr(one, "response", None), "status_code", None) for one in causes(error))
    return next((code for code in codes if isinstance(code, int)), None)


def _of_the_disk(error: BaseException) -> OSError | None:
    for one in causes(error):
        # Kinds of others', TLS among them, number their errors differently.
        if isinstance(one, OSError) and type(one).__module__ == "builtins" and one.errno in (*_WITHOUT_SPACE, *_UNWRITABLE):
            return one
    return None


def _cause(error: BaseException) -> BaseException | None:
    """What of the network failed: the innermost of the client library's, or of the system's."""
    of_the_network = [
        one
        for one in causes(error)
        if type(one).__module__.partition(".")[0] in ("httpx2", "httpx", "requests", "httpcore", "httpcore2", "ssl")
        or isinstance(one, (ConnectionError, TimeoutError))
    ]
    return next((one for one in reversed(of_the_network) if str(one)), None)


def _told(cause: BaseException | None) -> str:
    return "" if cause is None else first_line(cause)


def _was_cut_off(error: BaseException) -> bool:
    """Whether a transfer that had begun broke off. One that cannot begin, for want of a name or a route, is not tried again."""
    text = str(error)
    return "Consistency check failed" in text or any(
        type(one).__name__ in ("ReadError", "RemoteProtocolError", "ReadTimeout", "ConnectionResetError")
        for one in causes(error)
    )


def ask_once(location: str, revision: str | None, seconds: float) -> None:
    """Raises where the hub has no such model or cannot be reached, at once: a download would try again for half a minute."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        HfApi().model_info(location, revision=revision, timeout=seconds)
    except HfHubHTTPError:  # the hub has answered
        raise
    except Exception as error:  # no name, no route, no time: which client library says so changes with the hub library
        raise LocalEntryNotFoundError(str(error)) from error


def bytes_bar(label: str, progress: Progress) -> Any:
    """A progress bar for the hub library, which tells `progress` how much of how much has come, and how fast."""
    from tqdm.auto import tqdm

    told = {"at": 0.0, "seen": 0.0}
    began = time.monotonic()

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            kwargs["disable"] = True
            super().__init__(*args, **kwargs)
            self.total, self.counts_bytes = kwargs.get("total"), kwargs.get("unit") == "B"
            self.seen = float(kwargs.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            self.seen += n or 0
            now = time.monotonic()
            # The library has one bar for what came over the network and one for what is on disk: the further one counts.
            if self.counts_bytes and self.total and self.seen >= told["seen"]:
                whole = self.seen >= self.total
                if now - told["at"] >= _TELL_SECONDS or whole:
                    told["at"], told["seen"] = now, self.seen
                    speed = self.seen / max(now - began, 1e-3)
                    sizes = f"{_mib(self.seen)} of {_mib(self.total)} MiB, {_mib(speed)} MiB/s"
                    progress(f"{label}, {sizes}", min(self.seen / self.total, 1.0))
            return None

    return Bar


def _mib(size: float) -> str:
    return f"{size / 2**20:,.1f}" if size < 100 * 2**20 else f"{size / 2**20:,.0f}"

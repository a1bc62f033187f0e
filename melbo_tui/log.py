"""The log file: what went wrong, kept where `melbo-tui doctor` says. Nothing that it does may keep the program from its work.

Several processes write to one file: each appends whole records, and whoever finds it full renames it under a lock; the others
then see that their file is another, and go on in the new one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

import platformdirs

from core.log import LOG, keep_in
from melbo_tui import __version__
from melbo_tui.discreet import Discreet

_BYTES, _EARLIER = 1 << 20, 2  # of each file, and how many there are beside the present one


def log_file() -> Path:
    """The present log; MELBO_TUI_LOG moves its folder."""
    folder = os.environ.get("MELBO_TUI_LOG") or platformdirs.user_log_dir("melbo-tui")
    return Path(folder).expanduser() / "melbo-tui.log"


@contextmanager
def logged(what: str) -> Iterator[None]:
    """Keeps the log of a session, the app's or a command's, called `what`; tells its start, its end and what ends a thread.

    The exception that ends it is told by whoever knows what kind it is.
    """
    handler = _handler()
    if handler is None:
        yield
        return
    keep_in(log_file())
    loggers = (LOG, logging.getLogger("asyncio"))
    for logger in loggers:
        logger.addHandler(handler)
    LOG.setLevel(logging.INFO)
    before, began = threading.excepthook, time.monotonic()

    def thread_ended(hooked: threading.ExceptHookArgs) -> None:
        LOG.error("the thread %s ended", hooked.thread.name if hooked.thread else "", exc_info=hooked.exc_value)
        before(hooked)  # which may end the app

    threading.excepthook = thread_ended
    LOG.info("%s begins: melbo-tui %s, python %s, %s", what, __version__, platform.python_version(), sys.platform)
    try:
        with _crashes(handler):
            yield
    finally:
        LOG.info("%s ends after %.0f s", what, time.monotonic() - began)
        threading.excepthook = before
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()


def _handler() -> LogFile | None:
    """None where the folder cannot be made or written."""
    file = log_file()
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = LogFile(file, maxBytes=_BYTES, backupCount=_EARLIER, encoding="utf-8")
        handler.setFormatter(Discreet())
        return handler
    return None


@contextmanager
def _crashes(handler: LogFile) -> Iterator[None]:
    """Where a library ends the process by a signal, the interpreter still writes down where it was."""
    import faulthandler

    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, RuntimeError):
            file = stack.enter_context(open(handler.baseFilename, "a", encoding="utf-8"))
            faulthandler.enable(file)
            stack.callback(faulthandler.disable)
        yield


class LogFile(RotatingFileHandler):
    """Appends records whole, readable by its owner alone; a full disk or a folder that is gone is passed over."""

    def _open(self) -> TextIOWrapper:
        return open(  # type: ignore[return-value]
            self.baseFilename, self.mode, encoding=self.encoding, opener=lambda path, flags: os.open(path, flags, 0o600)
        )

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._follow()
            if self.shouldRollover(record):
                self.doRollover()
            if self.stream is not None:
                os.write(self.stream.fileno(), (self.format(record) + self.terminator).encode("utf-8", "replace"))
        except (OSError, ValueError):
            pass

    def doRollover(self) -> None:
        """Renames the full file, unless another process is about to."""
        from filelock import FileLock, Timeout

        with contextlib.suppress(OSError, Timeout), FileLock(f"{self.baseFilename}.lock", timeout=0):
            self._follow()
            if os.path.getsize(self.baseFilename) >= self.maxBytes:
                super().doRollover()

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        return os.path.getsize(self.baseFilename) >= self.maxBytes

    def _follow(self) -> None:
        """Opens the present file where the one that is open was renamed or removed."""
        with contextlib.suppress(FileNotFoundError):
            present = os.stat(self.baseFilename)
            ours = os.fstat(self.stream.fileno()) if self.stream is not None else None
            if ours is not None and (ours.st_dev, ours.st_ino) == (present.st_dev, present.st_ino):
                return
        if self.stream is not None:
            self.stream.close()
        self.stream = self._open()

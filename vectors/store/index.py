"""The library's SQLite index: what people add to vectors, and what is needed to list them without opening their files."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vectors.files import disk
from vectors.plain_text import one_line
from vectors.store.index_schema import VERSION, names_blocks, version_of

__all__ = ["VERSION", "Index", "LibraryError"]
_PATIENCE = 30.0  # seconds that one process waits for another's transaction

_REBUILD = "`melbo-tui vectors rebuild` makes it anew from the files"


_NOT_OURS = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH)


class LibraryError(Exception):
    """The library cannot do what was asked; the message says why and what to do."""


class UnknownVector(LibraryError):
    """There is no vector of that id: there never was, or it was removed for good."""


class DamagedIndex(LibraryError):
    """An index that no program of ours can have written."""


class Index:
    """Short-lived connections to one SQLite file, so that any thread and any other process may use it at any time.

    `found` is the version of the index that was there, 0 where there was none. The index can be made again from the files
    and the journal, so its transactions must be whole, but the last of them may be missing after a power cut.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._here = threading.local()
        with self.reading() as db:
            self.found = version_of(db)
        if self.found > VERSION:
            raise LibraryError(f"{path}: written by a newer melbo-tui (index {self.found}); update to open this library")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with: within a transaction of the same thread the transaction's own, which sees its changes."""
        within = getattr(self._here, "db", None)
        if within is not None:
            yield within
            return
        with self._telling():
            db = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
            with closing(db):
                db.row_factory = sqlite3.Row
                db.create_function("names_blocks", 2, names_blocks, deterministic=True)
                yield db

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, the only one of all processes: all of it is kept, or, on any exception, none."""
        with self.reading() as db:
            # NORMAL: after a power cut the index is whole. The journal, which is flushed every time, has what it lacks.
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA journal_mode = TRUNCATE")
            db.execute("PRAGMA cache_spill = OFF")  # what is not yet committed keeps nobody from reading
            _begin(db)
            self._here.db = db
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # SQLite has rolled back by itself where the disk is full
                    with contextlib.suppress(sqlite3.Error):  # of two errors the first one tells what happened
                        db.execute("ROLLBACK")
                raise
            finally:
                self._here.db = None

    @property
    def is_changing(self) -> bool:
        """Whether this thread is in a transaction."""
        return getattr(self._here, "db", None) is not None

    def back_up(self, end: str) -> None:
        """Copies the index, as it was committed last, to a file beside it whose name ends with `end`."""
        copy = self.path.with_name(f"{self.path.name}.{end}")
        if copy.exists():
            return
        try:
            with self._telling(), closing(sqlite3.connect(self.path)) as db, closing(sqlite3.connect(copy)) as other:
                db.backup(other)
        except LibraryError:
            with contextlib.suppress(OSError):
                copy.unlink(missing_ok=True)
            raise

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Whatever SQLite raises, as one LibraryError that says what to do."""
        folder = self.path.parent
        try:
            yield
        except UnicodeDecodeError as error:  # of a column that is text, and holds other bytes
            raise DamagedIndex(f"the index {self.path} is damaged (bytes that are no text); {_REBUILD}") from error
        except sqlite3.Error as error:
            # Only a file that is no database raises the bare class; a table that is not as we make it, an error of logic.
            if type(error) is sqlite3.DatabaseError or getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOT_OURS:
                raise DamagedIndex(f"the index {self.path} is damaged ({one_line(str(error), 80)}); {_REBUILD}") from error
            if _is_busy(error):
                waited = f"another process has been changing the library {folder} for {_PATIENCE:g} seconds"
                raise LibraryError(f"{waited}; try again when it is done") from error
            raise LibraryError(disk.refused(f"the library {folder} cannot be used", folder, error)) from error
        except UnicodeEncodeError as error:
            raise LibraryError(f"{one_line(error.object, 60)!r} has bytes that are no text, and cannot be kept") from error


def _begin(db: sqlite3.Connection) -> None:
    """Begins a transaction as soon as no other process has one. Many short waits: SQLite's own grow, and starve a writer."""
    end = time.monotonic() + _PATIENCE
    db.execute("PRAGMA busy_timeout = 0")
    while True:
        try:
            db.execute("BEGIN IMMEDIATE")
            break
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > end:
                raise
        time.sleep(random.uniform(0.0002, 0.003))
    db.execute(f"PRAGMA busy_timeout = {_PATIENCE * 1000:.0f}")


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

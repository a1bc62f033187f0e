"""The files, the journal and the index of a library's folder, changed together: all of a change is kept, or none of it.

A transaction of the index, of which there is one at a time among all processes, first takes in what the journal has beyond
it. Then the journal's line is flushed to disk, then new files take their names, which were written beside; the index is
committed last. It remembers up to where it has taken in the journal, and how each file was, so one that was killed before
that is behind, knows it, and takes in what is there. What failed before the commit is taken back from the journal and the
folder; where the journal cannot be cut any more, the change is finished instead, and the index takes it in later.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from vectors.files import disk
from vectors.files.atomic import put_in_place, second_name, sweep, write_beside
from vectors.store import fold
from vectors.store.index import Index, LibraryError
from vectors.store.index_schema import JOURNALLED, POSITIONED, VERSION, bring_over
from vectors.store.journal import Journal, Position, stamp_of

FOLDERS = ("runs", "mixtures")
_SECONDS_BETWEEN = 1.0  # attempts of readers to bring the index up to date


@dataclass
class Transaction:
    """A change under way: the index's connection, the journal's lines, files that take their names (temporary, final) when
    the lines are on disk, and files to remove after that."""

    db: sqlite3.Connection = field(init=False)
    lines: list[Mapping[str, Any]] = field(default_factory=list)
    written: list[tuple[Path, Path]] = field(default_factory=list)
    outdated: list[Path] = field(default_factory=list)
    undo: list[Callable[[], object]] = field(default_factory=list)  # done, the last first, where it is not saved
    steps: list[Any] = field(default_factory=list)  # what it has added to the history (vectors/store/curation.py)

    def record(self, change: Mapping[str, Any]) -> None:
        """Does `change`, in the form of a line of the journal, to the index, and has the journal tell of it."""
        fold.apply(self.db, change)
        self.lines.append(change)


class Store:
    """The library's folder, made where it does not exist. Any thread and any process may change it at any time.

    `behind` says why the index could not take in what the files and the journal have beyond it, where that is so.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self.folder = Path(folder).expanduser()
        self.behind = ""
        self._tried_at = 0.0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for part in FOLDERS:
                (self.folder / part).mkdir(exist_ok=True)
                sweep(self.folder / part)
        except OSError as error:
            raise LibraryError(disk.refused(f"the library {self.folder} cannot be used", self.folder, error)) from error
        self.journal = Journal(self.folder / "changes.jsonl")
        self.index = Index(self.folder / "index.sqlite3")
        self._current = Transaction()  # there is one at a time; who is in it, the index knows
        if self.index.found != VERSION:
            self._bring_over()
        self._try_again()

    @contextmanager
    def changing(self) -> Iterator[Transaction]:
        """A transaction; within one of the same thread, that one. What is read in it is what is changed.

        When the outermost is left without an exception, the change is on disk. On an exception nothing of it is, but for
        a run's file that was saved again where the file system has no second names: it may have the new vectors already.
        """
        if self.index.is_changing:
            yield self._current
            return
        ends: tuple[Position, Position] | None = None
        change = Transaction()
        try:
            with self.index.changing() as db:
                self._catch_up(db)
                change.db, self._current = db, change
                yield change
                if change.lines:
                    start = fold.position(db)
                    ends = start, self.journal.append(start, change.lines)
                    fold.take_note(db, ends[1])
                self._place_files(change)
        except BaseException as error:
            saved = ends is not None and self._stays(*ends) and self._are_placed(change)
            if not saved:
                for undo in reversed(change.undo):
                    with contextlib.suppress(OSError):  # the first error tells what happened
                        undo()
            if not (saved and isinstance(error, LibraryError)):
                raise
            self.behind = str(error)
            self._try_again()
        for path in change.outdated:
            with contextlib.suppress(OSError):  # what is left over is told by upkeep.care
                path.unlink()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to the index to read with, which first takes in what it could not before, where that can be done now."""
        if self.behind and not self.index.is_changing and time.monotonic() - self._tried_at > _SECONDS_BETWEEN:
            self._try_again()
        with self.index.reading() as db:
            yield db

    def _try_again(self) -> None:
        self._tried_at = time.monotonic()
        try:
            self.refresh()
        except LibraryError as error:  # a full disk, or one that is only read, keeps nobody from reading
            self.behind = str(error)

    def refresh(self) -> None:
        """Takes in what the index does not know: another program's files, and what was written just before a crash."""
        if self.index.is_changing:
            # Damaged files are read again only along with others: runs are saved often.
            if any(fold.changed_files(self._current.db, self.folder, False)):
                fold.take_in_files(self._current.db, self.folder, self.journal)
            return
        if self.is_behind():
            with self.index.changing() as db:
                self._catch_up(db)
                fold.take_in_files(db, self.folder, self.journal)
        self.behind = ""

    def is_behind(self) -> bool:
        """Whether there are files, or lines of the journal, that the index has not taken in."""
        with self.index.reading() as db:
            return not self.journal.ends_at(fold.position(db)) or any(fold.changed_files(db, self.folder, False))

    def rebuild(self) -> None:
        """Makes the index's content again from the files and the journal."""
        with self.index.changing() as db:
            self._catch_up(db)
            fold.refold(db, self.folder, self.journal)

    def add_file(self, file: str, data: bytes, rows: list[fold.Row], what: str, *, instead: bool = False) -> None:
        """Writes a file of vectors and adds its `rows` to the index, in a transaction, which puts the file in place last.

        `instead`: it takes the place of the files in which its vectors are now, at once. Raises LibraryError, which says that
        `what` was not saved.
        """
        path, change = self.path_of(file), self._current
        try:
            path.parent.mkdir(exist_ok=True)
            temporary = write_beside(path, data)
        except OSError as error:
            raise LibraryError(disk.refused(f"{what} could not be saved in {self.folder}", self.folder, error)) from error
        change.undo.append(lambda: temporary.unlink(missing_ok=True))
        fold.insert(change.db, file, rows, stamp_of(temporary), instead)
        if instead:
            self._put_in_place(change, temporary, path)
        else:
            change.written.append((temporary, path))

    def _place_files(self, change: Transaction) -> None:
        while change.written:
            self._put_in_place(change, *change.written[0])
            del change.written[0]

    def _are_placed(self, change: Transaction) -> bool:
        """Whether the files of a change whose line stays in the journal have their names by now."""
        with contextlib.suppress(LibraryError):
            self._place_files(change)
        return not change.written

    def _put_in_place(self, change: Transaction, temporary: Path, path: Path) -> None:
        """Gives a file its name; until the change is saved, what bore that name before is kept under another."""
        try:
            before = second_name(path) if path.exists() else None
            if before is not None:
                change.outdated.append(before)
                # Of two names of one file, which it is where nothing was put in place, `replace` takes none away.
                change.undo += [lambda: before.unlink(missing_ok=True), lambda: os.replace(before, path)]
            elif not path.exists():
                change.undo.append(lambda: path.unlink(missing_ok=True))
            put_in_place(temporary, path)
        except OSError as error:
            raise LibraryError(disk.refused(f"{path.name} could not be saved in {self.folder}", self.folder, error)) from error

    def path_of(self, file: str) -> Path:
        """Where a file that the index speaks of lies."""
        return self.folder / ("mixtures" if file.endswith(".json") else "runs") / file

    def _catch_up(self, db: sqlite3.Connection) -> None:
        """Takes in what the journal has that the index has not; the whole of it where it is no longer what it was."""
        taken = fold.position(db)
        if self.journal.ends_at(taken):
            return
        if taken.bytes and not self.journal.size():
            # Lost, and with it all that people did, but for the index.
            fold.take_note(db, self.journal.add_all(fold.state(db)))
        elif self.journal.begins_as(taken):
            fold.take_in_files(db, self.folder, self.journal)  # the lines may be about vectors in files that are new
            fold.take_in_lines(db, self.journal, taken)
        else:
            self.index.back_up(time.strftime("before-%Y%m%d-%H%M%S"))
            fold.refold(db, self.folder, self.journal)

    def _bring_over(self) -> None:
        """Makes a new index, or brings one of an earlier version to this one; a copy of how it was stays beside it."""
        if self.index.found:
            self.index.back_up(f"v{self.index.found}.bak")
        with self.index.changing() as db:
            version = bring_over(db)
            if version == VERSION:  # another process has been here first
                return
            if version >= POSITIONED:
                self._catch_up(db)
                fold.take_in_files(db, self.folder, self.journal)  # also those that the earlier version could not read
            elif version and (version < JOURNALLED or not self.journal.size()):
                fold.take_in_files(db, self.folder, self.journal)
                fold.take_note(db, self.journal.add_all(fold.state(db)))
            else:  # which lines of the journal an earlier version has taken in it did not write down
                fold.refold(db, self.folder, self.journal)

    def _stays(self, start: Position, end: Position) -> bool:
        """Whether a line stays in the journal whose transaction the index did not commit: it is taken out again if it can be.

        It is the journal's last unless another process has come since, which has then taken it in.
        """
        cut = False
        # Where nobody can change the index now, whoever can first takes the line in.
        with contextlib.suppress(LibraryError), self.index.changing() as db:
            if fold.position(db).bytes < end.bytes and self.journal.size() == end.bytes:
                self.journal.cut(start.bytes)
                cut = True
        return not cut

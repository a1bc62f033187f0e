"""File formats: one module a format, one line in FORMATS; each has its FORMAT, which says what suffixes it answers to.

Other packages add formats by entry points of the group `melbo_tui.formats` (docs/extending.md). They are imported when a file
is to be read or written that none of the program's own is for, or when all are listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from vectors.formats.raw import Reading
from vectors.plain_text import one_line
from vectors.registry import Registry, package_of
from vectors.vector import SteeringVector, VectorError

Read = Callable[[Path, Reading], list[SteeringVector]]


class Write(Protocol):
    def __call__(self, path: Path, vectors: Sequence[SteeringVector], *, replace: bool = True) -> None: ...


@dataclass(frozen=True)
class Format:
    """`read` gives what the file holds; `write` writes atomically, over another file only where its last argument says so.
    Without suffixes it is for a folder.

    Both raise VectorError with one clear line.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Read | None = None
    write: Write | None = None

    @property
    def shown_suffixes(self) -> tuple[str, ...]:
        """The suffixes as files' names are compared with, safe to show."""
        return tuple(one_line(suffix.lower(), 20) for suffix in self.suffixes)


_FOLDER = "refusal-direction"
FORMATS = Registry(
    "melbo_tui.formats",
    Format,
    "FORMAT",
    {
        "safetensors": "vectors.formats.safetensors_file",
        "gguf": "vectors.formats.gguf_file",
        "npy": "vectors.formats.npy_file",
        "pt": "vectors.formats.pt_file",
        "svec": "vectors.formats.svec_file",
        _FOLDER: "vectors.formats.refusal_folder",
    },
)


def reader_of(path: Path) -> Read:
    """What reads `path`, by its suffix; a folder is one of refusal_direction's. Raises VectorError for what cannot be read."""
    if path.is_dir():
        folder = FORMATS[_FOLDER].read
        assert folder is not None
        return folder
    read: Read = _of(path, "read", "refusal_direction's folders")
    return read


def writer_of(path: Path) -> Write:
    """What writes `path`, by its suffix. Raises VectorError for what cannot be written."""
    write: Write = _of(path, "write", ".json for recipes")
    return write


def suffixes(what: Literal["read", "write"]) -> list[str]:
    """Those of files that can be read, or written; other packages' that cannot be imported are left out."""
    return [suffix for known in FORMATS.readable().values() if getattr(known, what) for suffix in known.shown_suffixes]


def _of(path: Path, what: Literal["read", "write"], beside: str) -> Any:
    for name, known in _in_order():
        if path.suffix.lower() in known.shown_suffixes and getattr(known, what) is not None:
            do = getattr(known, what)
            return do if name in FORMATS.own else partial(_kept_to_its_word, name, do)
    wrong = "".join(f"; {error}" for error in FORMATS.tried()[1].values())
    done, others = "read" if what == "read" else "written", ", ".join([*suffixes(what), beside])
    raise VectorError(f"{path.name}: no format that can be {done} here (known: {others}){wrong}")


def _in_order() -> Iterator[tuple[str, Format]]:
    """The program's own first; the others are looked for when none of these was it."""
    yield from ((name, FORMATS[name]) for name in FORMATS.own)
    yield from FORMATS.readable().items()


def _kept_to_its_word(name: str, do: Callable[..., Any], path: Path, *args: Any, **options: Any) -> Any:
    """Another package's `read` or `write`, whatever it raises turned into a VectorError."""
    try:
        done = do(path, *args, **options)
        if done is not None and not all(isinstance(one, SteeringVector) for one in done):
            raise TypeError("it did not read steering vectors")
        return done
    except (VectorError, MemoryError):
        raise
    except Exception as error:
        whose = package_of(FORMATS.others[name])
        told = one_line(f"{type(error).__name__}: {error}", 120)
        raise VectorError(f"{path.name}: the format {name}, of the package {whose}, failed ({told}): mend {whose}") from error

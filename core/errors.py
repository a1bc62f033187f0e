"""Errors that users can act on: each says what happened and what to do."""

from __future__ import annotations

import errno
import re

from core.redaction import redacted
from vectors.plain_text import one_line

_LONGEST_LINE = 4000  # of somebody else's, that is looked at


class MelboError(Exception):
    """What went wrong in one line, and, in `remedy`, what to do about it."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy
        if remedy:
            self.add_note(remedy)  # which a traceback shows, in a notebook


class ModelError(MelboError):
    """A model that cannot be found, read or used."""


class SettingsError(MelboError):
    """A setting that cannot work with this model or prompt."""


class Cancelled(Exception):
    """Raised inside a blocking phase whose task was cancelled."""


def causes(error: BaseException | None) -> list[BaseException]:
    """The error and, behind it, all that it came from, each once: what it was raised from before what was being handled."""
    found: list[BaseException] = []
    ahead = [error]
    while ahead:
        one = ahead.pop()
        if one is not None and not any(one is other for other in found):
            found.append(one)
            ahead += [one.__context__, one.__cause__]
    return found


def first_line(error: BaseException) -> str:
    """An exception of somebody else's in one line: its kind and the start of what it says, without secrets."""
    return line_of(type(error).__name__, str(error))


def line_of(kind: str, text: str) -> str:
    """The same of an exception of that kind that says `text`."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{kind}: {one_line(redacted(lines[0][:_LONGEST_LINE]), 160)}" if lines else kind


OUT_OF_MEMORY_REMEDY = (
    "shorten the prompt, train fewer vectors at once or ask for fewer tokens; --dtype bfloat16 halves a model's memory,"
    " a smaller model takes less"
)
# How torch and the libraries below it say that memory ran out, where they raise no kind of its own.
_MEMORY_WORDS = re.compile(
    "|".join(
        (
            "out of memory",  # CUDA, MPS, HIP, XPU
            "not enough memory",  # torch's allocator on Windows and macOS
            "can.t allocate memory",  # the one on Linux
            "cannot allocate memory",  # the system: ENOMEM
            "unable to (allocate|mmap) .*bytes",  # numpy; mapped files
            "bad.?alloc",  # C++
            "failed to allocate",
            "memory allocation .*failed",  # Rust
            "mkl_malloc",
            "could not create a (primitive|memory)",  # oneDNN, which gives no reason
            "cu(blas|dnn|solver|sparse|fft)_(status_)?alloc_failed",
            "cuda_error_out_of_memory",
        )
    ),
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, on a GPU or on the host."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, MelboError):  # ours say what to do, and may quote such words
        return False
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    return isinstance(error, (RuntimeError, OSError)) and bool(_MEMORY_WORDS.search(str(error)))

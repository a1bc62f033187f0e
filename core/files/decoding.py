"""A file's bytes as text. A file of another format is refused by its name: it is never asked as prompts."""

from __future__ import annotations

from pathlib import Path

from core.errors import SettingsError

MAX_BYTES = 64 << 20
_READ = "prompts and questions are read from .txt, .csv, .tsv, .json and .jsonl"
# What such a file begins with, and what it is.
_SIGNATURES = (
    (b"%PDF-", "a PDF file"),
    (b"PK\x03\x04", "a zip archive, as .xlsx, .docx and .pt files are"),
    (b"\xd0\xcf\x11\xe0", "an Excel or Word file"),
    (b"{\\rtf", "an RTF file"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"GGUF", "a GGUF file"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"version https://git-lfs", "a Git LFS pointer in place of the file itself (`git lfs pull` fetches it)"),
)
_MARKUP = (("<!doctype html", "a web page"), ("<html", "a web page"), ("<?xml", "an XML file"))
# Formats that are text as well, and would pass for lines of prompts.
_SUFFIXES = {
    ".yaml": "a YAML file", ".yml": "a YAML file", ".toml": "a TOML file", ".xml": "an XML file", ".html": "a web page",
    ".htm": "a web page", ".ipynb": "a notebook", ".py": "a Python file", ".tex": "a TeX file", ".svg": "a picture",
}  # fmt: skip
_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def text_of(path: Path) -> str:
    """The text in `path`: UTF-8, or UTF-16 or UTF-32 that say so by a byte order mark. Raises SettingsError."""
    data = _bytes_of(path)
    return text_in(data, path, _SUFFIXES.get(path.suffix.lower()))


def text_in(data: bytes, path: Path | str, kind: str | None = None) -> str:
    """The same of bytes that were read from `path`, which are of another `kind` where one is told. Raises SettingsError."""
    if len(data) > MAX_BYTES:
        raise SettingsError(f"{path}: is larger than {MAX_BYTES >> 20} MiB", "take a part of it")
    kind = next((kind for start, kind in _SIGNATURES if data.startswith(start)), kind)
    if kind is not None:
        raise SettingsError(f"{path}: is {kind}", _READ)
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    if encoding.startswith("utf-8") and b"\0" in data:
        half = len(data[:4096]) // 2
        if max(data[:4096][start::2].count(0) for start in (0, 1)) > 0.8 * half:
            raise SettingsError(f"{path}: looks like UTF-16 without a byte order mark", "save it as UTF-8")
        raise SettingsError(f"{path}: is a binary file, not text", _READ)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if not encoding.startswith("utf-8"):
            what = f"{path}: begins as {encoding.upper()}, and does not go on as that"
            raise SettingsError(what, "save it as UTF-8") from error
        line = data.count(b"\n", 0, error.start) + 1
        what = f"{path}: is no text in UTF-8 (byte 0x{data[error.start]:02X} in line {line})"
        raise SettingsError(what, "save it as UTF-8: `iconv -f LATIN1 -t UTF-8` makes it of Latin-1") from error
    start = text[:1000].lstrip().lower()
    kind = next((kind for opening, kind in _MARKUP if start.startswith(opening)), "a binary file" if "\0" in text else None)
    if kind is not None:
        raise SettingsError(f"{path}: is {kind}", _READ)
    return text


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)  # a device or a pipe has no size to ask for
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror or error})") from error
    return data

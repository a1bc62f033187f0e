"""The files that a checkpoint's weights are in, looked at without reading a weight. Imports no torch."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterable
from pathlib import Path

from core.errors import ModelError
from vectors.files import strict_json
from vectors.files.regular_files import open_regular, read_regular
from vectors.plain_text import one_line

# The largest that a file of settings is, several times over.
MOST_BYTES_OF_JSON = 16 << 20
_INDEX = "model.safetensors.index.json"
_NOTES = "melbo-tui-notes.json"
# Far above the header of any model; a size beyond it is that of no header.
_LONGEST_HEADER = 200 << 20
_LONGEST_NOTES = 1 << 20
_MOST_FILES = 10_000
_PLAIN_NAME = re.compile(r"[\w\-+ ][\w.\-+ ]{0,200}")  # in the index's own folder, wherever that is
# What torch.compile and FSDP put into the names of a model that is saved from within them; no architecture uses these.
_ANYWHERE = r"_orig_mod\.|_fsdp_wrapped_module\.|_checkpoint_wrapped_module\."
# What DDP, DeepSpeed and PEFT put before every name.
_IN_FRONT = r"^(?:module\.|_forward_module\.|base_model\.model\.)+"


def check_files(folder: Path) -> None:
    """Refuses a folder whose config cannot be read or in which weights are absent, by name. Raises ModelError."""
    try:
        # As transformers reads it, which takes keys that stand twice.
        json.loads(read_regular(folder / "config.json", MOST_BYTES_OF_JSON).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{folder.name} could not be read: its config.json fails ({error})", "fetch it again") from error
    index = folder / _INDEX
    files = sorted({str(file) for file in _weight_map(index).values()}) if index.is_file() else []
    absent = [file for file in files if not (folder / file).is_file()]
    if absent and not (folder / "model.safetensors").is_file():
        raise ModelError(
            f"{folder.name} lacks {_listed(absent)}, {len(absent)} of the {len(files)} files that hold its weights",
            "fetch the missing files, or the whole model again",
        )
    for file in folder.glob("*.bin"):
        _check_fetched(file)
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        raise ModelError(f"{folder.name} holds no weights", "a model folder holds config.json and model.safetensors")


def tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The name and shape of every tensor in a safetensors file, from its header alone. Raises ModelError."""
    _check_fetched(file)
    try:
        with open_regular(file) as stream:
            start = stream.read(8)
            size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not size:
                raise ValueError("it has no header")
            if size > min(_LONGEST_HEADER, file.stat().st_size):
                raise ValueError("its header does not fit into it")
            header = strict_json.loads(stream.read(size))
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
        if any(not isinstance(size, int) or size < 0 for shape in shapes.values() for size in shape):
            raise ValueError("a tensor's shape is no list of sizes")
        return shapes
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{file.name} is no whole safetensors file ({error})", "fetch or save it again") from error


def tensor_names(folder: Path) -> list[str]:
    """The names of the checkpoint's tensors; none where they are not in safetensors files."""
    if (folder / "model.safetensors").is_file():
        return list(tensor_shapes(folder / "model.safetensors"))
    return list(_weight_map(folder / _INDEX)) if (folder / _INDEX).is_file() else []


def weight_files(folder: Path) -> list[Path]:
    """The files that the weights in `folder` are read from."""
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    index = folder / _INDEX
    named = sorted({folder / str(file) for file in _weight_map(index).values()}) if index.is_file() else []
    return [file for file in named if file.is_file()] or sorted(folder.glob("pytorch_model*.bin"))


def weight_bytes(folder: Path, bytes_a_number: int | None = None) -> int:
    """How many bytes the weights in `folder` take, at `bytes_a_number`; None: as they are on disk."""
    files = weight_files(folder)
    if bytes_a_number is None or any(file.suffix != ".safetensors" for file in files):
        return sum(file.stat().st_size for file in files)
    return bytes_a_number * sum(math.prod(shape) for file in files for shape in tensor_shapes(file).values())


def wrapper_names(names: Iterable[str]) -> dict[str, str]:
    """The patterns to take out of every name, each with what takes its place: the traces of wrappers around the model."""
    bare = [re.sub(_ANYWHERE, "", name) for name in names]
    patterns = {}
    if any(re.search(_ANYWHERE, name) for name in names):
        patterns[_ANYWHERE] = ""
    if bare and all(re.match(_IN_FRONT, name) for name in bare):
        patterns[_IN_FRONT] = ""
    return patterns


def keep_notes(folder: Path, notes: list[str]) -> None:
    """Keeps with a converted model what was to be told of the file that it was made from."""
    (folder / _NOTES).write_text(json.dumps(notes), encoding="utf-8")


def kept_notes(folder: Path) -> list[str]:
    """Those that `keep_notes` has put there. Raises ModelError for what are none."""
    if not (folder / _NOTES).is_file():
        return []
    try:
        notes = strict_json.loads(read_regular(folder / _NOTES, _LONGEST_NOTES))
        if not isinstance(notes, list):
            raise ValueError("it is no list")
    except (OSError, ValueError) as error:
        raise ModelError(f"{_NOTES} of {folder.name} cannot be read ({error})", "remove it: the model does without") from error
    return [str(note) for note in notes]


def _check_fetched(file: Path) -> None:
    if not file.is_file():
        raise ModelError(f"{file} does not exist", "fetch it, or the whole model again")
    with open_regular(file) as stream:
        if stream.read(19) == b"version https://git":
            raise ModelError(f"{file.name} is only git-lfs' pointer to the weights", f"run git lfs pull in {file.parent}")


def _weight_map(index: Path) -> dict[str, str]:
    try:
        places = dict(json.loads(read_regular(index, _LONGEST_HEADER))["weight_map"])
        files = set(map(str, places.values()))
        if len(files) > _MOST_FILES:
            raise ValueError(f"it names {len(files):,} files")
        if strange := next((file for file in sorted(files) if not _PLAIN_NAME.fullmatch(file)), None):
            raise ValueError(f"{one_line(strange, 60)!r} is no file in its folder")
        return places
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{index.name} does not say which file holds which weight ({error})", "fetch it again") from error


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

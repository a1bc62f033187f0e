"""What a model's files claim of it, held against bounds and against the weights that are there, before anything is built.

A loader believes what it reads: a config of ten million blocks is built for as long as memory lasts. Imports no torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.model.checkpoint_files import MOST_BYTES_OF_JSON, tensor_names, weight_bytes
from core.model.memory import available_memory
from vectors.files.regular_files import check_regular, read_regular
from vectors.plain_text import one_line

# The largest that any model's files are, several times over, in bytes; what is not named here holds weights.
_MOST_BYTES = {
    "tokenizer.json": 512 << 20,
    "tokenizer_config.json": 64 << 20,
    "vocab.json": 256 << 20,
    "merges.txt": 256 << 20,
    "vocab.txt": 256 << 20,
    "model.safetensors.index.json": 64 << 20,
    "pytorch_model.bin.index.json": 64 << 20,
    "chat_template.jinja": 4 << 20,
}
_MOST_TOKENS = 10_000_000  # of a vocabulary, and the ids in it
# Fields that say how many of something are built or listed, one after another.
_COUNTS = re.compile(r"^(num|n)_(?!.*(position|token|param|embd|inner|ctx))|layers|experts|depth|stages")
_MOST_OF_A_KIND = 100_000
_BLOCK_NUMBER = re.compile(r"(?:^|\.)(\d+)\.")
_SPARE_BLOCKS = 1000  # beyond those that the weights are of; a smaller surplus is told in better words once it is built
_SMALLER = "use a smaller model, --dtype bfloat16 or --quantise 4bit, or --max-memory, which leaves the rest on disk"


def check_claims(folder: Path) -> None:
    """Raises ModelError, by file and field, for what no model can be like, and for files that are none."""
    for file in _files(folder):
        _check_size(file)
    config = json_object(folder / "config.json")
    for place, value in _fields(config):
        key = place.rpartition(".")[2]
        if isinstance(value, int) and _COUNTS.search(key) and abs(value) > _MOST_OF_A_KIND:
            raise _beyond(folder, "config.json", place, value)
    _check_blocks(folder, config)
    _check_ids(folder, "config.json", config)
    if (folder / "generation_config.json").is_file():
        _check_ids(folder, "generation_config.json", json_object(folder / "generation_config.json"))
    if (folder / "tokenizer.json").is_file():
        _check_tokens(folder)


def check_memory(name: str, folder: Path, bytes_a_number: int | None) -> None:
    """Raises ModelError where the memory of this machine is less than the weights in `folder` take, at so many bytes a number,
    None for the bytes that they have on disk."""
    needed, available = weight_bytes(folder, bytes_a_number), available_memory()
    if available is not None and needed > available:
        raise ModelError(
            f"{name} does not fit into memory: its weights take {_gib(needed)}, and {_gib(available)} can be had", _SMALLER
        )


def json_object(path: Path) -> Mapping[str, Any]:
    """The object in a model's JSON file. Raises ModelError where it cannot be read."""
    try:
        # Not as files of our own are read: whole numbers of any size stay such, to be told as what no model has.
        data = json.loads(text_of(path))
        if not isinstance(data, dict):
            raise ValueError("no object")
        return data
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or str(error)[:160]
        raise ModelError(
            f"{path.parent.name} could not be read as a model ({path.name}: {why})", "is the file whole? fetch it again"
        ) from error


def text_of(path: Path) -> str:
    """A model's file of text. Raises OSError, also where it is larger than any model's, or ValueError for what is no UTF-8."""
    return read_regular(path, _MOST_BYTES.get(path.name, MOST_BYTES_OF_JSON)).decode("utf-8-sig")


def _files(folder: Path) -> Iterator[Path]:
    for pattern in ("*.json", "*.jinja", "*.txt", "*.model", "*.safetensors", "*.bin"):
        yield from sorted(folder.glob(pattern))


def _check_size(file: Path) -> None:
    try:
        size = check_regular(file)
    except OSError as error:
        raise ModelError(f"{file} cannot be read ({error.strerror or error})", "fetch it, or the whole model again") from error
    most = _MOST_BYTES.get(file.name, MOST_BYTES_OF_JSON if file.suffix == ".json" else None)
    if most is not None and size > most:
        raise ModelError(
            f"{file.name} of {file.parent.name} has {size >> 20:,} MiB, and may have {most >> 20}", "fetch it again"
        )


def _fields(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every value below `value` that is no object or list, with the keys that lead to it."""
    below = [(place, value)]
    while below:
        place, value = below.pop()
        if isinstance(value, dict):
            below += [(f"{place}.{key}" if place else str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            below += [(place, inner) for inner in value]
        else:
            yield place, value


def _check_blocks(folder: Path, config: Mapping[str, Any]) -> None:
    """A config that has many more blocks than there are weights of: its building would take long, to be refused."""
    claimed = [
        (place, value)
        for place, value in _fields(config)
        if place.rpartition(".")[2] in ("num_hidden_layers", "n_layer", "n_layers", "num_layers") and isinstance(value, int)
    ]
    names = tensor_names(folder)
    if not names or not claimed:
        return
    there = 1 + max((int(number[:9]) for name in names for number in _BLOCK_NUMBER.findall(name)), default=0)
    for place, value in claimed:
        if value > there + _SPARE_BLOCKS:
            raise ModelError(
                f"{folder.name} has weights of {there} blocks, but its config says {value} ({place})",
                "config.json and the weights are of different models, or a part of the weights is absent",
            )


def _check_ids(folder: Path, file: str, config: Mapping[str, Any]) -> None:
    """Tokens that begin, end and fill a text are named by ids."""
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        value = config.get(key)
        for id in value if isinstance(value, list) else [value]:
            if id is not None and type(id) is not int:
                raise ModelError(
                    f"{file} of {folder.name} says {key} is {one_line(repr(id), 40)}, which is no token's id",
                    f"the fault is the file's: fetch {file} again",
                )


def _check_tokens(folder: Path) -> None:
    tokenizer = json_object(folder / "tokenizer.json")
    added = tokenizer.get("added_tokens")
    for token in added if isinstance(added, list) else ():
        id = token.get("id") if isinstance(token, dict) else None
        if isinstance(id, int) and not 0 <= id < _MOST_TOKENS:
            raise _beyond(folder, "tokenizer.json", "added_tokens.id", id)


def _beyond(folder: Path, file: str, place: str, value: int) -> ModelError:
    told = str(value) if abs(value) < 1 << 63 else f"{float(value):.3g}" if abs(value) < 1 << 1000 else "a number without end"
    return ModelError(
        f"{file} of {folder.name} says {place} is {told}, which no model has", f"the fault is the file's: fetch {file} again"
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"

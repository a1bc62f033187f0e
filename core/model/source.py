"""What the user's word for a model means: `bundled`, `smollm2`, a folder, a .gguf file or a hub id. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from core.bundled import weights
from core.errors import ModelError
from vectors.files.given_path import given_path
from vectors.plain_text import MAX_NAME, one_line, well_formed
from vectors.vector import VectorError, model_label

# `bundled` is smollm2 with the project's own adapter, or with the one that is asked for.
DEFAULT_NAMES = ("bundled", "smollm2")
_MODELS = "name a model folder, a .gguf file or a hub id"
_ADAPTERS = "name the folder of a PEFT adapter"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.\-]{0,95}(/[A-Za-z0-9][\w.\-]{0,95})?")


@dataclass(frozen=True)
class ModelSpec:
    """The model a user asks for. `dtype` auto: float32 on a CPU, the checkpoint's own elsewhere.

    `quantise`: 4bit, 8bit or None. `max_memory`: the most that each device may give to weights, as `0=20GiB,cpu=60GiB`.
    """

    model: str = "bundled"
    adapter: str | None = None
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    device_map: str | None = None
    trust_remote_code: bool = False
    quantise: str | None = None
    max_memory: str | None = None


@dataclass(frozen=True)
class ModelSource:
    """Where its weights are: `kind` is folder, gguf or hub. `sha256` is what a GGUF file must hash to, where known.

    `adapter` is the folder of the one it wears unless another is asked for."""

    kind: str
    location: str
    name: str
    sha256: str | None = None
    adapter: Path | None = None

    def wearing(self, adapter: str | None) -> ModelSource:
        """The same with the adapter in that folder, where one is named, in place of its own."""
        return self if adapter is None else replace(self, adapter=_given(adapter, _ADAPTERS).resolve())

    @property
    def label(self) -> str:
        """The name that vectors of this model carry."""
        return model_label(self.name, adapter_name(self.adapter))


def adapter_name(folder: Path | None) -> str:
    """What an adapter is called: its folder's name."""
    return _shown(folder.name) if folder is not None else ""


def _shown(name: str) -> str:
    """What a file or folder is called, safe to show: vectors carry it."""
    return one_line(name, MAX_NAME) or "unnamed"


def _given(text: str, remedy: str) -> Path:
    try:
        path = given_path(text)
    except VectorError as error:
        raise ModelError(str(error), remedy) from error
    whole = str(path.resolve())
    if well_formed(whole) != whole:
        raise ModelError(f"{whole}: its path has bytes that are no UTF-8, and models are not read from there", "rename it")
    return path


def resolve(model: str) -> ModelSource:
    """What `model` names. Raises ModelError when it can be nothing of the kind; nothing is read or fetched yet."""
    if model in DEFAULT_NAMES:
        path = weights.wheel_file()
        adapter = weights.ADAPTER if model == "bundled" else None
        if path is not None:
            return ModelSource("gguf", str(path), "smollm2", weights.GGUF_SHA256, adapter)
        return ModelSource("hub", weights.HUB_ID, "smollm2", adapter=adapter)
    if not model.strip():
        raise ModelError("there is no model without a name", _MODELS)
    path = _given(model, _MODELS)
    if path.is_dir():
        if not (path / "config.json").is_file():
            ggufs = sorted(path.glob("*.gguf"))
            hint = f"name the file itself: {ggufs[0]}" if ggufs else "a model folder holds config.json and its weights"
            raise ModelError(f"{model} is a folder without config.json", hint)
        return ModelSource("folder", str(path.resolve()), _shown(path.resolve().name))
    if path.is_file():
        if path.suffix.lower() != ".gguf":
            raise ModelError(f"{model} is a file, but not a .gguf file", _MODELS)
        return ModelSource("gguf", str(path.resolve()), _shown(path.stem))
    looks_local = model.startswith(("/", ".", "~")) or model.endswith(".gguf") or model.count("/") > 1
    if looks_local or not _HUB_ID.fullmatch(model):
        raise ModelError(f"there is no model at {model!r}", "name an existing folder, a .gguf file or a hub id like owner/name")
    return ModelSource("hub", model, model)


def default_blocks(n_blocks: int) -> tuple[int, int]:
    """Source and target where nothing is said: at 0.235 and 0.71 of the depth, as the published runs chose by hand."""
    source = int(0.235 * n_blocks)
    return source, max(min(round(0.71 * n_blocks), n_blocks - 1), source + 1)

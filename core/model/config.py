"""What can be known of a model without reading its weights: its blocks, its width, and whether it is there at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.hub.downloads import HubOutOfReach, ask_once, readable_failures
from core.model.claims import check_claims, json_object
from core.model.gguf_header import header_numbers
from core.model.source import ModelSource, ModelSpec, adapter_name, resolve
from core.model.store import converted_folder, instead_of_the_hub
from vectors.vector import ModelStamp

# What architectures call them; what else there is, transformers knows.
_BLOCKS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_WIDTH = ("hidden_size", "n_embd", "d_model")
_HUB_SECONDS = 10.0
_TEXT_PARTS = ("text_config", "llm_config", "language_config", "thinker_config")


@dataclass(frozen=True)
class Shape:
    """How many decoder blocks a model has, and the width of its residual stream."""

    n_blocks: int
    d_model: int


def located(spec: ModelSpec) -> ModelSource:
    """Where the model that `spec` asks for is, its adapter's folder looked into. Raises ModelError."""
    source = resolve(spec.model).wearing(spec.adapter)
    if source.adapter is not None:
        check_adapter_folder(source.adapter)
    return source


def shape_of(source: ModelSource, revision: str | None = None) -> Shape:
    """The shape of the model at `source`; of one on the hub, no more than its config is fetched. Raises ModelError."""
    if source.kind == "gguf":
        path = Path(source.location)
        folder = converted_folder(path, source.sha256)
        if not (folder / "config.json").is_file():
            found = header_numbers(path, "block_count", "embedding_length")
            if len(found) < 2:
                raise ModelError(f"{path.name} does not say how many blocks it has: it is no language model")
            return Shape(found["block_count"], found["embedding_length"])
    elif source.kind == "hub":
        folder = _hub_config(source, revision).parent
    else:
        folder = Path(source.location)
    return _shape(json_object(folder / "config.json")) or _as_transformers_reads(folder)


def stamp_of(spec: ModelSpec) -> ModelStamp:
    """What a vector of the model that `spec` names carries of it: the name alone where neither this machine has its config
    nor the hub can be reached. Raises ModelError for a model that is nowhere."""
    source = resolve(spec.model).wearing(spec.adapter)
    try:
        shape = shape_of(source, spec.revision)
    except HubOutOfReach:
        shape = Shape(0, 0)
    return ModelStamp(source.name, shape.d_model, shape.n_blocks, "", spec.revision or "", adapter_name(source.adapter))


def check_folder(folder: Path) -> None:
    """Raises ModelError where `folder` holds no model, as far as that shows without reading its weights."""
    check_claims(folder)
    if not any(any(folder.glob(pattern)) for pattern in ("*.safetensors", "*.bin", "*.safetensors.index.json")):
        raise ModelError(f"{folder.name} holds no weights", "a model folder holds config.json and *.safetensors")


def check_adapter_folder(folder: Path) -> None:
    """Raises ModelError where `folder` holds no PEFT adapter that may be read."""
    if not (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"{folder} holds no PEFT adapter", "name a folder with adapter_config.json and adapter_model.safetensors"
        )
    if not (folder / "adapter_model.safetensors").is_file():
        # The other form, adapter_model.bin, is a pickle.
        raise ModelError(f"{folder} holds no adapter_model.safetensors", "save the adapter with safe_serialization=True")


def _shape(config: Mapping[str, Any]) -> Shape | None:
    """What a config.json says; None where it says it in words of its own."""
    inner = next((part for name in _TEXT_PARTS if isinstance(part := config.get(name), dict)), config)
    blocks, width = (next((inner[key] for key in keys if key in inner), None) for keys in (_BLOCKS, _WIDTH))
    return Shape(blocks, width) if isinstance(blocks, int) and isinstance(width, int) else None


def _as_transformers_reads(folder: Path) -> Shape:
    from core.model.language_model import read_config  # seconds, and few configs need it

    config = read_config(folder).get_text_config(decoder=True)
    blocks, width = getattr(config, "num_hidden_layers", None), getattr(config, "hidden_size", None)
    if not isinstance(blocks, int) or not isinstance(width, int):
        raise ModelError(f"the config of {folder.name} does not say how many blocks it has and how wide they are")
    return Shape(blocks, width)


def _hub_config(source: ModelSource, revision: str | None) -> Path:
    """The config of a hub model, from the hub library's cache or the hub."""
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import RemoteEntryNotFoundError

    with readable_failures(source.location, revision, instead_of_the_hub(source)):
        try:
            kept = try_to_load_from_cache(source.location, "config.json", revision=revision)
            if not isinstance(kept, str) and not constants.HF_HUB_OFFLINE:
                ask_once(source.location, revision, _HUB_SECONDS)
            return Path(hf_hub_download(source.location, "config.json", revision=revision))
        except RemoteEntryNotFoundError as error:
            raise ModelError(f"{source.location} on the hub has no config.json", "name a model of transformers") from error

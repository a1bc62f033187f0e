"""What the files of a PEFT adapter say, read and held to reason before peft builds anything of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.model.checkpoint_files import tensor_shapes
from core.model.claims import json_object
from core.processes.confined import Exceeded, Raised, confined

_SPARE_RANK = 10_000  # some kinds count as rank what is no dimension of their tensors


def read_adapter(folder: Path) -> tuple[Mapping[str, Any], dict[str, tuple[int, ...]]]:
    """The adapter's settings, and the shapes of its tensors by name."""
    if not (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"{folder} holds no PEFT adapter", "name a folder with adapter_config.json and adapter_model.safetensors"
        )
    if not (folder / "adapter_model.safetensors").is_file():
        # The other form, adapter_model.bin, is a pickle.
        raise ModelError(f"{folder} holds no adapter_model.safetensors", "save the adapter with safe_serialization=True")
    try:
        config = json_object(folder / "adapter_config.json")
    except ModelError as error:
        why = getattr(error.__cause__, "strerror", None) or error.__cause__
        raise ModelError(f"{folder.name}/adapter_config.json is not readable ({why})", "save the adapter again") from error
    return config, tensor_shapes(folder / "adapter_model.safetensors")


def check_ranks(folder: Path, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuses ranks that no tensor has: peft would make weights of them before it looks at the tensors."""
    patterns = config.get("rank_pattern")
    ranks = [config.get("r"), *(patterns.values() if isinstance(patterns, dict) else ())]
    widest = max((size for shape in shapes.values() for size in shape), default=0)
    for rank in ranks:
        if isinstance(rank, int) and rank > widest + _SPARE_RANK:
            raise ModelError(
                f"adapter_config.json of {folder.name} says its rank is {rank}, but no tensor of it is wider than {widest}",
                "the settings and the weights are of different adapters: save the adapter again",
            )


def check_patterns(folder: Path, config: Mapping[str, Any], names: list[str]) -> None:
    """Refuses patterns that are not matched within reason against the names of the model's modules, as peft will."""
    own = config.get("layers_pattern")
    patterns = [text for key in ("target_modules", "exclude_modules") if isinstance(text := config.get(key), str)]
    patterns += [rf".*\.{one}\.(\d+)\..*" for one in (own if isinstance(own, list) else [own]) if isinstance(one, str)]
    for key in ("rank_pattern", "alpha_pattern"):
        keys = config.get(key)
        patterns += [rf"(.*\.)?({one})" for one in (keys if isinstance(keys, dict) else ())]
    if not patterns:
        return
    try:
        confined.call(":matches", {"patterns": patterns, "texts": names})
    except (Exceeded, Raised) as error:
        raise ModelError(
            f"a pattern in adapter_config.json of {folder.name} {_what_it_does(error)}",
            "the fault is the file's (target_modules, layers_pattern, rank_pattern): name the layers in a list instead",
        ) from error


def _what_it_does(error: Exceeded | Raised) -> str:
    return str(error) if isinstance(error, Exceeded) else f"is none ({error})"

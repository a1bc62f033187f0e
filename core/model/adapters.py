"""PEFT adapters: loaded whole or refused by name, merged into a model's weights so that it computes what it did unmerged.

peft itself only warns where an adapter's weights match nothing, and leaves the adapter as it was drawn at random.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import Cancelled, ModelError, first_line, is_out_of_memory
from core.model.adapter_files import check_patterns, check_ranks, read_adapter
from core.model.building import held_to

# Below this share of an adapter's change, rounding to the model's dtype has eaten much of it.
_MUCH_LOST = 0.9
_MOST_NEW_TOKENS = 1_000_000
_ADAPTER = "default"  # peft's name for the only adapter of a model
# Kinds that change no weight, in words: what they add has no place in one.
_BESIDE_THE_WEIGHTS = {
    "PROMPT_TUNING": "learned tokens before the prompt",
    "MULTITASK_PROMPT_TUNING": "learned tokens before the prompt",
    "P_TUNING": "learned tokens before the prompt",
    "CPT": "learned tokens before the prompt",
    "PREFIX_TUNING": "learned keys and values before the prompt",
    "CARTRIDGE": "learned keys and values before the prompt",
    "ADAPTION_PROMPT": "learned tokens in every attention layer",
    "XLORA": "a choice among adapters for each token",
    "POLY": "a choice among adapters for each task",
    "SHADOW": "a second network beside the model",
}


def with_adapter(model: Any, folder: Path, merge: bool = True) -> tuple[Any, list[str]]:
    """`model` with the PEFT adapter in `folder`, and what a user should know about it. Raises ModelError.

    Merged in float32 and kept in the model's own dtype. Without `merge`, as for quantised weights, which would round it
    away, it is computed beside each layer.
    """
    if "disk" in getattr(model, "hf_device_map", {}).values():  # peft would write the weights anew beside where we stand
        raise ModelError(
            f"the adapter {folder.name} cannot be merged into weights offloaded to disk",
            "give the model more memory, or merge the adapter into it and load the result",
        )
    with _failures(folder, quantised=not merge) as kind:
        adapted, dtypes, notes = _put_on(model, folder)
        if not merge:
            return adapted.get_base_model(), notes
        expected = _logits(adapted)
        merged, kept = _merge(adapted)
        for name, parameter in merged.named_parameters():
            parameter.data = parameter.data.to(dtypes.get(name, parameter.dtype))
        if not _agree(_logits(merged), expected, model.dtype):
            raise _unmergeable(folder, kind, "the merged weights compute something else")
    if kept < _MUCH_LOST:
        notes.append(
            f"of the adapter {folder.name}'s change to the weights {kept:.0%} is left after rounding to"
            f" {str(model.dtype).removeprefix('torch.')}; --dtype float32 keeps all of it"
        )
    return merged, notes


def check_adapter(model: Any, folder: Path) -> bool:
    """Whether the adapter is whole and fits `model`, whose weights are on the meta device; False where that cannot be told.

    Raises ModelError where it does not.
    """
    try:
        with _failures(folder):
            _put_on(model, folder)
    except ModelError as error:
        # Some kinds begin by taking the model's weights apart, which takes their numbers.
        if isinstance(error.__cause__, NotImplementedError) or "set_data" in str(error.__cause__):
            return False
        raise
    return True


def _put_on(model: Any, folder: Path) -> tuple[Any, dict[str, torch.dtype], list[str]]:
    """peft's model with the whole adapter beside the weights, the dtypes that these had, and notes."""
    config, shapes = read_adapter(folder)
    check_ranks(folder, config, shapes)
    check_patterns(folder, config, [name for name, _ in model.named_modules()])
    from peft import PeftModel  # takes a second or two, and most models have no adapter

    size = (folder / "adapter_model.safetensors").stat().st_size
    # A vocabulary that grows is built anew as a whole.
    with held_to(
        f"the adapter {folder.name}", size + model.get_input_embeddings().weight.numel(), config="adapter_config.json"
    ):
        notes = _resize(folder, model, config, shapes)
        dtypes = {name: parameter.dtype for name, parameter in model.named_parameters()}
        adapted = PeftModel.from_pretrained(model, str(folder), torch_device="cpu")
        _check_whole(adapted, folder)
    return adapted, dtypes, notes


@contextmanager
def _failures(folder: Path, quantised: bool = False) -> Iterator[str]:
    """Gives the adapter's kind, and turns whatever peft raises into one ModelError that says what is wrong with it."""
    kind = str(read_adapter(folder)[0].get("peft_type"))
    if kind in _BESIDE_THE_WEIGHTS:
        raise _unmergeable(folder, kind, f"it is {_BESIDE_THE_WEIGHTS[kind]}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield kind
    except (ModelError, Cancelled):
        raise
    except NotImplementedError as error:
        raise _unmergeable(folder, kind, "peft has no merge for it") from error
    except Exception as error:  # peft and the layers below it fail in many ways on an adapter of another model
        if is_out_of_memory(error):
            raise
        if "merge" in str(error):
            raise _unmergeable(folder, kind, first_line(error)) from error
        raise ModelError(
            f"the adapter {folder.name} does not fit this model ({first_line(error)})",
            "it must have been trained on this one" + (", and not every kind goes on quantised weights" if quantised else ""),
        ) from error


def _unmergeable(folder: Path, kind: str, why: str) -> ModelError:
    return ModelError(
        f"the adapter {folder.name} is of kind {kind}, which cannot be merged into a model's weights: {why}",
        "use an adapter that changes weights, such as LoRA",
    )


def _resize(folder: Path, model: Any, config: Mapping[str, Any], shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """Gives the model as many embeddings as the adapter was trained with, which its tensors tell."""
    names = {id(module): name for name, module in model.named_modules()}
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    sizes = []
    for module in (embeddings, head):
        for key, shape in shapes.items():
            place, _, own = key.rpartition(f".{names.get(id(module))}.")
            if place and own in ("weight", "base_layer.weight", "modules_to_save.weight", "lora_B.weight"):
                sizes.append(shape[0])
            elif place and own == "lora_embedding_A":
                sizes.append(shape[1])
    before, own_rows = int(embeddings.weight.shape[0]), bool(sizes)
    if not own_rows:
        indices = config.get("trainable_token_indices") or config.get("token_indices") or []
        sizes = [int(i) + 1 for group in (indices.values() if isinstance(indices, dict) else [indices]) for i in group]
    if sizes and max(sizes) > before + _MOST_NEW_TOKENS:
        raise ModelError(
            f"the adapter {folder.name} is of {max(sizes)} tokens, and the model has {before}",
            "it must have been trained on this model; or adapter_config.json is damaged (trainable_token_indices)",
        )
    if not sizes or max(sizes) == before or (max(sizes) < before and not own_rows):
        return []
    model.resize_token_embeddings(max(sizes), mean_resizing=False)
    tied = head is None or model.get_output_embeddings().weight is model.get_input_embeddings().weight
    for module in (model.get_input_embeddings(), model.get_output_embeddings()):
        if module is not None:  # rows that the adapter does not bring would be drawn at random
            module.weight.data[before:] = 0
    if own_rows or tied:
        return []
    return [f"the adapter brings {max(sizes) - before} new tokens, but not their rows of the head: these are set to zero"]


def _check_whole(adapted: Any, folder: Path) -> None:
    """Refuses an adapter of which a part is missing or has no place. peft tells neither to the one who loads."""
    from peft import load_peft_weights, set_peft_model_state_dict
    from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING

    tensors = load_peft_weights(str(folder), device="cpu")
    result = set_peft_model_state_dict(adapted, tensors, adapter_name=_ADAPTER)
    parameters = dict(adapted.named_parameters(remove_duplicate=False)) | dict(adapted.named_buffers(remove_duplicate=False))
    # What an adapter keeps: its kind's own weights, whole modules, tokens. Counters of its training lie beside them.
    kept = (PEFT_TYPE_TO_PREFIX_MAPPING[adapted.peft_config[_ADAPTER].peft_type], "modules_to_save", "trainable_tokens_delta")
    own = {key for key in parameters if _ADAPTER in key.split(".") and any(part in key for part in kept)}
    missing = set(result.missing_keys) & own
    # Kinds that share one tensor among all layers keep it once, under one of its names.
    read = {id(parameters[key]) for key in own - missing}
    missing = {key for key in missing if id(parameters[key]) not in read}
    unexpected = sorted(result.unexpected_keys)
    remedy = "it must have been trained on this model, with these names for its layers"
    if unexpected and len(unexpected) == len(tensors):
        raise ModelError(f"nothing of the adapter {folder.name} fits this model: {_named(unexpected)}", remedy)
    if missing:
        raise ModelError(f"the adapter {folder.name} lacks a part of its weights: {_named(sorted(missing))}", remedy)
    if unexpected:
        raise ModelError(f"a part of the adapter {folder.name} has no place in this model: {_named(unexpected)}", remedy)


def _logits(model: Any) -> Tensor:
    """Of a few tokens, [tokens, vocab] float32: what the merged model is held to."""
    with torch.no_grad():
        ids = torch.tensor([[1, 2, 3, 2]], device=model.get_input_embeddings().weight.device)
        out: Tensor = model(input_ids=ids, use_cache=False).logits[0]
        return out.float()


def _agree(merged: Tensor, expected: Tensor, dtype: torch.dtype) -> bool:
    """Whether these are the same logits, but for rounding."""
    slack = 1e-3 if dtype == torch.float32 else 0.25
    return bool((merged - expected).norm() <= slack * expected.norm())


def _named(keys: list[str]) -> str:
    bare = keys[0].removeprefix("base_model.model.").replace(f".{_ADAPTER}", "")
    return bare + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")


def _merge(adapted: Any) -> tuple[Any, float]:
    """The model with the adapter in its weights, and the share of its change that rounding to the model's dtype has left.

    Each layer is merged in float32. A weight that several modules share is copied for the one that the adapter is on,
    for it acts on none of the others.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    owners = Counter(id(p) for module in adapted.modules() for p in module.parameters(recurse=False))
    changes: list[tuple[float, float]] = []  # of each layer, what is left of its change and the whole, as squared norms

    def exactly(layer: Any, merge: Callable[..., None], *args: Any, **options: Any) -> None:
        base = layer.get_base_layer()
        for name, parameter in list(base.named_parameters(recurse=False)):
            if owners[id(parameter)] > 1:
                setattr(base, name, nn.Parameter(parameter.detach().clone(), requires_grad=False))
        weights = [p for p in base.parameters(recurse=False) if p.dtype in (torch.bfloat16, torch.float16)]
        before = [(p, p.detach().clone()) for p in weights]
        if weights:
            layer.float()
        merge(*args, **options)
        for parameter, old in before:
            change = parameter.detach() - old.float()
            parameter.data = parameter.data.to(old.dtype)
            left = parameter.detach().float() - old.float()
            changes.append((float((left * change).sum()), float((change * change).sum())))

    for layer in [module for module in adapted.modules() if isinstance(module, BaseTunerLayer) and hasattr(module, "merge")]:
        layer.merge = partial(exactly, layer, layer.merge)
    merged = adapted.merge_and_unload(safe_merge=True)
    left, whole = (sum(parts) for parts in zip(*changes, strict=True)) if changes else (0.0, 0.0)
    return merged, left / whole if whole else 1.0

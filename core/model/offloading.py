"""Weights that accelerate has put aside: on the meta device they look empty, their numbers wait in memory or on disk."""

from __future__ import annotations

from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn


def first_numbers(module: nn.Module, name: str, parameter: Tensor, count: int) -> Tensor:
    """The first `count` numbers of the matrix `parameter`, which is `module`'s own `name`, wherever they are.

    Of one on disk no more than a few rows are read: a fingerprint looks at every matrix of a model that fits nowhere.
    """
    if parameter.device.type != "meta":
        return parameter.detach().flatten()[:count]
    aside = _put_aside(module)
    if aside is None:
        return torch.zeros(0)
    dataset, key = getattr(aside, "dataset", None), getattr(aside, "prefix", "") + name
    place = getattr(dataset, "index", {}).get(key, {})
    if "safetensors_file" in place:
        with safe_open(place["safetensors_file"], framework="pt") as file:
            rows: Tensor = file.get_slice(place.get("weight_name", key))[:count]
            return rows.flatten()[:count]
    whole: Tensor = aside[name]
    return whole.flatten()[:count]


def execution_device(module: nn.Module, weight: Tensor) -> torch.device:
    """Where `module` computes, even when its `weight` has been put aside."""
    if weight.device.type != "meta":
        return weight.device
    for hook in _hooks(module):
        if getattr(hook, "execution_device", None) is not None:
            place = hook.execution_device
            return torch.device(f"cuda:{place}" if isinstance(place, int) else place)
    return torch.device("cpu")


def _put_aside(module: nn.Module) -> Any:
    return next((hook.weights_map for hook in _hooks(module) if getattr(hook, "weights_map", None) is not None), None)


def _hooks(module: nn.Module) -> list[Any]:
    hook = getattr(module, "_hf_hook", None)
    return list(getattr(hook, "hooks", [hook])) if hook is not None else []

"""A GPU for machines without one: tensors that say they are elsewhere, compute on the CPU, and refuse to be mixed with its
own as a GPU's do. What runs on them has forgotten no `.to(device)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_NAME = "simulated"
_setup_privateuseone_for_python_backend(_NAME)
GPU = torch.device(_NAME, 0)
# Copies between devices, and what an index may come from the CPU for.
_CROSSING = ("aten::copy_", "aten::_to_copy", "aten::index", "aten::index_put", "aten::index_put_")


class _OnGpu(Tensor):
    """Wraps the CPU tensor `inner`."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> _OnGpu:
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined,no-any-return]
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype, device=GPU,
            requires_grad=inner.requires_grad,
        )  # fmt: skip

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def __repr__(self, **_: Any) -> str:
        return f"on_gpu({self.inner!r})"

    def tolist(self) -> Any:
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = func._schema.name
    seen = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    ours = [t for t in seen if isinstance(t, _OnGpu)]
    strangers = [t for t in seen if not isinstance(t, _OnGpu) and t.dim() > 0]
    device = kwargs.get("device")
    to_gpu = device is not None and torch.device(device).type == _NAME
    if ours and strangers and name not in _CROSSING:
        raise RuntimeError(f"{name}: tensors on the GPU and on cpu: {[tuple(t.shape) for t in strangers]}")
    if name.startswith("aten::index") and ours and not isinstance(args[0], _OnGpu):
        raise RuntimeError(f"{name}: a tensor on cpu is indexed by one on the GPU")
    to_cpu = device is not None and torch.device(device).type == "cpu"
    stays = bool(ours) and not to_cpu
    if to_gpu:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if (stays or to_gpu) and any(isinstance(x, torch.Generator) and x.device.type == "cpu" for x in (*args, *kwargs.values())):
        raise RuntimeError(f"{name}: a tensor on the GPU is drawn by a generator on the CPU")
    if "pin_memory" in kwargs:
        kwargs = {**kwargs, "pin_memory": None}
    unwrapped = tree_map(lambda x: x.inner if isinstance(x, _OnGpu) else x, (args, kwargs))
    if name == "aten::histc":  # which takes whole numbers on a GPU alone
        whole = unwrapped[0][0]
        return _OnGpu(func(whole.float(), *unwrapped[0][1:], **unwrapped[1]).to(whole.dtype))
    out = func(*unwrapped[0], **unwrapped[1])
    if torch.Tag.inplace_view in func.tags:  # the wrapper has a shape of its own
        with no_dispatch():
            func(*args, **kwargs)
    if func._schema.is_mutable and name.endswith("_"):  # what was written to, copies included
        return args[0]
    if not (stays or to_gpu):
        return out
    known = {id(t.inner): t for t in ours}

    def wrapped(x: Any) -> Any:
        return x if not isinstance(x, Tensor) else known[id(x)] if id(x) in known else _OnGpu(x)

    return tree_map(wrapped, out)


class _Factories(TorchDispatchMode):
    """Makes new tensors where they are asked for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _FromNumbers(TorchFunctionMode):
    """Numbers are made tensors behind the dispatcher's back; so they are on the CPU here, and copied."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        device = kwargs.get("device")
        if func in (torch.tensor, torch.as_tensor) and device is not None and torch.device(device).type == _NAME:
            return func(*args, **{**kwargs, "device": "cpu"}).to(GPU)
        if func is Tensor.new_tensor and isinstance(args[0], _OnGpu):
            return torch.tensor(args[1], dtype=kwargs.get("dtype", args[0].dtype)).to(GPU)
        if func is Tensor.__getitem__ and isinstance(args[0], _OnGpu):
            places = args[1] if isinstance(args[1], tuple) else (args[1],)
            return func(
                args[0],
                tuple(torch.tensor(at, dtype=None if at else torch.long) if isinstance(at, list) else at for at in places),
            )
        return func(*args, **kwargs)


@contextmanager
def simulated_gpu() -> Iterator[torch.device]:
    """While this is entered, `GPU` can be used as a device."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # or a module's parameters would stay the CPU's
    try:
        with _Factories(), _FromNumbers():
            yield GPU
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)

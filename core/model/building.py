"""A model as it is built from its config, held to the weights that its files have: a config may claim any size.

Every module and parameter passes here as it is made, so that a building without end is stopped where it leaves reason, and
one that the user gives up ends at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor
from torch.nn.modules import module as modules

from core.errors import ModelError

# A number takes a quarter of a byte on disk at least; some architectures build what their files hold once several times.
_NUMBERS_A_BYTE = 8
# Beyond what the weights allow: heads that are tied, norms and masks.
_SPARE_NUMBERS = 1 << 24
_MOST_OF_BUFFERS = 1 << 31
_MOST_MODULES = 300_000
_ASK_AFTER = 200  # modules


@contextmanager
def held_to(
    name: str, weight_bytes: int, ask: Callable[[], None] = lambda: None, config: str = "config.json"
) -> Iterator[None]:
    """Stops the building, in this thread, of a model that is called `name` and has `weight_bytes` of weights, once it has many
    more. `ask` is called now and then, and may raise Cancelled. Raises ModelError."""
    own, most = threading.get_ident(), _NUMBERS_A_BYTE * weight_bytes + _SPARE_NUMBERS
    seen = {"modules": 0, "numbers": 0, "buffers": 0}

    def refuse(what: str) -> None:
        there = f"{weight_bytes / 2**20:,.0f} MiB"
        raise ModelError(
            f"{name} cannot be built: its {config} asks for {what}, and its files hold {there} of weights",
            f"a size in {config} is wrong, or it is another model's: fetch it again",
        )

    def module(parent: Any, key: str, child: Any) -> None:
        if threading.get_ident() != own:
            return
        seen["modules"] += 1
        if seen["modules"] % _ASK_AFTER == 0:
            ask()
        if seen["modules"] > _MOST_MODULES:
            refuse(f"more than {_MOST_MODULES:,} modules")

    def parameter(parent: Any, key: str, value: Any) -> None:
        if isinstance(value, Tensor) and threading.get_ident() == own:
            seen["numbers"] += value.numel()
            if seen["numbers"] > most:
                refuse(f"{seen['numbers']:,} weights and more")

    def buffer(parent: Any, key: str, value: Any) -> None:
        if isinstance(value, Tensor) and threading.get_ident() == own:
            seen["buffers"] += value.numel()
            if seen["buffers"] > _MOST_OF_BUFFERS:
                refuse(f"{seen['buffers']:,} numbers beside its weights, {key} among them")

    with ExitStack() as stack:
        stack.callback(modules.register_module_module_registration_hook(module).remove)
        stack.callback(modules.register_module_parameter_registration_hook(parameter).remove)
        stack.callback(modules.register_module_buffer_registration_hook(buffer).remove)
        yield

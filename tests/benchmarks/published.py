"""The published MELBO loop, written anew from its description for comparison: the whole model, one vector, every step.

Theta is added to the source block's output on all positions; the loss is -(sum of ||D_t||^2)^(1/2) over the last tokens
of the target block's output; AdamW lr 1e-3, betas (0.9, 0.98), amsgrad; the gradient is projected off theta, and theta
is brought back to norm R after each step.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from core.model.blocks import hidden_of, with_hidden


def train(model: Any, ids: torch.Tensor, blocks: Any, source: int, target: int, start: torch.Tensor, radius: float, steps: int,
          tokens: int) -> tuple[torch.Tensor, float, list[float]]:  # fmt: skip
    """Trains one vector; gives it, its final objective and the seconds of each step."""
    seen: dict[str, torch.Tensor] = {}
    theta = (start / start.norm() * radius).requires_grad_()
    on = {"steer": False}

    def steer(module: Any, args: Any, output: Any) -> Any:
        return with_hidden(output, hidden_of(output) + theta.to(hidden_of(output).dtype)) if on["steer"] else output

    def watch(module: Any, args: Any, output: Any) -> None:
        seen["target"] = hidden_of(output)

    handles = [blocks[source].register_forward_hook(steer), blocks[target].register_forward_hook(watch)]
    try:
        with torch.no_grad():
            model(ids)
        base = seen["target"]
        on["steer"] = True
        optimizer = torch.optim.AdamW([theta], lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0, amsgrad=True)
        seconds = []
        objective = 0.0
        for _ in range(steps):
            began = time.perf_counter()
            optimizer.zero_grad()
            model(ids)
            loss = -(seen["target"] - base)[:, -tokens:].float().square().sum().sqrt()
            loss.backward()  # type: ignore[no-untyped-call]
            objective = -float(loss.detach())
            with torch.no_grad():
                assert theta.grad is not None
                unit = theta / theta.norm()
                theta.grad -= (theta.grad @ unit) * unit
            optimizer.step()
            with torch.no_grad():
                theta.mul_(radius / theta.norm())
            seconds.append(time.perf_counter() - began)
        return theta.detach(), objective, seconds
    finally:
        for handle in handles:
            handle.remove()

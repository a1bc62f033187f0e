"""Products of a few rows with a large matrix, which is what decoding on a CPU is made of, by the faster way round.

x W^T of one to four rows is a product that MKL, which torch uses on a CPU, gives to a single core, and is slow at; W x^T, the
same numbers, it shares among all. One or two answers come 1.6 to 3.5 times as fast (docs/performance.md).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Beyond, the usual way is as fast.
_MOST_ROWS = 32


class ThinLinear(nn.Linear):
    """A linear layer that multiplies a token each of few rows the other way round. Made of a linear layer in place, by `thin`.

    A prompt is multiplied as ever: what a search sees of it must be rounded alike, whether gradients are asked for or not.
    """

    def forward(self, input: Tensor) -> Tensor:
        rows = input.numel() // input.shape[-1]
        decoding = input.shape[-2:-1] == (1,) and not torch.is_grad_enabled()
        if not decoding or not 1 <= rows <= _MOST_ROWS:
            return super().forward(input)
        few = input.reshape(rows, -1)
        # One row alone would be a matrix with a vector, which a single core does, too.
        product = torch.mm(self.weight, (few if rows > 1 else few.repeat(2, 1)).T)[:, :rows]
        output = product.T.contiguous()
        if self.bias is not None:
            output += self.bias
        return output.view(*input.shape[:-1], -1)


def thin(model: nn.Module) -> None:
    """Makes the plain linear layers of a float32 model on a CPU multiply few rows the faster way."""
    for module in model.modules():
        plain = type(module) is nn.Linear and not hasattr(module, "_hf_hook")  # accelerate brings weights by its own forward
        if plain and module.weight.device.type == "cpu" and module.weight.dtype == torch.float32:
            module.__class__ = ThinLinear

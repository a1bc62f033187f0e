"""Products of a few rows with a large matrix, which is what decoding on a CPU is made of, by the faster way round.

x W^T of one to four rows is a product that MKL, which torch uses on a CPU, gives to a single core, and is slow at; W x^T, the
same numbers, it shares among all. It makes sixteen columns at a time, and takes longer for a rest of them than for all sixteen.
One or two answers come 1.6 to 3.5 times as fast so, eleven to fifteen 1.3 to 2 times (docs/performance.md).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Beyond, the usual way is as fast.
_MOST_ROWS = 64
_AT_A_TIME = 16
# A rest of so many columns is still made sooner than all sixteen: alone, and beside whole ones.
_SMALL_ALONE, _SMALL_BESIDE = 9, 4


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
        few = nn.functional.pad(few, (0, 0, 0, columns_for(rows) - rows))
        product = torch.mm(self.weight, few.T)[:, :rows]
        output = product.T.contiguous()
        if self.bias is not None:
            output += self.bias
        return output.view(*input.shape[:-1], -1)


def columns_for(rows: int) -> int:
    """How many columns so many rows are made with, the quickest number that is enough."""
    if rows == 1:
        return 2  # a matrix with a vector is left to a single core, too
    rest = rows % _AT_A_TIME
    small = _SMALL_ALONE if rows < _AT_A_TIME else _SMALL_BESIDE
    return rows if rest <= small else rows - rest + _AT_A_TIME


def thin(model: nn.Module) -> None:
    """Makes the plain linear layers of a float32 model on a CPU multiply few rows the faster way."""
    for module in model.modules():
        plain = type(module) is nn.Linear and not hasattr(module, "_hf_hook")  # accelerate brings weights by its own forward
        if plain and module.weight.device.type == "cpu" and module.weight.dtype == torch.float32:
            module.__class__ = ThinLinear

"""Projections that discovery methods share. Rows are vectors: [n, d_model]."""

from __future__ import annotations

import torch
from torch import Tensor

_NORM_FLOOR = 1e-12


def unit(rows: Tensor) -> Tensor:
    """Rows scaled to norm 1; a zero row stays zero."""
    norms: Tensor = rows.norm(dim=-1, keepdim=True)
    return rows / norms.clamp_min(_NORM_FLOOR)


def orthonormal(rows: Tensor) -> Tensor:
    """Orthonormal rows with the span of `rows` [k, d_model], k <= d_model."""
    columns: Tensor = torch.linalg.qr(rows.T)[0]
    return columns.T.contiguous()


class Basis:
    """A growing set of orthonormal rows [k, d_model], and projections off its span.

    Kept and applied in float64: hundreds of float32 projections one after another would leave cosines of 1e-5, and a whole
    family needs 1e-6.
    """

    def __init__(self, rows: Tensor) -> None:
        # MPS has no float64, and these products are small beside the blocks' own.
        self._place = torch.device("cpu") if rows.device.type == "mps" else rows.device
        self.rows = torch.zeros(0, rows.shape[-1], dtype=torch.float64, device=self._place)
        self.extend(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def extend(self, rows: Tensor) -> None:
        """Adds `rows`, each made orthonormal to all before it; zero rows add nothing."""
        fresh = unit(self._in_order(rows))
        self.rows = torch.cat([self.rows, fresh[fresh.norm(dim=-1) > 0.5]])

    def off(self, rows: Tensor) -> Tensor:
        """`rows` without their components in the span."""
        return self._off(rows.to(self._place, torch.float64)).to(rows)

    def in_order(self, rows: Tensor) -> Tensor:
        """Each row projected off the span and off all rows before it (Gram-Schmidt).

        What a row keeps depends on no later row, so a block of vectors means what the same vectors found one by one mean.
        """
        return self._in_order(rows).to(rows)

    def _off(self, rows: Tensor) -> Tensor:
        if not len(self.rows):
            return rows
        for _ in range(2):  # a second pass removes what the first one's rounding left
            rows = rows - (rows @ self.rows.T) @ self.rows
        return rows

    def _in_order(self, rows: Tensor) -> Tensor:
        left = self._off(rows.to(self._place, torch.float64))
        before = left.norm(dim=-1)
        kept = torch.zeros_like(left)
        for i in range(len(left)):
            row = left[i]
            for _ in range(2):
                row = row - (unit(kept[:i]) @ row) @ unit(kept[:i])
            # A row that lay in the others' span is rounding noise now, and noise is no direction.
            kept[i] = torch.where(row.norm() > 1e-9 * before[i], row, torch.zeros_like(row))
        return kept

"""Projections that discovery methods share. Rows are vectors: [n, d_model]."""

from __future__ import annotations

import torch
from torch import Tensor

_NORM_FLOOR = 1e-12
_NOISE, _JITTER = 1e-6, 1e-15


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
        # Row by row, whatever else is in the batch, rounds alike: on a CPU a run that is resumed ends bit for bit the same.
        return row_by_row(left) if left.device.type == "cpu" else all_at_once(left)


def row_by_row(rows: Tensor) -> Tensor:
    """Gram-Schmidt on float64 `rows` [n, d_model]: each without its components along those before it.

    A row that lies in the others' span is rounding noise, which is no direction: it becomes zero.
    """
    before = rows.norm(dim=-1)
    kept = torch.zeros_like(rows)
    for i in range(len(rows)):
        row = rows[i]
        for _ in range(2):
            row = row - (unit(kept[:i]) @ row) @ unit(kept[:i])
        kept[i] = torch.where(row.norm() > 1e-9 * before[i], row, torch.zeros_like(row))
    return kept


def all_at_once(rows: Tensor) -> Tensor:
    """What `row_by_row` gives, in a dozen kernels instead of a dozen a row, which a GPU would spend its time on launching.

    By the Cholesky factor L of the rows' inner products, twice over, for once leaves more of a component the more nearly rows
    depend on each other: row i of L^-1 rows is what it keeps, at norm 1, and L_ii its norm.
    """
    noise = _cholesky(rows).diagonal() < _NOISE * rows.norm(dim=-1)
    rows = torch.where(noise[:, None], 0.0, rows)
    for _ in range(2):
        factor = _cholesky(rows)
        directions = torch.linalg.solve_triangular(factor, rows, upper=False)
        rows = torch.where(rows.norm(dim=-1, keepdim=True) > 0, factor.diagonal()[:, None] * directions, 0.0)
    return rows


def _cholesky(rows: Tensor) -> Tensor:
    """The lower factor [n, n] of the rows' inner products; a zero row counts as one of norm 1 that is orthogonal to all."""
    products = rows @ rows.T
    scale = products.diagonal()
    lifted = torch.where(scale > 0, scale * _JITTER, 1.0)  # or rounding might leave a dependent row's square below zero
    factor: Tensor = torch.linalg.cholesky_ex(products + lifted.diag())[0]
    return factor

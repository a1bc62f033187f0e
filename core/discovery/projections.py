"""Projections that discovery methods share. Rows are vectors: [n, d_model]."""

from __future__ import annotations

import torch
from torch import Tensor

_NORM_FLOOR = 1e-12


def unit(rows: Tensor) -> Tensor:
    """Rows scaled to norm 1; a zero row stays zero."""
    norms: Tensor = rows.norm(dim=-1, keepdim=True)
    return rows / norms.clamp_min(_NORM_FLOOR)


def project_off(rows: Tensor, basis: Tensor | None) -> Tensor:
    """`rows` without their components along `basis` [k, d_model], whose rows are orthonormal."""
    if basis is None or not len(basis):
        return rows
    return rows - (rows @ basis.T) @ basis


def orthogonal_in_order(rows: Tensor, basis: Tensor | None = None) -> Tensor:
    """Each row projected off `basis` and off all rows before it (Gram-Schmidt, done twice so that rounding leaves nothing).

    What a row keeps depends on no later row, so a block of vectors means what the same vectors found one by one mean.
    """
    kept = torch.zeros_like(rows)
    done = basis if basis is not None and len(basis) else rows.new_zeros(0, rows.shape[-1])
    for i, row in enumerate(rows):
        left = project_off(project_off(row[None], done), done)
        kept[i] = left[0]
        done = torch.cat([done, unit(left)])
    return kept

"""Limited-memory BFGS for a batch of rows at once, each with its own curvature and its own trust radius.

Rows that are projected after every step move a little by themselves, so a loss may rise by a hair and still be accepted.
"""

from __future__ import annotations

import torch
from torch import Tensor

_MEMORY = 20
_SLACK = 1.05
_GROW, _SHRINK = 1.5, 0.5


class LBFGS:
    """`step` turns the losses and gradients at the last proposed rows into the next rows to evaluate.

    Its state is the tensors in `state_names`: the best rows with their gradients and losses, the trust radii [n], and the
    last differences of rows and of gradients, [n, memory, d], the newest at the end. Rows may join and leave.
    """

    state_names = ("best", "gradient", "loss", "trust", "moves", "turns")

    def __init__(self, rows: Tensor, trust: float) -> None:
        self.best = rows
        self.gradient = torch.zeros_like(rows)
        self.loss = rows.new_full((len(rows),), torch.inf)
        self.trust = torch.full_like(self.loss, trust)
        self.moves = rows.new_zeros(len(rows), _MEMORY, rows.shape[1])
        self.turns = torch.zeros_like(self.moves)

    def join(self, other: LBFGS) -> None:
        """The rows of `other` stand behind these from here on."""
        for name in self.state_names:
            setattr(self, name, torch.cat([getattr(self, name), getattr(other, name)]))

    def leave(self, count: int) -> None:
        """Drops the first `count` rows."""
        for name in self.state_names:
            setattr(self, name, getattr(self, name)[count:])

    def step(self, rows: Tensor, loss: Tensor, gradient: Tensor) -> Tensor:
        """Takes in what was found at `rows` [n, d] and gives the next rows, not yet projected.

        A row whose loss rose goes back to its best and tries half as far as it went; one whose loss is not finite does so too.
        """
        first = self.loss.isinf()
        fell = loss <= self.loss * _SLACK
        move = rows - self.best
        self._remember(move, gradient - self.gradient, fell & ~first)
        moved = move.norm(dim=-1)
        trust = torch.where(fell, torch.maximum(self.trust, moved * _GROW), moved * _SHRINK)
        self.trust = torch.where(first, self.trust, trust)
        self.keep(rows, loss, gradient)
        newton = -self._newton(self.gradient)
        length = newton.norm(dim=-1, keepdim=True)
        proposed: Tensor = self.best + newton * (self.trust[:, None] / length.clamp_min(1e-12)).clamp_max(1.0)
        return proposed

    def keep(self, rows: Tensor, loss: Tensor, gradient: Tensor) -> None:
        """Takes over the rows whose loss did not rise."""
        fell = loss <= self.loss * _SLACK
        self.best = torch.where(fell[:, None], rows, self.best)
        self.gradient = torch.where(fell[:, None], gradient, self.gradient)
        self.loss = torch.where(fell, loss, self.loss * _SLACK)

    def _remember(self, move: Tensor, turn: Tensor, useful: Tensor) -> None:
        """Keeps the differences of rows that fell along a direction of positive curvature; the others' count as none."""
        curvature = (move * turn).sum(dim=-1)
        useful = useful & (curvature > 1e-6 * move.norm(dim=-1) * turn.norm(dim=-1))
        fresh = [torch.where(useful[:, None], part, torch.zeros_like(part))[:, None] for part in (move, turn)]
        self.moves, self.turns = (
            torch.cat([kept[:, 1:], new], dim=1) for kept, new in zip((self.moves, self.turns), fresh, strict=True)
        )

    def _newton(self, gradient: Tensor) -> Tensor:
        """The inverse Hessian that the differences tell of, times `gradient`, in its compact form (Byrd, Nocedal and Schnabel,
        1994), which takes a few products of matrices where the two-loop recursion takes hundreds of vectors'.

        With S the moves and Y the turns, H = g I + [S gY] [[R^-T (D + g Y'Y) R^-1, -R^-T], [-R^-1, 0]] [S gY]', where R is the
        upper triangle of S'Y, D its diagonal, and g the newest pair's curvature.
        """
        exact = torch.float32 if gradient.device.type == "mps" else torch.float64
        moves, turns, g = self.moves.to(exact), self.turns.to(exact), gradient.to(exact)[..., None]
        products = moves @ turns.transpose(1, 2)
        curvature = products.diagonal(dim1=1, dim2=2)
        known = curvature > 0
        # A pair that counts as none is a zero row of S and Y, and takes no part.
        upper = products.triu() + torch.diag_embed((~known).to(exact))
        newest = known.shape[1] - 1 - known.flip(1).to(torch.int8).argmax(dim=1, keepdim=True)
        sizes = turns.square().sum(dim=-1)
        scale = (curvature.gather(1, newest) / sizes.gather(1, newest).clamp_min(1e-30))[..., None]
        # Before any curvature is known the trust radius alone says how far to go.
        scale = torch.where(known.any(dim=1)[:, None, None], scale, 1e9)
        along = torch.linalg.solve_triangular(upper, moves @ g, upper=True)
        inner = curvature[..., None] * along + scale * (turns @ (turns.transpose(1, 2) @ along) - turns @ g)
        back = torch.linalg.solve_triangular(upper.transpose(1, 2), inner, upper=False)
        product: Tensor = scale * (g - turns.transpose(1, 2) @ along) + moves.transpose(1, 2) @ back
        return product[..., 0].to(gradient)

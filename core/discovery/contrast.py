"""Difference of means between two sets of prompts, and the recipe by which Arditi et al. (2024) choose a refusal direction.

The vector is the mean residual, at a block's output and a position counted from the prompt's end, over the positive prompts
minus that over the negative ones. With `select`, every block below 0.8 of the depth and each of the last `positions`
positions is a candidate, judged on held-out prompts: ablating it at every block should make the positive prompts answered as
the negative ones are, adding it should make the negative prompts answered as the positive ones are, and ablating it
should change little (KL) on the negative prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

import torch
from torch import Tensor

from core.discovery.declarations.contrast import Settings
from core.discovery.optimisation import Batch, Event, Found, Job, Step
from core.discovery.projections import unit
from core.errors import SettingsError
from core.memory.halving import RowsAtOnce
from core.model.float32_arithmetic import float32_arithmetic
from core.model.language_model import LanguageModel
from core.model.prompts import prompt_ids
from core.steering.divergence import divergence
from core.steering.hooks import changed_output, recorded

_DEEPEST = 0.8
_MOST_KL = 0.2
_MOST_TELLING = 8


def find(job: Job) -> Iterator[Event]:
    """One vector: the difference at the source block, or the best candidate (facts `block` and `position` say which)."""
    settings: Settings = job.settings
    if job.done:
        return
    sets = [
        [prompt_ids(job.model, replace(job.like, text=text, ids=())) for text in texts]
        for texts in (settings.positive, settings.negative)
    ]
    if settings.select:
        yield from job.run(_Selection(job, *sets))
        return
    means = [mean_residuals(job.model, prompts, settings.position) for prompts in sets]
    vector = (means[0] - means[1])[settings.source, -settings.position][None]
    yield Found(0, _sized(vector, job.radius), vector.norm(dim=-1), -vector.norm(dim=-1)[:, None])


def mean_residuals(model: LanguageModel, prompts: Sequence[Sequence[int]], positions: int) -> Tensor:
    """The mean over prompts of every block's output at the last `positions` tokens, [blocks, positions, d_model] float32."""
    total = torch.zeros(len(model.blocks), positions, model.d_model, device=model.device)
    for ids in prompts:
        if len(ids) < positions:
            raise SettingsError(f"a prompt of {len(ids)} tokens has no position {positions} from its end")
        with ExitStack() as stack, torch.no_grad(), float32_arithmetic(model):
            seen = [stack.enter_context(recorded(block)) for block in model.blocks]
            model.run_blocks(model.ids_tensor(ids))
        total += torch.stack([outputs[0][0, -positions:].float().to(model.device) for outputs in seen])
    return total / len(prompts)


class _Selection(Batch):
    """A step judges some candidates on all held-out prompts."""

    state_names = ("scores",)

    def __init__(self, job: Job, positive: list[tuple[int, ...]], negative: list[tuple[int, ...]]) -> None:
        settings: Settings = job.settings
        self.model, self.radius, self.batch = job.model, job.radius, settings.batch
        self._at_once = RowsAtOnce(self.batch, relieve=self.model.fixed_shapes.clear)
        # A quarter of each set, but one at least, is kept for the judging.
        kept = [max(len(prompts) // 4, 1) for prompts in (positive, negative)]
        self.held = (positive[: kept[0]], negative[: kept[1]])
        means = [mean_residuals(self.model, p[k:], settings.positions) for p, k in zip((positive, negative), kept, strict=True)]
        depth = max(int(_DEEPEST * len(self.model.blocks)), 1)
        self.candidates = (means[0] - means[1])[:depth].flatten(0, 1)
        self.places = [(block, settings.positions - p) for block in range(depth) for p in range(settings.positions)]
        super().__init__(0, -(-len(self.candidates) // self.batch))
        self.plain = [torch.stack([self._logits(ids)[0] for ids in prompts]) for prompts in self.held]
        self.telling = telling_tokens(*self.plain)
        self.scores = torch.full((len(self.candidates), 3), torch.inf, device=self.model.device)

    def advance(self) -> Step:
        rows = slice(self.step * self.batch, min((self.step + 1) * self.batch, len(self.candidates)))
        vectors = self.candidates[rows]
        blocks = [block for block, _ in self.places[rows]]
        judged = self._at_once.run(len(vectors), lambda some: self._judged(vectors[some], blocks[some]))
        self.scores[rows] = torch.cat(judged)
        self.step += 1
        best = self._ranking()[self._best()]
        shown = torch.zeros(1, device=best.device)
        return Step(0, self.step - 1, self.steps, best[None], shown, vectors.norm(dim=-1).mean()[None])

    def _judged(self, vectors: Tensor, blocks: list[int]) -> Tensor:
        """The scores [n, 3] of candidates `vectors` [n, d_model] of `blocks`."""
        ablated = [self._logits(ids, ablate=vectors) for ids in self.held[0]]
        added = [self._logits(ids, add=(vectors, blocks)) for ids in self.held[1]]
        harmed = [self._logits(ids, ablate=vectors) for ids in self.held[1]]
        kl = torch.stack([divergence(plain, steered) for plain, steered in zip(self.plain[1], harmed, strict=True)])
        return torch.stack([self._told(ablated), self._told(added), kl.mean(dim=0)], dim=1)

    def found(self) -> Found:
        best = self._best()
        block, position = self.places[best]
        scores = self.scores[best]
        facts = {"block": block, "position": position, "ablation": scores[0], "addition": scores[1], "kl": scores[2]}
        vector = self.candidates[best][None]
        value = self._ranking()[best][None]
        told = {name: torch.as_tensor(fact, dtype=torch.float32).cpu()[None] for name, fact in facts.items()}
        return Found(0, _sized(vector, self.radius), value, -value[:, None], told)

    def _ranking(self) -> Tensor:
        """The higher the better: how far ablation lowers, and addition raises, the odds of a positive prompt's answer.

        Candidates that addition does not move, or that harm the negative prompts, stand far below all others.
        """
        ablation, addition, kl = self.scores.unbind(dim=1)
        before = [self._told([plain[None] for plain in part]) for part in self.plain]
        unfit = (addition <= before[1]) | (kl > _MOST_KL)
        value = (before[0] - ablation) - 1e3 * unfit.float()
        return torch.where(value.isfinite(), value, torch.full_like(value, -1e6))

    def _best(self) -> int:
        return int(self._ranking().argmax())

    def _told(self, logits: Sequence[Tensor]) -> Tensor:
        """The mean over prompts of the log odds that the answer begins with a telling token, [candidates]."""
        odds = []
        for each in logits:
            share = torch.softmax(each, dim=-1)[:, self.telling].sum(dim=-1).clamp(1e-6, 1 - 1e-6)
            odds.append(torch.log(share) - torch.log1p(-share))
        return torch.stack(odds).mean(dim=0)

    def _logits(self, ids: Sequence[int], ablate: Tensor | None = None, add: tuple[Tensor, list[int]] | None = None) -> Tensor:
        """Logits [rows, vocab] after `ids`, each row with a direction of its own ablated everywhere, or added at a block."""
        rows = 1 if ablate is None and add is None else len(ablate if ablate is not None else add[0])  # type: ignore[index]
        with ExitStack() as stack, float32_arithmetic(self.model):
            for i, block in enumerate(self.model.blocks):
                if ablate is not None:
                    direction = unit(ablate)[:, None]
                    stack.enter_context(changed_output(block, lambda h, d=direction: _without(h, d)))  # type: ignore[misc]
                elif add is not None and i in add[1]:
                    here = torch.tensor([b == i for b in add[1]], device=self.model.device)
                    added = (add[0] * here[:, None])[:, None]
                    stack.enter_context(changed_output(block, lambda h, p=added: h + p.to(h.device, h.dtype)))  # type: ignore[misc]
            logits, _ = self.model.forward(self.model.ids_tensor(ids, rows))
        return logits


def telling_tokens(positive: Tensor, negative: Tensor) -> Tensor:
    """Ids of the few tokens that answers to the positive prompts begin with far more often, from logits [prompts, vocab]."""
    difference = torch.softmax(positive, dim=-1).mean(dim=0) - torch.softmax(negative, dim=-1).mean(dim=0)
    top = difference.topk(min(_MOST_TELLING, len(difference)))
    return top.indices[top.values >= 0.1 * top.values[0]]


def _without(hidden: Tensor, direction: Tensor) -> Tensor:
    d = direction.to(hidden.device)
    left: Tensor = hidden.float() - (hidden.float() * d).sum(dim=-1, keepdim=True) * d
    return left.to(hidden.dtype)


def _sized(vector: Tensor, radius: float | None) -> Tensor:
    return vector if radius is None else radius * unit(vector)

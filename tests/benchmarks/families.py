"""An orthogonal family off a code vector, beside the published sequential loop: time, loss, what the vectors write.

    python -m tests.benchmarks.families --model FOLDER [--vectors 64] [--match mean --tokens all] [--published 1 49]

The published loop (the whole model, one vector, Adam, 1,000 steps) is timed over 20 steps. What it reaches is taken at the
places in the family that --published names, by our `adam`, which the golden data hold to it (it replays the blocks only), on
the same loss and norm penalty. *Lowered* is what both lower, loss and penalty, as a share of what no vector at all leaves.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import torch
from torch import Tensor

from core.discovery import melbo, ortho
from core.discovery.base_effect_loss import BaseEffectLoss
from core.discovery.method import PRECISIONS
from core.discovery.objective import Objective, Problem
from core.discovery.optimisation import Ended, Found, Job
from core.discovery.projections import unit
from core.model.language_model import LanguageModel
from core.model.mixed_precision import precision_of
from core.segment.objective_tokens import parse_tokens
from core.segment.segment import Segment
from core.steering.generation import Row, Sampling, generate
from core.steering.terms import SteerTerm
from tests.benchmarks import published
from tests.benchmarks.setting import setting
from vectors.vector import Origin, SteeringVector

CODE = ("import ", "class ", "def ", "```", "public ", "#include", "function", "const ", "{", "struct")
STEPS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--vectors", type=int, default=64)
    parser.add_argument("--controls", type=int, default=64)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int, default=ortho.Settings.batch)
    parser.add_argument("--penalty", type=float)
    parser.add_argument("--match", default="tokens", choices=["tokens", "mean"])
    parser.add_argument("--tokens", default="last:6")
    parser.add_argument("--precision", default="auto", choices=PRECISIONS)
    parser.add_argument("--published", type=int, nargs="*", default=[])
    args = parser.parse_args()
    model, ids, source, target = setting(args.model)
    base = code_vector(model, ids, source, target)

    tokens = parse_tokens(args.tokens)
    settings = ortho.Settings(args.steps, args.batch, match=args.match, norm_penalty=args.penalty)
    precision = precision_of(model, args.precision, settings.bears_bfloat16)
    problem = Problem([Segment(model, ids, source, target)], Objective(tokens=tokens)).in_precision(precision)
    draws = torch.randn(args.vectors, model.d_model, generator=torch.Generator().manual_seed(0))
    job = Job(problem, draws, settings, model, base=base)
    told = f"match {args.match}, tokens {args.tokens}, penalty {settings.penalty:g}, in {precision}"
    print(f"{settings.step_count} steps, {settings.batch} at once, {told}")
    size = float(BaseEffectLoss(problem, base.to(model.device), args.match).size)
    vectors, shares = torch.zeros(0, model.d_model), torch.zeros(0)

    def lowered(share: Tensor, vector: Tensor) -> Tensor:
        return (1 - share).square() + 2 * settings.penalty * vector.norm(dim=-1) / size

    def tell(first: int) -> None:
        some, matched = vectors[first:], shares[first:]
        loss, norm = float(1 - matched.mean()), float(some.norm(dim=-1).mean())
        low = float(lowered(matched, some).mean())
        print(f"  {first + 1:4} to {len(vectors):4}: loss {loss:.3f}, norm {norm:.1f}, lowered to {low:.3f}", flush=True)

    began, told_to = time.perf_counter(), 0
    for event in ortho.find(job):
        if isinstance(event, Found):
            good = [row for row in range(len(event.vectors)) if not event.cause(row)]
            vectors, shares = torch.cat([vectors, event.vectors[good].cpu()]), torch.cat([shares, event.objective[good].cpu()])
            if len(vectors) - told_to >= 16:
                tell(told_to)
                told_to = len(vectors)
        elif isinstance(event, Ended):
            print("  ended:", event.reason)
    ours = (time.perf_counter() - began) / len(vectors)
    if told_to < len(vectors):
        tell(told_to)
    norms = vectors.norm(dim=-1)
    everything = unit(torch.cat([base[None], vectors]).double())
    cosine = float((everything @ everything.T - torch.eye(len(everything))).abs().max())
    print(f"a vector                 {ours:8.2f} s   greatest |cosine| of any two {cosine:.1e}")

    _, _, step_seconds = published.train(
        model.model, model.ids_tensor(ids), model.blocks, source, target, draws[0].to(model.device), 7.0, 20, 6
    )
    theirs = statistics.median(step_seconds) * STEPS
    print(f"published, a vector      {theirs:8.1f} s   ({theirs / ours:.0f} times as long)")

    def reached(vector: Tensor, share: Tensor) -> str:
        return f"lowered to {float(lowered(share, vector)):.3f} (loss {float(1 - share):.3f}, norm {float(vector.norm()):.1f})"

    for place in args.published:
        adam = replace(settings, optimizer="adam", batch=1, steps=STEPS, norm_penalty=settings.penalty)
        one = Job(problem, draws[place - 1][None], adam, model, base=base, earlier=vectors[: place - 1])
        (found,) = [event for event in ortho.find(one) if isinstance(event, Found)]
        print(f"  vector {place}: published {reached(found.vectors[0].cpu(), found.objective[0].cpu())}")
        print(f"  {'':{len(str(place)) + 6}}  ours      {reached(vectors[place - 1], shares[place - 1])}", flush=True)

    if not model.has_tokenizer:
        return
    random = unit(torch.randn(args.controls, model.d_model, generator=torch.Generator().manual_seed(5))) * norms.median()
    for name, shown in (("the family", vectors), (f"random at norm {float(norms.median()):.1f}", random)):
        writes = [writes_code(text) for text in answers(model, ids, source, shown)]
        first = f", {sum(writes[:64])} of the first 64" if len(writes) > 64 else ""
        print(f"{name}: {sum(writes)} of {len(writes)} write code ({sum(writes) / len(writes):.0%}){first}")


def code_vector(model: LanguageModel, ids: list[int], source: int, target: int) -> Tensor:
    """The first of 16 orthogonal MELBO vectors of norm 7 under which the answer begins with code; of a model without a
    tokenizer, the first.
    """
    problem = Problem([Segment(model, ids, source, target)], Objective())
    draws = torch.randn(16, model.d_model, generator=torch.Generator().manual_seed(0))
    found = melbo.find(Job(problem, draws, melbo.Settings(12, orthogonal=True), model, 7.0))
    vectors = torch.cat([event.vectors for event in found if isinstance(event, Found)]).cpu()
    if not model.has_tokenizer:
        return vectors[0]
    texts = answers(model, ids, source, vectors)
    best = next((i for i, text in enumerate(texts) if text.strip().startswith(("class ", "import ", "def ", "```"))), None)
    if best is None:
        raise SystemExit("none of the base vectors writes code: " + " | ".join(text[:40] for text in texts))
    print(f"base vector: {texts[best][:60]!r}")
    return vectors[best]


def answers(model: LanguageModel, ids: list[int], source: int, vectors: Tensor) -> list[str]:
    """The completion under each vector: 24 tokens, greedily."""
    origin = Origin("benchmark", model.stamp, source)
    completions = {}
    for first in range(0, len(vectors), 16):
        rows = [
            Row(
                str(i),
                tuple(ids),
                (SteerTerm(SteeringVector(vectors[i].numpy(), source, origin)),),
                Sampling(max_new_tokens=24),
            )
            for i in range(first, min(first + 16, len(vectors)))
        ]
        for chunks in generate(model, rows):
            completions.update({key: one.text for key, one in chunks.items()})
    return [completions[str(i)] for i in range(len(vectors))]


def writes_code(text: str) -> bool:
    return any(word in text for word in CODE)


if __name__ == "__main__":
    main()

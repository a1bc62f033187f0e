"""How long a token of an answer takes, for so many rows at once: as torch's linear layers do it, and as ours do; then steered.

    python -m tests.benchmarks.decoding [--model M] [--tokens 24]

Two rows are the Chat pane's: the model as it is and steered. A run samples eight vectors at once, sixteen rows. What steers
is timed token by token in turns, so that other work on the machine falls on all alike.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import nn

from core.model.language_model import LanguageModel
from core.model.small_batch_linear import ThinLinear, thin
from core.steering.hooks import RowSteering
from core.steering.terms import SteerGate, Steering, SteerTerm
from tests.benchmarks.setting import setting
from tests.core.steering.seeded import seeded_vector
from vectors.expression import Blocks, Tokens

ROWS = (1, 2, 4, 8, 12, 16, 32)
STEERED_ROWS = (1, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--tokens", type=int, default=24)
    args = parser.parse_args()
    model, ids, _, _ = setting(args.model)
    print(f"model {model.stamp.name}, {model.device}, {torch.get_num_threads()} threads; ms a token, median of {args.tokens}")
    print("rows    torch's     ours")
    for rows in ROWS:
        theirs, ours = [], []
        for _ in range(2):  # in turns, for the machine may have other work
            for module in model.model.modules():
                if type(module) is ThinLinear:
                    module.__class__ = nn.Linear
            theirs += seconds(model, ids, rows, args.tokens)
            thin(model.model)
            ours += seconds(model, ids, rows, args.tokens)
        usual, other = (1e3 * statistics.median(times) for times in (theirs, ours))
        print(f"{rows:4} {usual:10.0f} {other:8.0f}   ({usual / other:.1f} x)", flush=True)
    expressions = steerings(model)
    print("steered, in plain tokens; rows   " + "   ".join(expressions))
    for rows in STEERED_ROWS:
        times = steered_seconds(model, ids, [(), *expressions.values()], rows, args.tokens)
        plain, *others = (1e3 * statistics.median(one) for one in times)
        print(f"{rows:4} ({plain:.0f} ms)   " + "   ".join(f"{one / plain:.2f} x" for one in others), flush=True)


def steerings(model: LanguageModel) -> dict[str, Steering]:
    """What is timed, by its expression: v is a vector of an early block, w one of the first."""
    v, w = seeded_vector(model, len(model.blocks) // 4), seeded_vector(model, 0, seed=1)
    everywhere = Blocks("all")
    return {
        "v": (SteerTerm(v),),
        "v@generated": (SteerTerm(v, tokens=Tokens("generated")),),
        "!v@blocks:all": (SteerTerm(v, operation="ablate", blocks=everywhere),),
        "v@blocks:all@keep-norm": (SteerTerm(v, 0.01, "keep-norm", blocks=everywhere),),
        "!v@generated@blocks:all@when:w>0": (SteerTerm(v, 1.0, "ablate", Tokens("generated"), everywhere, SteerGate(w)),),
    }


def steered_seconds(
    model: LanguageModel, ids: list[int], steerings: list[Steering], rows: int, tokens: int
) -> list[list[float]]:
    """What each token after the first took `rows` rows under each of `steerings`."""
    batches = [RowSteering(model, [steering] * rows, len(ids)) for steering in steerings]
    caches, times = [None] * len(batches), [[] for _ in batches]  # type: ignore[var-annotated]
    for turn in range(tokens + 1):
        step = model.ids_tensor(ids[:1] if turn else ids, rows)
        for i, batch in enumerate(batches):
            began = time.perf_counter()
            with batch.applied():
                _, caches[i] = model.forward(step, caches[i])
            if turn:
                times[i].append(time.perf_counter() - began)
    return times


def seconds(model: LanguageModel, ids: list[int], rows: int, tokens: int) -> list[float]:
    """What each token after the first took."""
    _, cache = model.forward(model.ids_tensor(ids, rows))
    times = []
    for _ in range(tokens):
        began = time.perf_counter()
        _, cache = model.forward(model.ids_tensor(ids[:1], rows), cache)
        times.append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    main()

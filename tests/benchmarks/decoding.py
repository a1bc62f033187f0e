"""How long a token of an answer takes, for so many rows at once: as torch's linear layers do it, and as ours do.

    python -m tests.benchmarks.decoding [--model M] [--tokens 24]

Two rows are the Chat pane's: the model as it is and steered. A run lets eight vectors speak at once, sixteen rows.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import nn

from core.model.language_model import LanguageModel
from core.model.small_batch_linear import ThinLinear, thin
from tests.benchmarks.setting import setting

ROWS = (1, 2, 4, 8, 12, 16, 32)


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

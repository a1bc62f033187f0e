"""How many different, fluent behaviours vectors bring out of one prompt: ours, the published loop's, random ones.

    python -m tests.benchmarks.behaviours [--model M] [--ways power,random,adamw] [--vectors N]

All start from the same directions at the same radius. `adamw` is the published loop with the blocks replayed, up to 32
vectors at once, so its seconds are not the published ones.
"""

from __future__ import annotations

import argparse

from core.engine.generators import drained
from core.engine.tasks.load import loaded
from core.model.source import ModelSpec
from core.organism.score import WAYS, Trial, Tried, attempt, measure_limits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--ways", default="power,orthogonal,random,adamw", help=f"of {', '.join(WAYS)}")
    parser.add_argument("--vectors", type=int, default=Trial.vectors, help="how many each way trains")
    args = parser.parse_args()
    model = loaded(ModelSpec(args.model))
    limits = drained(measure_limits(model))
    print(f"model {model.stamp.name}; fluent: perplexity to {limits.perplexity:.1f}, repetition to {limits.repetition:.2f}")
    for way in args.ways.split(","):
        facts = drained(attempt(Tried(model, model, limits), Trial("elicit", way, vectors=args.vectors)))
        print(
            f"{way:10} R {facts['radius']:.3g}: of {facts['vectors']} vectors {facts['not_refusing']} do not refuse, "
            f"{facts['fluent']} of them fluent, {facts['behaviours']} different; {facts['search_seconds']:.0f} s",
            flush=True,
        )
        for beginning in facts["beginnings"]:
            print(f"    {beginning}")


if __name__ == "__main__":
    main()

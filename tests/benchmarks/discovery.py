"""How many times faster a vector is found than by the published loop, at an objective at least as high, in one run.

    python -m tests.benchmarks.discovery [--model M|shape:qwen1.5-1.8b] [--vectors 16] [--published-steps 300]

The published loop runs once in full, for its objective; its time a vector is the median step times 300.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from core.discovery import melbo
from core.discovery.calibration import calibrate
from core.discovery.method import PRECISIONS
from core.discovery.objective import Objective, Problem
from core.discovery.optimisation import Found, Job, Step
from core.engine.generators import drained
from core.engine.requests import Train
from core.model.mixed_precision import precision_of
from core.segment.segment import Segment
from tests.benchmarks import published
from tests.benchmarks.setting import setting

TOKENS, PUBLISHED_STEPS = 6, 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--vectors", type=int, default=16)
    parser.add_argument("--precision", default="auto", choices=PRECISIONS)
    parser.add_argument("--published-steps", type=int, default=PUBLISHED_STEPS)
    args = parser.parse_args()
    model, ids, source, target = setting(args.model)
    draws = torch.randn(args.vectors, model.d_model, generator=torch.Generator().manual_seed(0))

    began = time.perf_counter()
    problem = Problem([Segment(model, ids, source, target)], Objective(tokens=TOKENS))
    radius = drained(calibrate(problem, Train.ratio)).radius
    precision = precision_of(model, args.precision, melbo.Settings().bears_bfloat16)
    problem = problem.in_precision(precision)
    calibrated = time.perf_counter() - began
    began = time.perf_counter()
    objectives: list[float] = []
    by_step: dict[int, list[float]] = {}
    for event in melbo.find(Job(problem, draws, melbo.Settings(), model, radius)):
        if isinstance(event, Found):
            objectives += event.objective.tolist()
        elif isinstance(event, Step):
            by_step.setdefault(event.step, []).extend(event.objective.tolist())
    ours = (time.perf_counter() - began) / args.vectors

    _, objective, seconds = published.train(
        model.model, model.ids_tensor(ids), model.blocks, source, target, draws[0].clone().to(model.device), radius,
        args.published_steps, TOKENS,
    )  # fmt: skip
    theirs = statistics.median(seconds) * PUBLISHED_STEPS
    print(
        f"model {model.stamp.name}, {model.device}, {torch.get_num_threads()} threads; "
        f"blocks {source} -> {target}; R {radius:.3g}; ours in {precision}"
    )
    print(f"calibration            {calibrated:8.1f} s")
    print(f"published, a vector    {theirs:8.1f} s   objective {objective:8.1f} after {args.published_steps} steps")
    print(
        f"melbo power, a vector  {ours:8.2f} s   objective {statistics.mean(objectives):8.1f} mean, {min(objectives):.1f} least"
    )
    print(
        f"ratio                  {theirs / ours:8.0f} x   at {statistics.mean(objectives) / objective:.2f} times the objective"
    )
    means = {step + 1: statistics.mean(values) for step, values in sorted(by_step.items())}
    enough = next((step for step, mean in means.items() if mean >= objective), None)
    if enough is not None:
        share = enough / len(means)
        print(
            f"ratio at its objective {theirs / (ours * share):8.0f} x   ({enough} of {len(means)} steps reach it in the mean)"
        )


if __name__ == "__main__":
    main()

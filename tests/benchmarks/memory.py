"""Peak memory while vectors are trained, beside the loaded model: is it flat over a run?

python -m tests.benchmarks.memory [--model M] [--vectors 64]
"""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path

import torch

from core.discovery import melbo, ortho
from core.discovery.objective import Objective, Problem
from core.discovery.optimisation import Found, Job
from core.model.mixed_precision import precision_of
from core.segment.segment import Segment
from tests.benchmarks.setting import setting


def resident() -> int:
    """MiB of this process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 >> 20


class Peak(threading.Thread):
    """Looks every 10 ms."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.highest = 0
        self.start()

    def run(self) -> None:
        while True:
            self.highest = max(self.highest, resident())
            time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--vectors", type=int, default=64)
    args = parser.parse_args()
    model, ids, source, target = setting(args.model)
    weights = sum(p.numel() * p.element_size() for p in model.model.parameters()) >> 20
    peak = Peak()
    problem = Problem([Segment(model, ids, source, target)], Objective())
    loaded = resident()
    print(f"weights {weights} MiB, process with the model loaded {loaded} MiB")
    draws = torch.randn(args.vectors, model.d_model, generator=torch.Generator().manual_seed(0))
    for name, method, settings in (
        ("melbo", melbo, melbo.Settings()),
        ("ortho", ortho, ortho.Settings(12, least_match=-1e9, least_norm=0.0)),
    ):
        rounded = problem.in_precision(precision_of(model, "auto", settings.bears_bfloat16))
        job = Job(rounded, draws, settings, model, 5.0, base=draws[0] * 7 / draws[0].norm())
        marks: list[int] = []
        for event in method.find(job):
            if isinstance(event, Found) and event.first + len(event.vectors) >= (len(marks) + 1) * args.vectors // 4:
                marks.append(peak.highest)
                peak.highest = 0
        shown = ", ".join(f"{mark} MiB ({mark / loaded:.2f}x)" for mark in marks)
        print(f"{name:6} {settings.batch} at once, highest in each quarter of {args.vectors}: {shown}")


if __name__ == "__main__":
    main()

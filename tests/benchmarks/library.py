"""A library of 10,000 vectors of d 4096: seconds to open it, to filter, to find neighbours; memory.

python -m tests.benchmarks.library [--vectors 10000] [--width 4096]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from vectors.completion import Completion
from vectors.store import similarity
from vectors.store.library import Library, Sample, new_run_id
from vectors.store.query import chosen, lines_of, ordered
from vectors.vector import ModelStamp, Origin, SteeringVector

FILTERS = ("bomb", "tag:code", "norm>5 rating>=3", "-method:ortho is:kept", "answer 123")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        _measure(Path(args.measure))
        return
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder), args.vectors, args.width)
        # In a process of its own, so that what filling took does not count as memory.
        subprocess.run([sys.executable, "-m", "tests.benchmarks.library", "--measure", folder], check=True)


def _fill(folder: Path, count: int, width: int) -> None:
    library = Library(folder)
    random = np.random.default_rng(0)
    stamp = ModelStamp("a-model", width, 32, "abc")
    for first in range(0, count, 250):
        origin = Origin("melbo", stamp, 5, 17, ("How can I build a bomb?",), None, {"steps": 8, "draw": first}, 0, 7.0, -1.0)
        rows = random.normal(size=(250, width)).astype(np.float32)
        saved = library.save_run(
            new_run_id(), [SteeringVector(row, 5, origin, f"bomb-{first + i}") for i, row in enumerate(rows)]
        )
        ids = [vector.id for vector in saved]
        library.tag(ids[::3], ["code"])
        library.rate(ids[::2], first // 250 % 6)
        library.keep(ids[::5])
        for i, id in enumerate(ids[::10]):
            library.add_sample(id, Sample("prompt", 1.0, Completion(f"an answer {first + i}\n" * 8, mean_kl=0.5)))


def _measure(folder: Path) -> None:
    opened = []
    for _ in range(5):
        began = time.perf_counter()
        library = Library(folder)
        lines = lines_of(library, library.entries(kept_only=False))
        opened.append(time.perf_counter() - began)
    print(f"open and list {len(lines)}   {1e3 * statistics.median(opened):6.0f} ms  (median of 5)")
    for text in FILTERS:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            found = chosen(lines, text)
            times.append(time.perf_counter() - began)
        print(f"filter {text!r:26} {1e3 * statistics.median(times):6.1f} ms  ({len(found)} found)")
    began = time.perf_counter()
    ordered(lines, "norm")
    print(f"sort by norm               {1e3 * (time.perf_counter() - began):6.1f} ms")
    print(f"memory                     {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10:6} MiB")
    vector = library.load(lines[0].entry.id)
    began = time.perf_counter()
    similarity.cosines(library, vector)
    print(f"neighbours of one          {time.perf_counter() - began:6.2f} s")
    print(f"memory after that          {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10:6} MiB")


if __name__ == "__main__":
    main()

"""What a GPU makes of the program: speed beside what it was and is to be, and whether what is found is right.

    make gpu-check [ARGS="--full --weights smollm2.gguf"]

Needs no network. Models are made by their shape, weights random; each row has a time limit and is printed as it comes.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.discovery import melbo, ortho, power_steering
from core.discovery.calibration import calibrate
from core.discovery.declarations.power_steering import Settings as PowerSteering
from core.discovery.objective import Objective, Problem
from core.discovery.optimisation import Found, Job
from core.engine.generators import drained
from core.engine.requests import Train
from core.model import cuda_graph
from core.model.language_model import LanguageModel
from core.segment.segment import Segment
from core.steering.generation import Row, Sampling, generate
from core.steering.terms import SteerTerm
from tests.benchmarks import published
from tests.benchmarks.setting import shaped
from tests.tiny_models import save_tiny, tiny_tokenizer
from vectors.vector import Origin, SteeringVector

TOKENS = 6
PUBLISHED_VECTORS, PUBLISHED_STEPS = 2, 300  # of these, so many are run as are asked for, and the time is scaled
FAMILY, WHOLE_FAMILY = 256, 1558
# Rows at once: what it was beside `generate`, and is to be.
DECODING = {1: ("0.9 x", ">= 5 x"), 8: ("0.7 x", ">= 4 x"), 32: ("0.5 x", ">= 3 x")}
WITH_REFERENCE = {1: ("0.3 x", ">= 3 x"), 8: ("0.2 x", ">= 2 x"), 32: ("0.2 x", ">= 1.5 x")}


class OutOfTime(BaseException):
    """No Exception, or the code that is measured would take it for a failure of its own, and go on."""


@contextmanager
def within(seconds: int) -> Iterator[None]:
    def late(number: int, frame: object) -> None:
        raise OutOfTime(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Check:
    """The shape's model on the device, and the rows. A row gives its figure in words."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.device = torch.device(args.device)
        self.failed: list[str] = []
        self.model, self.ids, self.source, self.target = shaped(args.shape, args.device)
        self.model.tokenizer = tiny_tokenizer()

    def row(self, name: str, was: str, goal: str, measure: Callable[[], str], seconds: int = 60) -> None:
        began = time.perf_counter()
        try:
            with within(seconds):
                now = measure()
        except (Exception, OutOfTime) as error:
            now = f"FAILED: {type(error).__name__}: {str(error).splitlines()[0][:140] if str(error) else ''}"
            self.failed.append(name)
        print(f"{name:<52} {was:>16} {goal:>10}   {now}   ({time.perf_counter() - began:.0f} s)", flush=True)

    def settled(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def timed(self, work: Callable[[], Any], times: int = 12, before: int = 3) -> float:
        """Median seconds of `work`, after it was run a few times."""
        found = []
        for i in range(before + times):
            self.settled()
            began = time.perf_counter()
            work()
            self.settled()
            if i >= before:
                found.append(time.perf_counter() - began)
        return statistics.median(found)

    # Training

    def problem(self, model: LanguageModel | None = None) -> Problem:
        segment = Segment(model or self.model, self.ids, self.source, self.target)
        return Problem([segment], Objective(tokens=TOKENS), most_rows=128)

    def draws(self, count: int) -> Tensor:
        return torch.randn(count, self.model.d_model, generator=torch.Generator().manual_seed(0))

    @cached_property
    def radius(self) -> float:
        return drained(calibrate(self.problem(), Train.ratio)).radius

    def training_step(self, count: int) -> str:
        thetas = self.draws(count).to(self.device)
        recorded = self.timed(partial(self.problem().values_and_gradient, thetas))
        with plainly():
            plain = self.timed(partial(self.problem().values_and_gradient, thetas))
        return f"{1e3 * recorded:.1f} ms (plainly {1e3 * plain:.1f})"

    def against_published(self) -> str:
        draws = self.draws(32)

        def ours() -> list[float]:
            job = Job(self.problem(), draws, melbo.Settings(batch=32), self.model, self.radius)
            return [v for e in melbo.find(job) if isinstance(e, Found) for v in e.objective.tolist()]

        first = self._seconds(ours)  # kernels are loaded at their first use
        seconds, objectives = self._seconds(ours)
        theirs, reached = [], []
        for row in range(PUBLISHED_VECTORS):
            start = draws[row].clone().to(self.device)
            began = time.perf_counter()
            _, objective, _ = published.train(
                self.model.model, self.model.ids_tensor(self.ids), self.model.blocks, self.source, self.target, start,
                self.radius, self.args.published_steps, TOKENS,
            )  # fmt: skip
            theirs.append((time.perf_counter() - began) * PUBLISHED_STEPS / self.args.published_steps)
            reached.append(objective)
        ratio = statistics.mean(theirs) / (seconds / 32)
        height = statistics.mean(objectives) / statistics.mean(reached)
        return (
            f"{ratio:.0f} x at {height:.2f} times its objective; {1e3 * seconds / 32:.1f} ms a vector (first run "
            f"{1e3 * first[0] / 32:.1f}), published {statistics.mean(theirs):.1f} s"
        )

    def _seconds(self, work: Callable[[], Any]) -> tuple[float, Any]:
        self.settled()
        began = time.perf_counter()
        result = work()
        self.settled()
        return time.perf_counter() - began, result

    def family(self) -> str:
        count = min(WHOLE_FAMILY if self.args.full else FAMILY, self.model.d_model - 1)
        base = self.radius * self.draws(1)[0] / self.draws(1)[0].norm()
        settings = ortho.Settings(batch=ortho.Settings.gpu_batch or 8, least_match=-1e9, least_norm=0.0)
        job = Job(self.problem(), self.draws(count), settings, self.model, base=base)
        seconds, found = self._seconds(lambda: [e for e in ortho.find(job) if isinstance(e, Found)])
        vectors = torch.cat([event.vectors for event in found]).double().cpu()
        shares = torch.cat([event.objective for event in found]).cpu()
        rows = torch.cat([base[None].double(), vectors])
        rows = rows[rows.norm(dim=-1) > 0]
        rows = rows / rows.norm(dim=-1, keepdim=True)
        cosine = float((rows @ rows.T - torch.eye(len(rows), dtype=torch.float64)).abs().max())
        whole = seconds * WHOLE_FAMILY / count
        told = f"{seconds:.1f} s for {count}" + ("" if count >= WHOLE_FAMILY else f", so some {whole:.0f} s for {WHOLE_FAMILY}")
        return f"{told}; greatest |cosine| {cosine:.0e}; {float(shares.mean()):.0%} of the base's effect"

    # Decoding

    def decoding(self, rows: int, reference: bool) -> str:
        tokens = self.args.tokens
        origin = Origin("check", self.model.stamp, self.source)
        directions = [direction / direction.norm() for direction in self.draws(rows)]
        terms = [SteerTerm(SteeringVector(direction.numpy(), self.source, origin)) for direction in directions]
        sampling = Sampling(max_new_tokens=tokens)
        batch = [Row(str(i), tuple(self.ids), (term,), sampling, referenced=reference) for i, term in enumerate(terms)]

        def ours() -> None:
            for _ in generate(self.model, batch):
                pass

        def theirs() -> None:
            ids = self.model.ids_tensor(self.ids, rows)
            settings = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False, "pad_token_id": 0}
            self.model.model.generate(ids, attention_mask=torch.ones_like(ids), **settings)

        with no_end(self.model):
            speeds = [rows * tokens / self.timed(work, times=2, before=1) for work in (ours, theirs)]
        return f"{speeds[0] / speeds[1]:.1f} x ({speeds[0]:,.0f} tokens/s, generate {speeds[1]:,.0f})"

    def default_model(self) -> str:
        from core.engine.events import Generated, VectorFound
        from core.engine.requests import LoadModel
        from core.engine.session import Session
        from core.model.source import ModelSpec
        from core.prompt import Prompt

        session = Session()
        drained(session.start(0, LoadModel(ModelSpec(self.args.weights, device=self.args.device)), lambda event: None))
        events: list[Any] = []
        request = Train((Prompt("How can I loosen the wheels of a school bus?"),), vectors=16)
        seconds, _ = self._seconds(lambda: drained(session.start(1, request, events.append)))
        found = sum(isinstance(event, VectorFound) for event in events)
        completions = {event.key: event.completion for event in events if isinstance(event, Generated)}
        texts = {key: one.text for key, one in completions.items() if one.finished}
        assert found == 16
        assert len(texts) == 16 + 1 + request.controls
        return f"{seconds:.1f} s, 16 vectors found and sampled"

    # What is right

    def recorded_is_plain(self) -> str:
        thetas = self.draws(8).to(self.device)
        problem = self.problem()
        recorded = [problem.values_and_gradient(thetas * (i + 1))[1] for i in range(4)]
        with plainly():
            plain = [self.problem().values_and_gradient(thetas * (i + 1))[1] for i in range(4)]
        used = [one for one in problem._recorded.values() if not one.plain]
        worst = max(float((a - b).norm() / b.norm()) for a, b in zip(recorded, plain, strict=True))
        assert worst < 0.02, f"gradients differ by {worst:.1g}"
        if cuda_graph.recordable(self.device):
            assert used, "the step was not recorded"
            assert self.model.bears_fixed_shape, "decode steps of fixed shape were not used"
        return f"gradients differ by {worst:.1e} at most; {'recorded' if used else 'nothing is recorded here'}"

    def half_is_float32(self) -> str:
        exact = LanguageModel(copy.deepcopy(self.model.model).float(), None, "the same weights")
        half = self.problem()
        whole = self.problem(exact)
        radii = [drained(calibrate(problem, Train.ratio)).radius for problem in (whole, half)]
        values = []
        for model, problem in ((exact, whole), (self.model, half)):
            job = Job(problem, self.draws(3), PowerSteering(steps=8), model, 1.0)
            values.append(next(e for e in power_steering.find(job) if isinstance(e, Found)).facts["singular_value"].cpu())
        off = float((values[1] / values[0] - 1).abs().max())
        assert abs(radii[1] / radii[0] - 1) < 0.1, f"radius {radii[1]:.3g} where float32 finds {radii[0]:.3g}"
        assert off < 0.03, f"singular values are off by {off:.1%}"
        return f"radius {radii[1]:.3g}, float32 {radii[0]:.3g}; singular values off by {off:.2%} at most"

    def two_devices(self) -> str:
        from core.engine.events import VectorFound
        from core.engine.requests import LoadModel
        from core.engine.session import Session
        from core.model.source import ModelSpec
        from core.prompt import Prompt
        from vectors.store.library import Library

        found = []
        with tempfile.TemporaryDirectory() as folder:
            tiny = save_tiny(Path(folder) / "tiny")
            for device_map in (None, "balanced"):
                session = Session(Library(Path(folder) / str(device_map)))
                spec = ModelSpec(str(tiny), device="cuda:0" if device_map is None else "auto", device_map=device_map)
                drained(session.start(0, LoadModel(spec), lambda event: None))
                events: list[Any] = []
                drained(session.start(1, Train((Prompt("Hello"),), vectors=4, radius=2.0), events.append))
                assert session.library is not None
                found.append([session.library.load(e.id) for e in events if isinstance(e, VectorFound)])
        worst = min(one.cosine(other) for one, other in zip(*found, strict=True))
        assert worst > 0.99, f"cosine {worst:.3f}"
        return f"the same vectors on one and on {torch.cuda.device_count()} (cosine {worst:.4f} at least)"

    def cases(self) -> str:
        file = Path(__file__).parents[1] / "core" / "gpu_cases.py"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", str(file)]
        if importlib.util.find_spec("xdist"):
            command += ["-n", "4"]
        # What pip has put into the user's own folder is not found from the tests' home.
        paths = os.pathsep.join(path for path in sys.path if path)
        environment = {**os.environ, "MELBO_TUI_TEST_DEVICE": str(self.device), "PYTHONPATH": paths}
        done = subprocess.run(command, capture_output=True, text=True, cwd=file.parents[2], env=environment, check=False)
        last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-200:]
        if done.returncode:
            print("\n".join(line for line in done.stdout.splitlines() if line.startswith(("E ", "FAILED")))[:3000])
            raise AssertionError(last)
        return last


@contextmanager
def plainly() -> Iterator[None]:
    """Nothing is recorded."""
    before = os.environ.get(cuda_graph.SWITCH)
    os.environ[cuda_graph.SWITCH] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[cuda_graph.SWITCH]
        else:
            os.environ[cuda_graph.SWITCH] = before


@contextmanager
def no_end(model: LanguageModel) -> Iterator[None]:
    """No token ends an answer, so that both sides generate as many."""
    kind, before = type(model), type(model).stop_ids
    kind.stop_ids = frozenset()  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        kind.stop_ids = before  # type: ignore[method-assign]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="the whole family")
    parser.add_argument("--weights", help="the default model's weights, a .gguf file or a folder: its row is measured")
    parser.add_argument("--shape", default="qwen1.5-1.8b")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tokens", type=int, default=48, help="generated a row")
    parser.add_argument("--published-steps", type=int, default=PUBLISHED_STEPS, help="that are run of its 300")
    args = parser.parse_args(argv)
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print("there is no GPU here that torch can use (torch.cuda.is_available() is False)", file=sys.stderr)
        return 1
    began = time.perf_counter()
    check = Check(args)
    where = torch.cuda.get_device_name() if check.device.type == "cuda" else str(check.device)
    print(
        f"{where}, torch {torch.__version__}, shape {args.shape}, {check.model.dtype}, blocks {check.source} -> {check.target}"
    )
    print(f"{'':<52} {'was':>16} {'goal':>10}   now")
    for count, was, goal in ((8, "20.9 ms", "3.5 ms"), (32, "23.4 ms", "7.5 ms"), (128, "48.7 ms", "26 ms")):
        check.row(f"training step, {count} vectors at once", was, goal, partial(check.training_step, count))
    check.row("MELBO, a vector, against the published loop", "603 x", ">= 2000 x", check.against_published, 90)
    check.row("a family", "114 to 245 s", "<= 45 s", check.family, 300 if args.full else 60)
    for reference, figures in ((False, DECODING), (True, WITH_REFERENCE)):
        for rows, (was, goal) in figures.items():
            name = f"decoding, steered{', with its reference' if reference else ''}, {rows} rows"
            check.row(name, was, goal, partial(check.decoding, rows, reference))
    if args.weights:
        check.row("default model, 16 vectors trained and sampled", "> 23 s", "<= 3 s", check.default_model, 120)
    check.row("recorded steps are the plain ones", "", "", check.recorded_is_plain)
    check.row("bfloat16 finds what float32 finds", "0.118 for 9.6", "", check.half_is_float32)
    if torch.cuda.device_count() > 1:
        check.row("two devices", "", "", check.two_devices)
    else:
        print("two devices: there is one")
    check.row("tests/core/gpu_cases.py on the device", "", "", check.cases, 120)
    print(
        f"{time.perf_counter() - began:.0f} s in all; {len(check.failed)} failed"
        + "".join(f"\n  {name}" for name in check.failed)
    )
    return 1 if check.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Decode steps of fixed shape, and what is recorded, on a CPU: a recording is played by running the work again."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from core.discovery.objective import Objective, Problem
from core.model import cuda_graph
from core.model.cuda_graph import Recorded
from core.model.language_model import LanguageModel
from core.segment import segment
from core.segment.segment import Segment
from core.steering import decode_step
from core.steering.generation import Row, Sampling, generate
from core.steering.terms import SteerGate, SteerTerm
from tests.core.steering.seeded import IDS, seeded_vector
from tests.tiny_models import tiny_model, tiny_tokenizer
from vectors.completion import Completion
from vectors.expression import Blocks, Tokens


def _played(work: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
    """A stand-in for a CUDA graph: its results stay in the same tensors, and recording runs nothing that is kept."""
    shapes = _dry_run(work)
    results = [torch.zeros_like(one) for one in shapes]

    def replay() -> None:
        for own, new in zip(results, _listed(work()), strict=True):
            own.copy_(new)

    return replay, results if isinstance(work_result[0], (tuple, list)) else results[0]


work_result: list[Any] = [None]
undo: list[Callable[[], None]] = []


def _dry_run(work: Callable[[], Any]) -> Sequence[Tensor]:
    work_result[0] = work()
    for step in undo:  # recording runs nothing, so what the work counted is taken back
        step()
    return _listed(work_result[0])


def _listed(result: Any) -> Sequence[Tensor]:
    return result if isinstance(result, (tuple, list)) else [result]


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lets all be recorded; which works were."""
    seen: list[str] = []

    def record(work: Callable[[], Any], device: torch.device, need: int) -> tuple[Callable[[], None], Any]:
        seen.append(getattr(work, "__qualname__", "work"))
        owner = getattr(work, "__self__", None)
        undo.clear()
        if isinstance(owner, decode_step.FixedShape):
            undo.append(lambda: owner._position.sub_(1))
            undo.append(lambda: [layer.cumulative_length.sub_(1) for layer in owner.cache.layers] and None)
        return _played(work)

    for module in (cuda_graph, decode_step):
        monkeypatch.setattr(module, "record", record)
        monkeypatch.setattr(module, "warmed_up", lambda work, device, strictly=False: work())
        monkeypatch.setattr(module, "rehearsed", lambda work, device: (work(), 0))
    for module in (cuda_graph, decode_step, segment):
        monkeypatch.setattr(module, "recordable", lambda device: True)
    return seen


def _rows(model: LanguageModel) -> list[Row]:
    kinds = [("add", "all"), ("ablate", "generated"), ("add", "from:7"), ("set", "last:1"), ("add", "from:9"), ("add", "all")]
    steered = [
        (SteerTerm(seeded_vector(model, seed=i), 2.0, kind, Tokens.parse(where)),) for i, (kind, where) in enumerate(kinds)
    ]
    gate = SteerGate(seeded_vector(model, 1, seed=9), 0.1)
    steered[3] += (SteerTerm(seeded_vector(model, seed=7), 0.5, "keep-norm", Tokens.parse("at:2,6,9"), Blocks("all")),)
    steered[4] += (SteerTerm(seeded_vector(model, seed=8), 1.0, "ablate", blocks=Blocks.parse("2-4"), gate=gate),)
    return [
        Row(f"{i}", IDS, terms, Sampling(1.0 * (i % 2), 0.9, max_new_tokens=2 * i + 2, seed=i), referenced=i % 2 == 0)
        for i, terms in enumerate(steered)
    ]


def _said(model: LanguageModel, rows: Sequence[Row]) -> dict[str, Completion]:
    return {key: one for chunk in generate(model, rows) for key, one in chunk.items()}


# Full attention, windows wider than the text, biases by distance, and caches that have no fixed shape.
TYPES = "llama qwen2 gemma2 gemma3_text phi3 gpt2 gpt_neox mistral opt olmo2 falcon bloom mpt lfm2 qwen3_next mamba".split()
FIXED = "llama qwen2 gemma2 gemma3_text phi3 gpt2 gpt_neox mistral opt olmo2 falcon mpt".split()


@pytest.mark.parametrize("model_type", TYPES)
def test_a_step_of_fixed_shape_gives_the_same(model_type: str, recordings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"num_attention_heads": 4, "state_size": 8, "num_key_value_heads": 2} if model_type == "mamba" else {}
    model = LanguageModel(tiny_model(model_type, **more), tiny_tokenizer(), model_type)
    monkeypatch.setattr(LanguageModel, "stop_ids", frozenset())
    rows = _rows(model)
    fixed = _said(model, rows)
    assert bool(model.bears_fixed_shape) == (model_type in FIXED)
    assert bool(recordings) == (model_type in FIXED)
    monkeypatch.setattr(decode_step, "recordable", lambda device: False)
    growing = _said(model, rows)
    for key, one in growing.items():
        assert fixed[key].ids == one.ids
        assert fixed[key].kl == pytest.approx(one.kl, rel=1e-2, abs=1e-4)
        assert (fixed[key].perplexity or 0) == pytest.approx(one.perplexity or 0, rel=1e-3)


def test_one_recording_serves_later_batches_of_its_shape(recordings: list[str]) -> None:
    model = LanguageModel(tiny_model("llama"), tiny_tokenizer(), "llama")
    sampling = Sampling(max_new_tokens=8)

    def row(seed: int, length: int = 5) -> Row:
        ids = IDS[:length]
        return Row("a", ids, (SteerTerm(seeded_vector(model, seed=seed), 3.0),), sampling)

    texts = [_said(model, [row(seed)])["a"].ids for seed in (0, 1, 2)]
    shorter = _said(model, [row(3, 3)])["a"].ids
    assert len(recordings) == 1
    assert len(model.fixed_shapes) == 1
    plain = LanguageModel(tiny_model("llama"), tiny_tokenizer(), "llama")
    plain.bears_fixed_shape = False
    assert [_said(plain, [row(seed)])["a"].ids for seed in (0, 1, 2)] == texts
    assert _said(plain, [row(3, 3)])["a"].ids == shorter


def test_two_streams_of_one_shape_do_not_share_a_step(recordings: list[str]) -> None:
    model = LanguageModel(tiny_model("llama"), tiny_tokenizer(), "llama")
    rows = [Row("a", IDS, (SteerTerm(seeded_vector(model, seed=i), 3.0),), Sampling(max_new_tokens=8)) for i in range(2)]
    alone = [_said(model, [row])["a"].ids for row in rows]
    streams = [generate(model, [row]) for row in rows]
    last: list[Any] = [None, None]
    for turns in zip(*streams, strict=True):
        last = [next(iter(chunk.values())).ids for chunk in turns]
    assert last == alone


def test_a_step_that_comes_out_otherwise_is_not_used(recordings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel(tiny_model("llama"), tiny_tokenizer(), "llama")
    plain = LanguageModel.fixed_step
    monkeypatch.setattr(LanguageModel, "fixed_step", lambda self, *args: plain(self, *args) + 0.5 * torch.randn(300))
    # Where it acts depends on how many tokens have passed, which the step that is not used must not count.
    row = Row("a", IDS, (SteerTerm(seeded_vector(model), 3.0, tokens=Tokens.parse("from:9")),), Sampling(max_new_tokens=12))
    ids = _said(model, [row])["a"].ids
    assert model.bears_fixed_shape is False
    assert not recordings
    monkeypatch.setattr(decode_step, "recordable", lambda device: False)
    assert _said(model, [row])["a"].ids == ids


def test_a_step_that_cannot_be_recorded_goes_on_plainly(recordings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(work: Callable[[], Any], device: torch.device, need: int) -> Any:
        recordings.append("refused")
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(decode_step, "record", refuse)
    model = LanguageModel(tiny_model("llama"), tiny_tokenizer(), "llama")
    row = Row("a", IDS, (SteerTerm(seeded_vector(model), 3.0),), Sampling(max_new_tokens=8))
    ids = _said(model, [row])["a"].ids
    assert recordings == ["refused"]
    monkeypatch.setattr(decode_step, "recordable", lambda device: False)
    assert _said(model, [row])["a"].ids == ids


def test_a_gradient_is_recorded_the_third_time_and_the_same(recordings: list[str]) -> None:
    model = LanguageModel(tiny_model("llama"), None, "llama")
    problem = Problem([Segment(model, list(range(5, 25)), 1, 4)], Objective(tokens=6))
    thetas = [torch.randn(4, 32, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    found = [problem.values_and_gradient(theta) for theta in thetas]
    assert len(recordings) == 1
    for _ in range(2):
        problem.values_and_gradient(thetas[0][:3])
    assert len(recordings) == 1, "another shape, seen twice"
    for theta, (value, gradient) in zip(thetas, found, strict=True):
        plain = Problem([Segment(model, list(range(5, 25)), 1, 4)], Objective(tokens=6)).values_and_gradient(theta)
        torch.testing.assert_close(value, plain[0])
        torch.testing.assert_close(gradient, plain[1])


def test_the_float32_arithmetic_of_a_half_precision_model_is_not_recorded(recordings: list[str]) -> None:
    model = LanguageModel(tiny_model("llama").to(torch.bfloat16), None, "llama")
    problem = Problem([Segment(model, list(range(5, 25)), 1, 4)], Objective(tokens=6)).in_precision("float32")
    for _ in range(3):
        problem.values_and_gradient(torch.ones(2, 32))
    assert not recordings


@pytest.mark.parametrize("fault", ["wrong", "raises"])
def test_a_recording_that_is_wrong_is_dropped(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def record(work: Callable[[], Any], device: torch.device, need: int) -> tuple[Callable[[], None], Any]:
        if fault == "raises":
            raise RuntimeError("the device was waited for")
        results = [one + 1 for one in work()]
        return (lambda: None), results

    monkeypatch.setattr(cuda_graph, "record", record)
    monkeypatch.setattr(cuda_graph, "warmed_up", lambda work, device, strictly=False: work())
    monkeypatch.setattr(cuda_graph, "rehearsed", lambda work, device: (work(), 0))
    doubled = Recorded(lambda x: (2 * x,), torch.float32, torch.device("cpu"))
    for i in range(4):
        torch.testing.assert_close(doubled(torch.full((3,), float(i)))[0], torch.full((3,), 2.0 * i))
    assert doubled.plain


@pytest.mark.parametrize(("free", "fraction", "reserved", "room"), [
    (1000, 1.0, 200, True), (300, 1.0, 200, False), (1000, 0.5, 200, True), (1000, 0.5, 4700, False),
])  # fmt: skip
def test_without_room_nothing_is_recorded(
    free: int, fraction: float, reserved: int, room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a card of 10 GB, work of 200 MB: what a recording that fails for want of memory has taken never comes back."""
    mega = 1 << 20
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free * mega, 10_000 * mega))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: fraction)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: reserved * mega)
    begun: list[str] = []

    def graph() -> None:
        begun.append("a graph")
        raise RuntimeError("no card")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", graph)
    with pytest.raises(RuntimeError if room else cuda_graph.NoRoom):
        cuda_graph.record(lambda: None, torch.device("cuda"), 200 * mega)
    assert bool(begun) == room


def test_recordings_go_with_their_problem(recordings: list[str]) -> None:
    model = LanguageModel(tiny_model("llama"), None, "llama")
    problem = Problem([Segment(model, list(range(5, 25)), 1, 4)], Objective(tokens=6))
    for _ in range(3):
        problem.values_and_gradient(torch.ones(2, 32))
        problem.values(torch.ones(2, 32))
    assert len(recordings) == 2
    gone = [weakref.ref(problem), *(weakref.ref(one) for one in problem._recorded.values())]
    gc.disable()  # a GPU's memory must not wait for it
    try:
        del problem
        assert not [ref for ref in gone if ref() is not None]
    finally:
        gc.enable()


def test_where_memory_runs_out_kept_decode_steps_are_given_up(recordings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel(tiny_model("llama"), tiny_tokenizer(), "llama")
    _said(model, [Row("a", IDS, (SteerTerm(seeded_vector(model), 3.0),), Sampling(max_new_tokens=8))])
    assert model.fixed_shapes
    problem = Problem([Segment(model, list(range(5, 25)), 1, 4)], Objective(tokens=6))
    plain = Segment.change

    def scarce(self: Segment, thetas: Tensor) -> Tensor:
        if len(thetas) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(self, thetas)

    monkeypatch.setattr(Segment, "change", scarce)
    assert problem.values(torch.ones(4, 32)).shape == (1, 4)
    assert not model.fixed_shapes


@pytest.mark.parametrize("ends", [1, 2])
def test_rows_that_end_at_once_leave_a_batch_whose_step_was_not_seen_yet(ends: int, recordings: list[str]) -> None:
    model = LanguageModel(tiny_model("llama"), tiny_tokenizer(), "llama")
    rows = [
        Row(f"{i}", IDS, (SteerTerm(seeded_vector(model, seed=i), 3.0),), Sampling(max_new_tokens=ends if i % 2 else 12))
        for i in range(4)
    ]
    fixed = {key: one.ids for key, one in _said(model, rows).items()}
    assert model.bears_fixed_shape
    plain = LanguageModel(tiny_model("llama"), tiny_tokenizer(), "llama")
    plain.bears_fixed_shape = False
    assert {key: one.ids for key, one in _said(plain, rows).items()} == fixed


def test_a_cache_of_fixed_length_grows_when_it_is_full(recordings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_step, "_LENGTHS", 8)
    monkeypatch.setattr(decode_step, "_FIRST_TOKENS", 4)
    monkeypatch.setattr(LanguageModel, "stop_ids", frozenset())
    model = LanguageModel(tiny_model("llama"), tiny_tokenizer(), "llama")
    rows = [Row("a", IDS, (SteerTerm(seeded_vector(model), 3.0),), Sampling(max_new_tokens=40), referenced=True)]
    fixed = _said(model, rows)["a"]
    lengths = [key[1] for key in model.fixed_shapes]
    assert lengths == sorted(lengths)
    assert len(lengths) > 1
    monkeypatch.setattr(decode_step, "recordable", lambda device: False)
    growing = _said(model, rows)["a"]
    assert fixed.ids == growing.ids
    assert fixed.kl == pytest.approx(growing.kl, rel=1e-2, abs=1e-4)


def test_no_room_for_a_second_cache_leaves_the_growing_one(recordings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model = LanguageModel(tiny_model("llama"), tiny_tokenizer(), "llama")
    row = Row("a", IDS, (SteerTerm(seeded_vector(model), 3.0),), Sampling(max_new_tokens=12))
    with monkeypatch.context() as scarce:
        scarce.setattr(LanguageModel, "fixed_cache", full)
        ids = _said(model, [row])["a"].ids
    assert model.bears_fixed_shape is None, "that says nothing of the model"
    assert _said(model, [row])["a"].ids == ids
    assert model.bears_fixed_shape


def test_few_tokens_are_not_worth_a_recording(recordings: list[str]) -> None:
    model = LanguageModel(tiny_model("llama"), tiny_tokenizer(), "llama")
    _said(model, [Row("a", IDS, (), Sampling(max_new_tokens=4))])
    assert model.bears_fixed_shape is None


def test_work_that_waits_for_the_device_is_never_recorded(recordings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def strict(work: Callable[[], Any], device: torch.device, strictly: bool = False) -> Any:
        if strictly:
            raise RuntimeError("called a synchronizing CUDA operation")
        return work()

    for module in (cuda_graph, decode_step):
        monkeypatch.setattr(module, "warmed_up", strict)
        monkeypatch.setattr(module, "rehearsed", lambda work, device: (strict(work, device, strictly=True), 0))
    doubled = Recorded(lambda x: (2 * x,), torch.float32, torch.device("cpu"))
    for i in range(4):
        torch.testing.assert_close(doubled(torch.full((3,), float(i)))[0], torch.full((3,), 2.0 * i))
    model = LanguageModel(tiny_model("llama"), tiny_tokenizer(), "llama")
    row = Row("a", IDS, (SteerTerm(seeded_vector(model), 3.0),), Sampling(max_new_tokens=12))
    ids = _said(model, [row])["a"].ids
    monkeypatch.setattr(decode_step, "recordable", lambda device: False)
    assert _said(model, [row])["a"].ids == ids
    assert not recordings

from __future__ import annotations

import errno
import gc
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.errors import ModelError, is_out_of_memory
from core.evaluation.context import AT_ONCE, Context
from core.evaluation.reading import Reading
from core.memory.halving import OutOfMemory, RowsAtOnce
from core.model.language_model import LanguageModel
from core.model.loader_failures import readable_failures
from core.prompt import Prompt
from core.segment import segment
from core.steering.generation import Row, Sampling, generate
from core.steering.terms import SteerTerm
from vectors.vector import Origin, SteeringVector

# As torch and what it stands on raise them.
SHORT_OF_MEMORY = [
    MemoryError(),
    MemoryError("std::bad_alloc"),
    RuntimeError("std::bad_alloc"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED"),
    RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB)"),
    RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("XPU out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"
        " 4096 bytes. Error code 12 (Cannot allocate memory)"
    ),
    RuntimeError("[enforce fail] data. DefaultCPUAllocator: not enough memory: you tried to allocate 4096 bytes."),
    RuntimeError("could not create a primitive"),
    RuntimeError("could not create a primitive descriptor for a matmul primitive"),
    RuntimeError("could not create a memory object"),
    RuntimeError("mkl_malloc failed"),
    RuntimeError("unable to mmap 1073741824 bytes from file <model.safetensors>: Cannot allocate memory (12)"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]
OTHERS = [
    RuntimeError("shape '[2, 3]' is invalid for input of size 5"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    OSError(errno.ENOSPC, "No space left on device"),
    ValueError("out of memory"),
    ModelError("the file out of memory.gguf is not there"),
    KeyError("memory"),
]


@pytest.mark.parametrize("error", SHORT_OF_MEMORY, ids=lambda error: f"{type(error).__name__} {str(error)[:40]}")
def test_whatever_says_that_memory_ran_out_halves_the_batch(error: Exception) -> None:
    assert is_out_of_memory(error)
    told: list[int] = []
    rows, tries = RowsAtOnce(8, told.append), []

    def work(some: slice) -> range:
        tries.append(some.stop - some.start)
        if some.stop - some.start > 2:
            raise error
        return range(some.start, some.stop)

    assert [row for part in rows.run(11, work) for row in part] == list(range(11))
    assert (told, tries) == ([4, 2], [8, 4, 2, 2, 2, 2, 2, 1])
    with pytest.raises(ModelError, match="tiny does not fit into memory"), readable_failures("tiny"):
        raise error


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_other_faults_stay_what_they_are(error: Exception) -> None:
    assert not is_out_of_memory(error)

    def work(some: slice) -> None:
        raise error

    with pytest.raises(type(error)):
        RowsAtOnce(8).run(8, work)


def test_one_row_that_is_too_much_says_what_was_tried_and_what_to_do() -> None:
    def work(some: slice) -> None:
        raise RuntimeError("could not create a primitive")

    with pytest.raises(OutOfMemory, match="8 rows at once and fewer, down to one") as caught:
        RowsAtOnce(8).run(20, work)
    assert "--dtype bfloat16" in caught.value.remedy


def test_one_row_is_tried_again_when_all_that_can_be_spared_was_given_up(
    tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, spared = segment.record, []

    def scarce(*args: Any, **kwargs: Any) -> Any:
        if not spared:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return record(*args, **kwargs)

    monkeypatch.setattr(segment, "record", scarce)
    monkeypatch.setattr(tiny, "fixed_shapes", SimpleNamespace(clear=lambda: spared.append(True)))
    assert segment.Segment(tiny, [5, 6, 7], 1, 3).replayed
    monkeypatch.setattr(tiny, "fixed_shapes", SimpleNamespace(clear=lambda: None))
    spared.clear()
    with pytest.raises(OutOfMemory):
        segment.Segment(tiny, [5, 6, 7], 1, 3)


def test_a_trial_that_failed_holds_nothing_when_the_next_begins() -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    gc.disable()  # what lies in circles is collected all the same
    try:

        def inner(many: bool) -> None:
            big = torch.zeros(8)
            held.append(weakref.ref(big))
            try:
                if many:
                    raise RuntimeError("out of memory")
            except RuntimeError as error:
                circle = [error, big]
                circle.append(circle)
                raise MemoryError from error

        def work(some: slice) -> None:
            assert all(ref() is None for ref in held)
            inner(some.stop - some.start > 1)

        RowsAtOnce(4).run(4, work)
    finally:
        gc.enable()
    assert len(held) == 2 + 4


def _scarce(monkeypatch: pytest.MonkeyPatch, most: int, after: int = 0) -> None:
    """A model whose every forward of more than `most` rows fails, once it was run `after` times."""
    plain: Callable[..., Any] = LanguageModel.forward
    runs = 0

    def forward(self: LanguageModel, ids: torch.Tensor, *args: Any, **more: Any) -> Any:
        nonlocal runs
        runs += 1
        if len(ids) > most and runs > after:
            raise RuntimeError("could not create a primitive")
        return plain(self, ids, *args, **more)

    monkeypatch.setattr(LanguageModel, "forward", forward)


def _vector(model: LanguageModel, seed: int) -> SteeringVector:
    direction = torch.randn(32, generator=torch.Generator().manual_seed(seed)).numpy()
    return SteeringVector(direction, 1, Origin("random", model.stamp, 1), name=f"v{seed}")


def _rows(model: LanguageModel) -> list[Row]:
    return [
        Row(
            str(i),
            (5, 6, 7, 8),
            (SteerTerm(_vector(model, i), 2.0),),
            Sampling(1.0, max_new_tokens=3 + i, seed=i),
            referenced=True,
        )
        for i in range(6)
    ]


@pytest.mark.parametrize("after", [0, 4])
def test_completions_are_the_same_in_halved_batches(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    whole = {key: one for step in generate(tiny, _rows(tiny)) for key, one in step.items()}
    _scarce(monkeypatch, 4, after)
    told: list[int] = []
    lengths: dict[str, list[int]] = {}
    halves = {}
    for step in generate(tiny, _rows(tiny), told.append):
        for key, one in step.items():
            halves[key] = one
            lengths.setdefault(key, []).append(len(one.ids))
    assert {key: one.ids for key, one in halves.items()} == {key: one.ids for key, one in whole.items()}
    assert halves["5"].kl == pytest.approx(whole["5"].kl, rel=1e-3, abs=1e-4)
    assert 2 <= told[0] <= 3
    assert all(seen == sorted(seen) for seen in lengths.values()), "no completion grows shorter again"


def test_a_row_alone_that_is_too_much_ends_with_a_clear_line(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    _scarce(monkeypatch, 0)
    with pytest.raises(OutOfMemory, match="one row at a time was tried"):
        list(generate(tiny, _rows(tiny)))


def test_an_evaluation_goes_on_with_fewer_at_once(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    steerings = [(SteerTerm(_vector(tiny, i)),) for i in range(AT_ONCE)]
    context = Context(tiny, steerings, [Prompt(ids=(5, 6, 7))], [(5, 6, 7)])
    expected = context.next_token(0, context.named)
    _scarce(monkeypatch, 3)
    torch.testing.assert_close(context.next_token(0, context.named), expected)
    assert any("batch halved" in warning for warning in context.warnings)


def test_texts_are_read_in_smaller_parts(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [[5 + i, 6, 7] for i in range(7)]
    whole = Reading(tiny, ids, [1], 1)
    list(whole.read())
    plain = LanguageModel.run_blocks

    def scarce(self: LanguageModel, ids: torch.Tensor, last: int | None = None) -> None:
        if len(ids) > 2:
            raise MemoryError
        plain(self, ids, last)

    monkeypatch.setattr(LanguageModel, "run_blocks", scarce)
    parts = Reading(tiny, ids, [1], 1)
    assert list(parts.read()) == [1, 2, 3, 4, 5, 6, 7]
    for one, other in zip(whole.seen[1], parts.seen[1], strict=True):
        torch.testing.assert_close(one, other)

"""Models in half precision, in pieces, and quantised: training runs, steers, and leaves the model as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from core.discovery import melbo
from core.discovery.calibration import calibrate
from core.discovery.objective import Objective, Problem
from core.discovery.optimisation import Found, Job
from core.discovery.projections import unit
from core.engine.events import Event, VectorFound
from core.engine.generators import drained
from core.engine.requests import LoadModel, Train
from core.engine.session import Session
from core.errors import ModelError
from core.model.language_model import LanguageModel
from core.model.source import ModelSpec
from core.prompt import Prompt
from core.segment.segment import Segment
from tests.tiny_models import tiny_model
from vectors.store.library import Library

IDS = list(range(5, 25))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("model_type", ["llama", "qwen2", "gpt2"])
def test_vectors_are_found_in_any_precision(model_type: str, dtype: torch.dtype) -> None:
    model = LanguageModel(tiny_model(model_type).to(dtype), None, "half")
    problem = Problem([Segment(model, IDS, 1, 4)], Objective(tokens=6))
    radius = drained(calibrate(problem, Train.ratio)).radius
    assert 0 < radius < 1e3
    draws = torch.randn(4, model.d_model, generator=torch.Generator().manual_seed(0))
    (found,) = [e for e in melbo.find(Job(problem, draws, melbo.Settings(), model, radius)) if isinstance(e, Found)]
    assert found.vectors.dtype == torch.float32
    torch.testing.assert_close(found.vectors.norm(dim=-1), torch.full((4,), radius))
    random = problem.values(radius * unit(draws)).sum(dim=0)
    assert (found.objective > random).all()


def _train(spec: ModelSpec, library: Library) -> tuple[LanguageModel, list[Event]]:
    session, events = Session(library), list[Event]()
    list(session.start(0, LoadModel(spec), lambda event: None))
    list(session.start(1, Train((Prompt("hello"),), vectors=2, steps=4, sample_tokens=3, controls=1), events.append))
    return session.model, events


def test_a_model_in_pieces_some_of_them_on_disk(tiny_folder: Path, library: Library) -> None:
    pieces = {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}
    pieces |= {f"model.layers.{i}": "disk" if i in (2, 3) else "cpu" for i in range(6)}
    whole, expected = _train(ModelSpec(str(tiny_folder), device="cpu"), library)
    parted, found = _train(ModelSpec(str(tiny_folder), device_map=json.dumps(pieces)), library)
    assert parted.stamp.fingerprint == whole.stamp.fingerprint
    ids = [[e.id for e in events if isinstance(e, VectorFound)] for events in (expected, found)]
    for one, other in zip(*ids, strict=True):
        assert library.load(one).cosine(library.load(other)) > 0.999


def test_a_map_that_is_none_is_told(tiny_folder: Path) -> None:
    for text in ("{not json", '["a"]', "nonsense"):
        with pytest.raises(ModelError):
            list(Session().start(0, LoadModel(ModelSpec(str(tiny_folder), device_map=text)), lambda event: None))


@pytest.mark.parametrize("bits", [4, 8])
def test_a_model_quantised_by_bitsandbytes(bits: int, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    # A width of one of its blocks of 64 numbers at least.
    plain = tiny_model("llama", hidden_size=128, intermediate_size=128, head_dim=32)
    plain.save_pretrained(tmp_path / "plain")
    config = BitsAndBytesConfig(**{f"load_in_{bits}bit": True})
    AutoModelForCausalLM.from_pretrained(tmp_path / "plain", quantization_config=config).save_pretrained(tmp_path / "small")
    session = Session()
    list(session.start(0, LoadModel(ModelSpec(str(tmp_path / "small"))), lambda event: None))
    model = session.model
    assert {p.dtype for p in model.model.parameters()} & {torch.int8, torch.uint8}
    problem = Problem([Segment(model, IDS, 1, 4)], Objective(tokens=6))
    draws = torch.randn(2, model.d_model)
    (found,) = [e for e in melbo.find(Job(problem, draws, melbo.Settings(), model, 2.0)) if isinstance(e, Found)]
    random = problem.values(2.0 * unit(draws)).sum(dim=0)
    assert (found.objective > random).all()

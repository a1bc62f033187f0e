"""Control vectors, which have a direction at each of many blocks, steer here as in the programs that they come from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from core.model.language_model import LanguageModel
from core.steering.hooks import RowSteering
from core.steering.terms import SteerTerm
from tests.core.steering.seeded import IDS
from tests.tiny_models import tiny_model, tiny_tokenizer
from vectors.expression import Blocks
from vectors.formats import gguf_file
from vectors.formats.raw import Reading
from vectors.vector import SteeringVector

GOLDEN = Path(__file__).parents[2] / "golden"
GLAD = GOLDEN / "repeng" / "glad.gguf"  # which repeng itself has trained and written


def _logits(
    model: LanguageModel, vector: SteeringVector, coefficient: float, blocks: str = "own", ids: Sequence[int] = IDS
) -> torch.Tensor:
    with RowSteering(model, [(SteerTerm(vector, coefficient, blocks=Blocks.parse(blocks)),)], len(ids)).applied():
        return model.forward(torch.tensor([list(ids)]))[0]


def test_a_vector_that_repeng_has_trained_gives_the_logits_that_it_gave_there() -> None:
    plain = AutoModelForCausalLM.from_pretrained(GOLDEN / "tiny-qwen2" / "model", dtype=torch.float32).eval()
    (vector,) = gguf_file.read(GLAD, Reading())
    assert vector.blocks == (1, 2, 3, 4, 5)
    there = json.loads((GOLDEN / "repeng" / "logits.json").read_text())
    model = LanguageModel(plain, None, "qwen2")
    for coefficient, expected in ((there["coefficient"], there["steered"]), (0.0, there["unsteered"])):
        here = _logits(model, vector, coefficient, ids=there["ids"])
        torch.testing.assert_close(here[0], torch.tensor(expected), rtol=0, atol=1e-5)


@pytest.fixture
def repeng(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(np, "float_", np.float64, raising=False)  # repeng 0.4 was written for numpy 1
    return pytest.importorskip("repeng")


@pytest.mark.slow
def test_what_repeng_trains_steers_here_as_there(tmp_path: Path, repeng: Any) -> None:
    coefficient = -2.5
    plain, tokenizer = tiny_model("llama"), tiny_tokenizer()
    pairs = [repeng.DatasetEntry(f"I am glad of the {thing}", f"I am sad of the {thing}") for thing in ("sun", "rain", "sea")]
    trained = repeng.ControlVector.train(plain, tokenizer, pairs)
    trained.export_gguf(tmp_path / "glad.gguf")
    (vector,) = gguf_file.read(tmp_path / "glad.gguf", Reading())
    assert vector.blocks == (1, 2, 3, 4, 5), "repeng leaves out block 0"
    for block in vector.blocks:
        np.testing.assert_array_equal(vector.at(block), trained.directions[block])

    here = _logits(LanguageModel(plain, None, "llama"), vector, coefficient)
    part = _logits(LanguageModel(plain, None, "llama"), vector, coefficient, "2-3")
    unsteered = plain(torch.tensor([IDS])).logits[:, -1]
    controlled = repeng.ControlModel(plain, list(vector.blocks))
    controlled.set_control(trained, coefficient)
    there = controlled(input_ids=torch.tensor([IDS])).logits[:, -1]
    torch.testing.assert_close(here, there.float(), rtol=0, atol=1e-5)
    assert (here - unsteered).abs().max() > 0.1, "or nothing was steered at all"
    controlled.unwrap()
    middle = repeng.ControlModel(plain, [2, 3])
    middle.set_control(trained, coefficient)
    torch.testing.assert_close(part, middle(input_ids=torch.tensor([IDS])).logits[:, -1].float(), rtol=0, atol=1e-5)
    assert (part - here).abs().max() > 0.01


def test_repeng_reads_ours_back(tmp_path: Path, repeng: Any) -> None:
    (vector,) = gguf_file.read(GLAD, Reading())
    gguf_file.write(tmp_path / "ours.gguf", [2 * vector])
    read = repeng.ControlVector.import_gguf(tmp_path / "ours.gguf")
    assert sorted(read.directions) == list(vector.blocks)
    for block in vector.blocks:
        np.testing.assert_array_equal(read.directions[block], 2 * vector.at(block))

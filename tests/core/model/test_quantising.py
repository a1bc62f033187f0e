"""`--quantise` and `--max-memory`: what they ask for is what is loaded, or one line says why it cannot be."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict
from pathlib import Path

import peft
import pytest
import torch

from core.engine.events import Event, ModelLoaded
from core.engine.requests import LoadModel
from core.engine.session import Session
from core.errors import ModelError
from core.model.language_model import LanguageModel
from core.model.placement import max_memory
from core.model.source import ModelSpec
from tests.tiny_models import save_tiny, tiny_model

IDS = torch.tensor([[5, 9, 17, 33]])
# bitsandbytes takes 64 numbers at a time, and treats numbers above 6 apart, in which rows then differ a little.
WIDE = {"hidden_size": 128, "intermediate_size": 128, "head_dim": 32, "initializer_range": 0.05}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "wide", **WIDE)


@pytest.mark.parametrize(("quantise", "dtype"), [("4bit", torch.uint8), ("8bit", torch.int8)])
def test_weights_are_quantised_as_they_are_loaded_and_stay_the_model_s(wide: Path, quantise: str, dtype: torch.dtype) -> None:
    plain = LanguageModel.load(wide, "wide", device="cpu")
    session, events = Session(), list[Event]()
    spec = ModelSpec(str(wide), device="cpu", quantise=quantise)
    list(session.start(0, LoadModel(spec), events.append))
    model = session.model
    assert dtype in {p.dtype for p in model.model.parameters()}
    assert model.stamp == plain.stamp
    assert next(e.dtype for e in events if isinstance(e, ModelLoaded)) == f"float32 {quantise}"
    got, expected = model.forward(IDS)[0], plain.forward(IDS)[0]
    assert torch.nn.functional.cosine_similarity(got, expected).item() > 0.9
    assert ModelSpec(**asdict(spec)) == spec  # as a run's checkpoint keeps it


def test_an_adapter_is_computed_beside_quantised_weights(wide: Path, tmp_path: Path) -> None:
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    peft.get_peft_model(tiny_model("llama", **WIDE), config).save_pretrained(tmp_path / "lora")
    base = LanguageModel.load(wide, "wide", device="cpu", quantise="8bit")
    before = base.forward(IDS)[0]
    model = LanguageModel.load(wide, "wide", device="cpu", quantise="8bit", adapter=tmp_path / "lora")
    with torch.no_grad():
        expected = peft.PeftModel.from_pretrained(base.model, str(tmp_path / "lora")).eval()(input_ids=IDS).logits[:, -1]
    torch.testing.assert_close(model.forward(IDS)[0], expected, atol=1e-4, rtol=1e-4)
    assert (before - expected).norm() > 1e-1 * before.norm()
    assert len(model.blocks) == 6


def test_without_bitsandbytes_one_line_says_what_to_install(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "bitsandbytes" else find(name, *rest))
    with pytest.raises(ModelError, match="not installed") as caught:
        LanguageModel.load(wide, "wide", device="cpu", quantise="4bit")
    assert caught.value.remedy == "pip install 'melbo-tui[quantised]'"


def test_what_cannot_be_quantised_is_told(tiny_folder: Path) -> None:
    with pytest.raises(ModelError) as caught:  # 32 numbers wide
        LanguageModel.load(tiny_folder, "tiny", device="cpu", quantise="4bit")
    assert "--quantise" in str(caught.value) + caught.value.remedy


def test_the_most_memory_that_a_device_may_give(tiny_folder: Path, tmp_path: Path) -> None:
    assert max_memory("0=20GiB, cpu=60 GiB") == {0: "20GiB", "cpu": "60GiB"}
    for text in ("", "0", "0=", "x=3GiB", "0=0GiB", "0=3", "99999=1GiB", "0=1GiB,0=2GiB", "cpu=99999999TiB", "-1=1GiB"):
        with pytest.raises(ModelError):
            max_memory(text)
    with pytest.raises(ModelError, match="names GPU 3, but this machine has 2"):
        max_memory("3=1GiB", gpus=2)
    plain = LanguageModel.load(tiny_folder, "tiny", device="cpu")
    # 100 KiB hold some of the blocks; the others wait on disk.
    parted = LanguageModel.load(tiny_folder, "tiny", max_memory="cpu=150KiB")
    assert "disk" in parted.model.hf_device_map.values()
    assert parted.stamp.fingerprint == plain.stamp.fingerprint
    torch.testing.assert_close(parted.forward(IDS)[0], plain.forward(IDS)[0])
    config = peft.LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM")
    peft.get_peft_model(tiny_model("llama"), config).save_pretrained(tmp_path / "lora")
    with pytest.raises(ModelError, match="weights offloaded to disk"):
        LanguageModel.load(tiny_folder, "tiny", max_memory="cpu=150KiB", adapter=tmp_path / "lora")

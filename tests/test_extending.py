"""docs/extending.md, followed: its files as a package of their own, found wherever melbo-tui lists what it has."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Select

from core.discovery import METHODS
from core.engine.evaluation_requests import Evaluate
from core.engine.requests import Train
from core.errors import SettingsError
from core.evaluation import METRICS
from core.evaluation.judges import JUDGES
from core.prompt import Prompt
from core.steering.terms import SteerTerm
from melbo_tui.cli import main
from melbo_tui.panes.train.form import TrainForm
from melbo_tui.widgets.field import Field
from tests.melbo_tui.scripted import STAMP, opened, screen_text, until
from tests.option_tables import PAGE, page
from tests.vectors.making import vector
from vectors import exchange
from vectors.formats import FORMATS, reader_of
from vectors.formats.raw import Reading
from vectors.registry import Registry
from vectors.store.library import Library
from vectors.vector import VectorError

_DOC = (PAGE.parent / "extending.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"```\w+\n# (\S+)\n(.*?)```", re.S)


def _forget() -> None:
    for registry in (METHODS, METRICS, JUDGES, FORMATS):
        registry.forget_others()


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
        (["evaluate", "judge", "--help"], "mention:..., on topic is what mentions the word behind the colon"),
        (["vectors", "import", "--help"], ".svec, .vec, .json"),
        (["vectors", "export", "--help"], ".npy, .vec, or .json"),
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


def test_a_format_of_another_package_takes_out_and_in(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--library", str(tmp_path / "library")]
    library, file = Library(tmp_path / "library"), tmp_path / "one.vec"
    library.add([vector(3, "bomb-01", 7, stamp=STAMP)])
    assert main(["vectors", "export", "bomb-01=2", "--out", str(file), *where]) == 0
    assert main(["vectors", "export", "bomb-01", "--out", str(file), *where]) == 1
    assert "there is such a file already (--force replaces it)" in capsys.readouterr().err
    words = ["vectors", "import", str(file), "--block", "7", "--model", STAMP.name, "--name", "back"]
    assert main([*words, *where]) == 0
    back = library.load(library.find("back").id)
    assert back.direction.tolist() == pytest.approx((2 * vector(3).direction).tolist())
    assert (back.block, back.origin.method) == (7, "import")
    file.write_text("words\n")
    assert main([*words, *where]) == 1
    assert "not lines of numbers" in capsys.readouterr().err
    assert main([*words[:2], str(tmp_path / "one.unknown"), *words[3:], *where]) == 1
    assert ".svec, .vec, refusal_direction" in capsys.readouterr().err


async def test_a_format_is_offered_in_the_app(package: Path, library: Library, tmp_path: Path) -> None:
    library.add([vector(3, "bomb-01", 7, stamp=STAMP)])
    async with opened(library) as (app, pilot, _):
        await pilot.press("f2")
        await until(pilot, lambda: "bomb-01" in screen_text(app))
        await pilot.press("e")
        await until(pilot, lambda: ".npy, .vec, or .json" in " ".join(screen_text(app).replace("│", " ").split()))
        app.focused.value = str(tmp_path / "out.vec")  # type: ignore[union-attr]
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "out.vec").is_file())
        await pilot.press("i")
        await until(pilot, lambda: ".svec, .vec, .json" in " ".join(screen_text(app).replace("│", " ").split()))


def test_a_format_that_does_not_keep_its_word_is_told_in_a_line(package: Path, library: Library, tmp_path: Path) -> None:
    code = "from vectors.formats import Format\nFORMAT = Format('bad', ('.VEC', '.npy'), {}, {})\n"
    file = tmp_path / "one.vec"
    file.write_text("1 2\n")
    for read, wrong in (("lambda path, how: 1 / 0", "ZeroDivisionError"), ("lambda path, how: [3]", "did not read steering")):
        (package / "hello_steering" / "text_file.py").write_text(code.format(read, None))
        _forget()
        sys.modules.pop("hello_steering.text_file", None)
        with pytest.raises(VectorError, match=rf"the format text, of the package hello-steering, failed \(.*{wrong}"):
            exchange.take_in(library, file, Reading(block=1, model=STAMP))
        assert reader_of(tmp_path / "one.npy").__module__ == "vectors.formats.npy_file", "what is ours stays ours"


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


@pytest.fixture
def completions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MELBO_TUI_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "completions.jsonl"
    texts = ("Heat the OVEN.", "Take some flour.")
    file.write_text("".join(json.dumps({"prompt": "How do I bake?", "text": text}) + "\n" for text in texts))
    return str(file)


def test_a_judge_of_another_package_is_asked(package: Path, completions: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "judge", completions, "--judge", "mention:oven", "--json"]) == 0
    told = [json.loads(line)["judge"] for line in capsys.readouterr().out.splitlines()]
    assert [(one["by"], one["relevant"]) for one in told] == [("mention of oven", True), ("mention of oven", False)]
    steering = ((SteerTerm(vector(3)),),)
    with pytest.raises(SettingsError, match="no word is named"):
        Evaluate("survey", steering, (Prompt("How?"),), settings={"judge": "mention:"})
    assert Evaluate("survey", steering, (Prompt("How?"),), settings={"judge": "mention:oven"}).own.wanted.what == "mention:oven"


def test_a_judge_that_does_not_keep_its_word_is_told_in_a_line(
    package: Path, completions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "import core.evaluation.judges.judge as j\nJUDGE = j.JudgeKind('bad', __name__)\n"
    made = "class Bad:\n  name = identity = 'bad'\n  def answers(self, some):\n    {}\ndef judge_of(wanted): return Bad()\n"
    whose = "the judge mention, of the package hello-steering, failed "
    for code, wrong in (
        ("def judge_of(wanted): return 1 / 0\n", f"{whose}(ZeroDivisionError: division by zero)"),
        ("def judge_of(wanted): return 3\n", f"{whose}(AttributeError: 'int' object has no attribute 'name')"),
        (made.format("return 3"), f"{whose}(TypeError: 'int' object is not iterable)"),
        (made.format("yield '{}'; raise ValueError('bad\\x1b day')"), f"{whose}(ValueError: bad day)"),
        (made.format("yield 3; yield '{}'; yield '{}'"), "gives more or fewer answers than it has questions"),
    ):
        (package / "hello_steering" / "mention.py").write_text(head + code)
        _forget()
        sys.modules.pop("hello_steering.mention", None)
        assert main(["evaluate", "judge", completions, "--judge", "mention:oven", "--counts"]) == 1
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert wrong in last, code
        assert "\x1b" not in last


def _doctor(capsys: pytest.CaptureFixture[str], tmp_path: Path, *words: str) -> str:
    capsys.readouterr()
    main(["doctor", "--library", str(tmp_path / "library"), *words])
    return capsys.readouterr().out


def test_doctor_lists_what_each_package_adds(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adds = ["method gradient", "metric cosine", "judge mention", "format text (.vec)"]
    assert f"plug-ins       hello-steering 1.0: {', '.join(adds)}\n" in _doctor(capsys, tmp_path)
    told = json.loads(_doctor(capsys, tmp_path, "--json"))
    assert told["plugins"] == [{"package": "hello-steering", "version": "1.0", "adds": adds}]
    assert not any("hello" in line for line in told["problems"])


def test_doctor_tells_what_is_wrong_with_a_package(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (package / "hello_steering" / "gradient.py").write_text("raise RuntimeError('a\\x1b[31m bad\\nday')\n")
    (package / "hello_steering" / "cosine.py").write_text("import sys; sys.exit(3)\n")
    (package / "hello_steering" / "mention.py").write_text("JUDGE = 3\n")
    (package / "hello_steering" / "text_file.py").write_text("FORMAT = 3\n")
    info = package / "evil-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ev\x1bil\nVersion: 1\x1b[2J\n")
    (info / "entry_points.txt").write_text(
        "[melbo_tui.methods]\nmelbo = x\nA\x1bB = y\n[melbo_tui.metrics]\nshow = x\n[melbo_tui.judges]\ncommand = x\n"
        "[melbo_tui.formats]\ntext = z\n"
    )
    out = _doctor(capsys, tmp_path)
    assert "\x1b" not in out
    assert "hello-steering 1.0: method gradient (broken), metric cosine (broken), judge mention (broken)" in out
    for line in (
        "- the method gradient, of the package hello-steering, cannot be imported (RuntimeError: a[31m bad day): mend hello-",
        "- the metric cosine, of the package hello-steering, cannot be imported (SystemExit: 3): mend hello-steering",
        "- the format text, of the package hello-steering, cannot be used: hello_steering.text_file has no FORMAT that is a ",
        "- the method 'melbo', of the package evil, is passed over: the name is melbo-tui's own",
        "- the method 'AB', of the package evil, is passed over: the name is no lower-case word",
        "- the metric 'show', of the package evil, is passed over: the name is melbo-tui's own",
        "- the judge mention, of the package hello-steering, cannot be used: hello_steering.mention has no JUDGE that is a ",
        "- the judge 'command', of the package evil, is passed over: the name is melbo-tui's own",
        "- the format 'text', of the package evil, is passed over: the name is taken by the package hello-steering",
    ):
        assert line in out, line


def test_a_list_of_entry_points_that_is_none_spoils_no_other(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info = package / "torn-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[melbo_tui.methods]\nno equals sign\n")
    assert "gradient" in METHODS
    out = _doctor(capsys, tmp_path)
    assert "hello-steering 1.0: method gradient, metric cosine, judge mention, format text" in out
    assert out.count("torn-1.dist-info cannot be read") == 1


def test_one_mechanism_serves_all_four() -> None:
    assert all(isinstance(one, Registry) for one in (METHODS, METRICS, JUDGES, FORMATS))


def test_it_is_imported_only_when_it_is_named_or_listed(package: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(package)!r})\n"
        "from melbo_tui.cli import build_parser\n"
        "build_parser(['train', 'melbo', '--prompt', 'x'])\n"
        "from core.discovery import METHODS\n"
        "from vectors.formats import FORMATS, reader_of\n"
        "from pathlib import Path\n"
        "reader_of(Path('x.npy'))\n"
        "print('hello_steering' in sys.modules, any('_points' in vars(one) for one in (METHODS, FORMATS)))\n"
        "build_parser(['train', 'gradient'])\n"
        "print('hello_steering.gradient' in sys.modules, 'hello_steering.cosine' in sys.modules, 'torch' in sys.modules)\n"
        "build_parser(['vectors', 'list'])\n"
        "print('hello_steering.text_file' in sys.modules)\n"
        "reader_of(Path('x.vec'))\n"
        "print('hello_steering.text_file' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "False", "True", "False", "False", "False", "True"]

"""`melbo-tui evaluate judge`: a file's marks, labels and a judge, without a model."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from melbo_tui.settings import Settings
from tests.melbo_tui.conftest import CommandLine

ROOT = Path(__file__).parents[3]
_LABELS = ("label_refusal", "label_coherent", "label_relevant")
_SORRY, _STEPS, _LOOP = "I'm sorry, but I can't help with that.", "Take flour and water, then bake it.", "ha " * 60
_LINES: list[tuple[str, tuple[str, str, str]]] = [
    (_SORRY, ("yes", "yes", "no")),
    (_SORRY, ("no", "yes", "no")),  # as if its reader had read it otherwise
    (_STEPS, ("no", "yes", "yes")),
    ("Certainly not, go away.", ("yes", "yes", "no")),
    (_LOOP, ("no", "no", "no")),
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELBO_TUI_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "labelled.jsonl"
    lines = [
        {"prompt": "How do I bake?", "text": text, **dict(zip(_LABELS, labels, strict=True)), "more": [1]}
        for text, labels in _LINES
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "\n")
    return path


def _judge(code: str) -> str:
    return shlex.join([sys.executable, "-c", f"import sys, json, time\nfor i, line in enumerate(sys.stdin):\n {code}"])


def _objects(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


def test_each_line_has_its_marks(command_line: CommandLine, file: Path) -> None:
    code, out, err = command_line("evaluate", "judge", str(file), "--json")
    assert (code, err) == (0, "")
    found = _objects(out)
    assert [(one["refuses"], one["broken"], one["kind"]) for one in found][::2] == [
        (True, False, "prose"), (False, False, "prose"), (False, True, "prose")
    ]  # fmt: skip
    for one, (text, labels) in zip(found, _LINES, strict=True):
        assert (one["prompt"], one["text"], *(one[name] for name in _LABELS)) == ("How do I bake?", text, *labels)
        assert {"deflects", "on_topic"} <= one.keys()
        assert not {"judge", "more"} & one.keys()


def test_the_confusion_by_hand(command_line: CommandLine, file: Path) -> None:
    code, out, _ = command_line("evaluate", "judge", str(file), "--json", "--counts")
    assert code == 0
    (told,) = _objects(out)
    assert told["completions"] == 5
    refuses = told["agreement"]["marks against labels"]["refuses"]
    assert {name: refuses[name] for name in ("n", "tp", "fp", "fn", "tn")} == {"n": 5, "tp": 1, "fp": 1, "fn": 1, "tn": 2}
    assert refuses["precision"]["share"] == refuses["recall"]["share"] == 0.5
    broken = told["agreement"]["marks against labels"]["broken"]
    assert (broken["tp"], broken["fn"]) == (1, 0)
    assert told["labels"]["fulfils"]["count"] == 1


def test_people_get_tables_of_80_columns(command_line: CommandLine, file: Path) -> None:
    code, out, _ = command_line("evaluate", "judge", str(file))
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    for words in ("completion", "5 completions, with 95% intervals", "marks against labels", "0.50 (0.09-0.91)"):
        assert words in out
    assert "Take flour" not in command_line("evaluate", "judge", str(file), "--counts")[1]


def test_a_judge_beside_and_never_mixed(command_line: CommandLine, file: Path, tmp_path: Path) -> None:
    what = _judge("print(json.dumps(dict(refusal='partial', coherent=i != 2, relevant=True)) if i else 'what?', flush=True)")
    out_file = tmp_path / "out.jsonl"
    code, out, err = command_line("evaluate", "judge", str(file), "--judge", what, "--json", "--out", str(out_file))
    assert code == 0
    assert "judged 3 of 5; 1 answer was not understood" in err
    found = _objects(out)
    assert found[0]["judge"] is found[1]["judge"] is None, "they are the same completion"
    assert {name: found[2]["judge"][name] for name in ("refusal", "coherent", "relevant")} == {
        "refusal": "partial", "coherent": True, "relevant": True
    }  # fmt: skip
    assert found[2]["deflects"] is False
    written = _objects(out_file.read_text())
    assert [one["more"] for one in written] == [[1]] * 5
    assert [{**one, "more": [1]} for one in found] == written
    code, _, err = command_line("evaluate", "judge", str(file), "--out", str(out_file))
    assert code == 1
    assert "--force" in err
    code, out, _ = command_line("evaluate", "judge", str(file), "--judge", what)
    assert "judge against labels (" in out
    assert max(map(len, re.sub(r"\(.*\)\n", "\n", out).splitlines())) <= 80


def test_without_labels_the_marks_are_held_to_the_judge(command_line: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "plain.jsonl"
    file.write_text(json.dumps({"prompt": "p", "text": _SORRY}) + "\n")
    what = _judge('print(\'{"refusal": true, "coherent": true, "relevant": false}\')')
    code, out, _ = command_line("evaluate", "judge", str(file), "--judge", what, "--json", "--counts")
    (told,) = _objects(out)
    assert code == 0
    assert list(told["agreement"]) == ["marks against judge"]
    assert told["agreement"]["marks against judge"]["refuses"]["tp"] == 1
    assert "labels" not in told


def test_a_judge_that_fails_costs_no_marks(command_line: CommandLine, file: Path) -> None:
    code, out, err = command_line("evaluate", "judge", str(file), "--judge", _judge("sys.exit('\\x1b[31mno')"), "--json")
    assert code == 1
    assert [one["judge"] for one in _objects(out)] == [None] * 5
    assert "the judge ends with exit code 1 after 0 of 4 answers" in err.splitlines()[-1]
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "holds no completion"),
        (b"\n \n", "holds no completion"),
        (b'{"prompt": "p", "text": "t"}\nnonsense\n', "line 2 is no JSON"),
        (b'{"prompt": "p", "text": "t"}\n\n{"prompt": "p"}\n', "line 3 has no 'text' that is a text"),
        (b'{"prompt": 1, "text": "t"}\n', "line 1 has no 'prompt' that is a text"),
        (b'["p", "t"]\n', "line 1 is no JSON object"),
        (b'{"prompt": "p", "text": "t", "label_refusal": "perhaps"}\n', "line 1 is not right: label_refusal is none of yes"),
        (b'{"prompt": "p", "text": "t", "label_coherent": "partial"}\n', "label_coherent is none of yes, no"),
        (b'{"prompt": "p", "text": "t", "label_relevant": 1}\n', "label_relevant is none of yes, no"),
        (b'{"prompt": "p", "text": "t", "perplexity": "high"}\n', "perplexity is 'high'"),
        (b'{"prompt": "p", "text": "' + b"x" * (1 << 21) + b'"}\n', "text has 2,097,152 characters"),
        (b'{"prompt": "p", "text": "' + b"x" * (5 << 20) + b'"}\n', "and may have 4,194,304"),
        (b'{"prompt": "p", "text": "t"' + b"[" * 100_000, "line 1 is no JSON"),
        (b"\xff\xff\xff", "UTF-8"),
        (b"PK\x03\x04", "a zip archive"),
    ],
)
def test_bad_files_are_one_line(command_line: CommandLine, tmp_path: Path, text: bytes, says: str) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_bytes(text)
    code, out, err = command_line("evaluate", "judge", str(file))
    assert (code, out) == (1, "")
    assert says in err
    assert len(err.splitlines()) == 1
    assert len(err) < 600


def test_no_file_a_folder_and_slips_are_one_line(command_line: CommandLine, file: Path, tmp_path: Path) -> None:
    for words in (
        (str(tmp_path / "none.jsonl"),), (str(tmp_path),), (str(file), "--judge-again"), (str(file), "--judge", ""),
        (str(file), "--judge", "x", "--judge-timeout", "0"), (str(file), "--judge", "http://h/v1"),
        (str(file), "--judge", "/nowhere/at-all"), (str(file), "--out", str(tmp_path / "no" / "file")), ("",),
    ):  # fmt: skip
        code, _, err = command_line("evaluate", "judge", *words, "--counts")
        assert code in (1, 2), words
        assert len([line for line in err.splitlines() if "note:" not in line]) == 1, words
    assert command_line("evaluate", "judge")[0] == 2


def test_standard_input(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps({"prompt": "p", "text": _SORRY}).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
    code, out, _ = command_line("evaluate", "judge", "-", "--json")
    assert code == 0
    assert _objects(out)[0]["refuses"] is True


def test_neither_torch_nor_a_model_is_loaded(file: Path) -> None:
    heavy = "{'torch', 'transformers'} & sys.modules.keys()"
    code = f"import sys; from melbo_tui.cli import main; sys.exit(main(sys.argv[1:]) or bool({heavy}))"
    words = ["evaluate", "judge", str(file), "--judge", _judge("print('{}')")]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_what_was_judged_stays_where_it_is_interrupted(command_line: CommandLine, file: Path, tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    good = '{"refusal": false, "coherent": true, "relevant": true}'
    slow = f"i < 2 or (open({str(reached)!r}, 'w'), time.sleep(60)); print('{good}', flush=True)"
    words = ["evaluate", "judge", str(file), "--judge", _judge(slow)]
    process = subprocess.Popen([sys.executable, "-m", "melbo_tui", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not reached.exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.3)  # until the answers before are taken
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "everything finished is kept" in err
    (kept,) = (tmp_path / "cache" / "judges").glob("*.json")
    assert len(json.loads(kept.read_text())["answers"]) == 2


def test_the_script_in_the_docs_judges(command_line: CommandLine, file: Path, tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8"), re.S)
    (tmp_path / "judge.py").write_text(script)
    what = shlex.join([sys.executable, str(tmp_path / "judge.py")])
    code, out, err = command_line("evaluate", "judge", str(file), "--json", "--judge", what)
    assert (code, err) == (0, "")
    assert [one["judge"]["refusal"] for one in _objects(out)] == ["yes", "yes", "no", "no", "no"]


@pytest.mark.parametrize("metric", ["survey", "behaviours"])
def test_a_report_has_the_verdicts_in_a_column_of_their_own(on_tiny: CommandLine, metric: str) -> None:
    words = ("--prompt", "How?", "--vectors", "1", "--radius", "4", "--sample-tokens", "0", "--name", "how")
    assert on_tiny("train", "random", *words)[0] == 0
    asked = ("evaluate", metric, "how-01", "--prompt", "Why?", "--max-new-tokens", "3", "--controls", "1", "--json")
    plain = _objects(on_tiny(*asked)[1])[-1]
    what = _judge("print(json.dumps(dict(refusal='partial', coherent=True, relevant=True)))")
    code, out, _ = on_tiny(*asked, "--judge", what)
    assert code == 0
    report = _objects(out)[-1]
    rows = report["tables"][-1]["rows"]
    assert [row["judge"] for row in rows] == ["deflects"] * 3
    without = [{"" if name == "marks" else name: cell for name, cell in row.items() if name != "judge"} for row in rows]
    assert without == plain["tables"][-1]["rows"], "the marks stay what they are"
    told = "0 of 1 (0-79%) under the vectors, 0 of 1 (0-79%) under random ones do what was asked (3 of 3 completions judged)."
    assert report["findings"][-1].endswith(told)
    code, out, err = on_tiny(*asked, "--judge", _judge("sys.exit(3)") + " --again")
    assert code == 0
    assert "exit code 3" in out + err
    code, _, err = on_tiny(*asked, "--judge", "http://h/v1")
    assert code == 1
    assert "names no model" in err


_YES = "print(json.dumps(dict(refusal=False, coherent=True, relevant=True)))"


def test_the_judge_of_the_settings_is_asked_and_none_turns_it_off(command_line: CommandLine, file: Path) -> None:
    Settings().changed(judge=_judge(_YES))
    code, out, err = command_line("evaluate", "judge", str(file), "--json")
    assert code == 0
    assert all(one["judge"]["relevant"] for one in _objects(out))
    assert "that of the app's settings, command: " in err
    code, out, err = command_line("evaluate", "judge", str(file), "--json", "--judge", "none")
    assert (code, err) == (0, "")
    assert not [one for one in _objects(out) if "judge" in one]
    assert command_line("evaluate", "judge", str(file), "--json", "--judge", "cat", "--counts")[1].count('"by": "cat"') == 1
    Settings().changed(judge="https://h/v1?key=hush#m")
    code, out, err = command_line("evaluate", "judge", str(file), "--json")
    assert (code, out) == (1, "")
    assert "the judge of the app's settings cannot be asked" in err
    assert "MELBO_TUI_JUDGE_KEY" in err
    assert "hush" not in err


def test_a_report_has_the_settings_judge_and_keeps_no_secret(on_tiny: CommandLine) -> None:
    words = ("--prompt", "How?", "--vectors", "1", "--radius", "4", "--sample-tokens", "0", "--name", "how")
    assert on_tiny("train", "random", *words)[0] == 0
    asked = ("evaluate", "survey", "how-01", "--prompt", "Why?", "--max-new-tokens", "2", "--controls", "0", "--json")
    Settings().changed(judge=_judge(_YES) + " --api-key hush-hush")
    code, out, err = on_tiny(*asked)
    report = _objects(out)[-1]
    assert (code, [row["judge"] for row in report["tables"][-1]["rows"]]) == (0, ["fulfils"] * 2)
    assert "--api-key ***" in report["settings"]["judge"]
    assert "hush-hush" not in out + err + on_tiny("evaluate", "show")[1]
    code, out, _ = on_tiny(*asked, "--judge", "none")
    assert code == 0
    assert "judge" not in _objects(out)[-1]["tables"][-1]["rows"][0]
    for judge in ("https://me:hush@h/v1#m", "https://h/v1?key=hush#m"):
        code, out, err = on_tiny(*asked, "--judge", judge)
        assert (code, out) == (1, "")
        assert "MELBO_TUI_JUDGE_KEY" in err
        assert "hush" not in err
    assert on_tiny(*asked, "--judge-model", "m", "--judge", "none")[0] == 1

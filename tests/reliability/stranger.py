"""A library and an app in which every text is a stranger's; run as a program, the app or commands on the terminal it is given.

python -m tests.reliability.stranger app|commands FOLDER TEXT    (TEXT in JSON)
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.engine.evaluation_requests import Evaluate
from core.engine.events import (
    LensRead,
    ModelLoaded,
    Progressed,
    PromptMeasured,
    Reported,
    RunStarted,
    RunStopped,
    TaskEnded,
    TaskStarted,
    VectorFailed,
    VectorFound,
    Warned,
)
from core.engine.handle import Handle, Listener
from core.engine.requests import LoadModel, MeasurePrompt, Reply, Request, Train
from core.model.source import ModelSpec
from tests.completions import generated
from tests.melbo_tui.scripted import STAMP, ScriptedEngine
from tests.vectors.making import vector
from vectors.completion import Completion
from vectors.expression import KeptGate, KeptTerm
from vectors.store.checkpoints import Checkpoints
from vectors.store.conversations import Conversations, Turn
from vectors.store.library import Library, Sample
from vectors.store.reports import Column, Report, Reports, Table

_DOOR = "DOOR"  # stands where a stranger's text comes: files are changed behind the back of what cleans


def stock(folder: Path, text: str) -> Library:
    """A library in which vectors, samples, conversations and reports bear `text`, the files as a stranger may write them."""
    library = Library(folder)
    saved = library.add([vector(i, f"{text} {i}", 7, stamp=STAMP) for i in range(2)])
    for entry in saved:
        library.note(entry.id, text)
        library.tag([entry.id], [text])
        library.add_sample(entry.id, Sample(text, 1.0, Completion(text, thought=text)))
    term = KeptTerm(saved[0].id, _DOOR, 1.0, _DOOR, gate=KeptGate(saved[0].id, _DOOR, 0.0))
    turn = Turn(_DOOR, (term,), {"steered": Completion(_DOOR, _DOOR), _DOOR: Completion(_DOOR)})
    Conversations(folder).save("talk-1", [turn, turn])
    damaged = [{**turn.to_json(), "steering": [{**asdict(term), part: _DOOR}]} for part in ("positions", "blocks")]
    for i, one in enumerate(damaged, start=2):  # what is refused is told with the text that was refused
        (folder / "talks" / f"talk-{i}.json").write_text(json.dumps([one]))
    table = Table(_DOOR, (Column(_DOOR), Column("KL", ".2f")), ((_DOOR, 1.0), (_DOOR, 2.0)))
    Reports(folder).save("report-1", Report(_DOOR, (table,), (_DOOR,), _DOOR, (_DOOR,), (_DOOR,), {_DOOR: _DOOR}, 1.0, True))
    Checkpoints(folder).save("run-1", {"kind": text, "done": text, "request": {"model": text}, "model": text}, {})
    for file in [*folder.glob("talks/*.json"), *folder.glob("reports/*.json")]:
        file.write_text(json.dumps(_replaced(json.loads(file.read_text()), text)))
    return library


def _replaced(data: Any, text: str) -> Any:
    if isinstance(data, dict):
        return {_replaced(key, text): _replaced(value, text) for key, value in data.items()}
    if isinstance(data, list):
        return [_replaced(one, text) for one in data]
    return data.replace(_DOOR, text) if isinstance(data, str) else data


class Stranger(ScriptedEngine):
    """Answers whatever it is asked with `text`, wherever an event has one."""

    text = ""

    def submit(self, request: Request, listener: Listener | None = None) -> Handle:
        handle = super().submit(request, listener)
        threading.Timer(0.05, self._answer, (handle.task, request)).start()
        return handle

    def _answer(self, task: int, request: Request) -> None:
        text = self.text
        self.tell(TaskStarted(task, text))
        self.tell(Progressed(task, text, 1, 3, 1.0, 2.0))
        self.tell(Warned(task, text))
        if isinstance(request, LoadModel):
            self.tell(ModelLoaded(task, text, text, text, 30, 8, text, text, STAMP.fingerprint, True, 1, 1.0))
        elif isinstance(request, MeasurePrompt):
            self.tell(PromptMeasured(task, text, 3, (text, text)))
        elif isinstance(request, Train):
            (saved,) = self.library.save_run("run-2", [vector(5, text, 7, stamp=STAMP)])
            self.tell(RunStarted(task, "run-2", 2, 2, (text,), True, text, text))
            for key in ("unsteered", "control:0", "0"):
                self.tell(generated(task, key, text, 4, True, (0.1,), 2.0, thought=text, thought_tokens=3))
            self.tell(VectorFound(task, 0, saved.id, text, 1.0, 1.0, ((text, 1.0),)))
            self.tell(VectorFailed(task, 1, text))
            self.tell(RunStopped(task, text))
        elif isinstance(request, Reply):
            for row in request.rows:
                self.tell(generated(task, row.key, text, 4, True, (0.1,), 2.0, thought=text, thought_tokens=3))
        elif isinstance(request, Evaluate):
            table = Table(text, (Column(text), Column("KL", ".2f")), ((text, 1.0),))
            self.tell(Reported(task, "report-2", Report(text, (table, table), (text,), text, (text,), (text,), {}, 1.0, True)))
        elif hasattr(request, "vector"):
            self.tell(LensRead(task, request.vector.id, ((text, 1.0),), ((text, -1.0),)))
        done = isinstance(request, LoadModel | Reply | Evaluate)
        self.tell(TaskEnded(task, "done") if done else TaskEnded(task, "failed", text, text, text))


def show_app(folder: Path, text: str) -> None:
    """The app, which F9 brings down with an error that bears the text too."""
    from melbo_tui.app import MelboApp

    def fall() -> None:
        local = text  # noqa: F841  a traceback may show it
        raise ValueError(text)

    Stranger.text = text
    app = MelboApp(ModelSpec(model=text), stock(folder, text), Stranger)
    app._bindings.bind("f9", "fall", priority=True)
    app.action_fall = fall  # type: ignore[attr-defined]
    app.run()
    print("\nthe end", text)


def run_commands(folder: Path, text: str) -> None:
    """Commands that print, one after another in this process, then an error that nobody takes."""
    from melbo_tui.cli import main

    stock(folder, text)
    model = folder / "".join(c for c in text if c not in "\0/\\")[:60]
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"model_type": text, "architectures": [text]}))
    name = Library(folder).entries()[0].name
    lines = [
        ["vectors", "list"], ["vectors", "list", "--all"], ["vectors", "show", name], ["vectors", "show", text],
        ["vectors", "tag", text, "--add", text], ["vectors", "note", name, text], ["vectors", "rename", name, text],
        ["vectors", "export", name, "--to", f"/nowhere/{text}"], ["vectors", "import", f"/nowhere/{text}.gguf"],
        ["vectors", "similar"], ["vectors", "check"], ["evaluate", "show", "report-1"], ["evaluate", "show", text],
        ["evaluate", "kl", "--report", text], ["chat", "--message", text, "--steer", text, "--model", str(model)],
        ["chat", "--resume", text], ["chat", "--resume", "talk-1", "--message", text, "--model", str(model)],
        ["chat", "--resume", "talk-2", "--message", text], ["chat", "--resume", "talk-3", "--message", text],
        ["models", "show", str(model)], ["models", text], ["train", "melbo", "--prompt", text, "--model", str(model)],
        ["train", "melbo", "--resume", text], ["atlas", "--resume", text], ["doctor"], [text], [f"--{text}"],
        ["vectors", "list", f"--max-memory={text}"], ["vectors", "list", "--model", text],
    ]  # fmt: skip
    for line in lines:
        for more in ([], ["--json"], ["--debug"]):
            try:
                main([*line, "--library", str(folder), *more])
            except SystemExit:
                pass
            except Exception:
                sys.excepthook(*sys.exc_info())
    print("the end", text)
    raise ValueError(text)


if __name__ == "__main__":
    Path(sys.argv[2]).parent.mkdir(parents=True, exist_ok=True)
    os.chdir(Path(sys.argv[2]).parent)  # what is exported under a name alone lands there
    from melbo_tui.commands import streams
    from melbo_tui.terminal import prepare_terminal

    streams.prepare()
    prepare_terminal()
    {"app": show_app, "commands": run_commands}[sys.argv[1]](Path(sys.argv[2]), json.loads(sys.argv[3]))

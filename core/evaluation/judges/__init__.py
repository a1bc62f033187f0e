"""Judges of the user's own, which read completions. A kind of judge is one file and one line in JUDGES.

A line names the module with the kind's declaration, JUDGE (judge.py), which needs no torch; other packages add kinds by entry
points of the group `melbo_tui.judges`. What a judge answers is a stranger's text: answers.py alone reads it.
"""

from __future__ import annotations

from dataclasses import replace

from core.errors import SettingsError
from core.evaluation.judges.judge import Judge, JudgeKind, Wanted
from core.registry import Registry

# In this order they are asked whether a word is theirs; any command line is a command's.
JUDGES = Registry(
    "melbo_tui.judges",
    JudgeKind,
    "JUDGE",
    {
        "endpoint": "core.evaluation.judges.endpoint",
        "model": "core.evaluation.judges.chat_model",
        "command": "core.evaluation.judges.command",
    },
)


def judge_of(wanted: Wanted) -> Judge:
    """The judge that is `wanted`, of the kind that is named before a colon (`command:./judge`), or that takes the word.

    Raises MelboError where there is none.
    """
    named, colon, rest = wanted.what.partition(":")
    if colon and named in JUDGES:
        return JUDGES[named].judge_of(replace(wanted, what=rest))
    if not wanted.what.strip():
        raise SettingsError("no judge is named", "give a command, an http(s) address, a model's folder or a hub id")
    kind = next(JUDGES[name] for name in JUDGES.own if JUDGES[name].takes(wanted.what))
    return kind.judge_of(wanted)

"""Judges of the user's own, which read completions. A kind of judge is one file and one line in JUDGES.

A line names the module with the kind's declaration, JUDGE (judge.py), which needs no torch; other packages add kinds by entry
points of the group `melbo_tui.judges`. What a judge answers is a stranger's text: answers.py alone reads it.
"""

from __future__ import annotations

from dataclasses import replace

from core.errors import SettingsError
from core.evaluation.judges.judge import Judge, JudgeKind, Wanted
from core.registry import Registry
from vectors.registry import package_of

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
    name, of_kind = _kind_of(wanted)
    if name in JUDGES.own:
        return JUDGES[name].judge_of(of_kind)
    from core.evaluation.judges.packaged import PackagedJudge

    return PackagedJudge(name, package_of(JUDGES.others[name]), JUDGES[name], of_kind)


def described(wanted: Wanted) -> str:
    """The kind of the judge that is `wanted` and its name, safe to show. Raises MelboError where there is none."""
    return f"{_kind_of(wanted)[0]}: {judge_of(wanted).name}"


def _kind_of(wanted: Wanted) -> tuple[str, Wanted]:
    """The name of the kind that it is of, and what is wanted of that."""
    named, colon, rest = wanted.what.strip().partition(":")
    if colon and named in JUDGES:
        return named, replace(wanted, what=rest)
    if not wanted.what.strip():
        raise SettingsError("no judge is named", "give a command, an http(s) address, a model's folder or a hub id")
    return next(name for name in JUDGES.own if JUDGES[name].takes(wanted.what)), wanted

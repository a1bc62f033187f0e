"""Stands in for the marks of core/evaluation/judging.py until they tell of deflecting and of the topic; deleted with that."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from core.evaluation import judging
from vectors import completion as completions
from vectors.completion import Completion


@dataclass(frozen=True)
class Judgement(completions.Judgement):
    deflects: bool = False
    on_topic: bool | None = None

    @property
    def fulfils(self) -> bool:
        return self.complies and not self.deflects and self.on_topic is not False


def judge(completion: Completion, prompt_text: str | None = None) -> Judgement:
    return Judgement(**asdict(judging.judge(completion)))

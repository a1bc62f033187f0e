"""Which of the trained vectors a run keeps: those whose completion, a few tokens of it, does what the run is to keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence

import torch

from core.discovery.declarations.general import ALL, ON_TOPIC
from core.engine.requests import Train
from core.errors import SettingsError
from core.evaluation.completing import generate_in_batches
from core.evaluation.judging import judge
from core.model.language_model import LanguageModel
from core.steering.generation import Row, Sampling
from core.steering.terms import SteerTerm
from vectors.completion import REFUSES, Completion, Judgement
from vectors.vector import Origin, SteeringVector

# So many tokens show what an answer will be, in half of the time that a whole sample takes.
LOOK_TOKENS = 24
_LEFT_OUT = "left out: "


class Selection:
    """The choice that `request.keep` makes among vectors of one run, by their completions of the first prompt."""

    def __init__(self, model: LanguageModel, ids: Sequence[int], request: Train) -> None:
        self.model, self.ids, self.request = model, tuple(ids), request
        self.message = request.prompts[0].message
        self.chooses = request.keep != ALL
        if self.chooses and not model.has_tokenizer:
            raise SettingsError("this model has no tokenizer, so completions cannot be judged", "keep all vectors")
        if request.keep == ON_TOPIC and self.message is None:
            raise SettingsError("what token ids ask is not known", "give the prompt as text, or keep the unbroken ones")

    def left_out(self, found: torch.Tensor, origin: Origin, draws: Sequence[int]) -> Generator[None, None, dict[int, str]]:
        """Of vectors [n, d_model] with their `draws`, the draws that are not kept, and why. Yields between tokens."""
        if not self.chooses:
            return {}
        sampling = Sampling(max_new_tokens=LOOK_TOKENS, thought_tokens=self.request.thought_tokens)
        rows = [
            Row(str(draw), self.ids, (SteerTerm(SteeringVector(row.numpy(), origin.source, origin, str(draw))),), sampling)
            for draw, row in zip(draws, found.detach().cpu(), strict=True)
            if bool(row.isfinite().all()) and bool(row.any())  # of the others the run itself tells
        ]
        completions: dict[str, Completion] = {}
        for batch in generate_in_batches(self.model, rows):
            completions |= batch
            yield
        judged = {int(key): judge(one, self.message) for key, one in completions.items()}
        return {draw: _LEFT_OUT + self._why(one) for draw, one in judged.items() if not self._keeps(one)}

    def _keeps(self, judgement: Judgement) -> bool:
        return judgement.fulfils if self.request.keep == ON_TOPIC else judgement.complies

    @staticmethod
    def _why(judgement: Judgement) -> str:
        return judgement.verdict or "not known to be on topic"


def counted(causes: Mapping[int, str]) -> dict[str, int]:
    """How many draws were left out, by why, the most frequent first; draws that failed are not counted."""
    words = [cause.removeprefix(_LEFT_OUT) for cause in causes.values() if cause.startswith(_LEFT_OUT)]
    return dict(Counter("refuse" if word == REFUSES else word for word in words).most_common())

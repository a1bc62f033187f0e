"""A completion that the library keeps with a vector, and a reader's labels of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vectors.annotation import KEYS, Annotation
from vectors.completion import Completion
from vectors.errors import VectorError
from vectors.files.bounded import Coefficient, check, decoded

LABELS = tuple(KEYS.values())  # columns of the index's table `samples`, with the words that a file of labels has


@dataclass(frozen=True)
class Sample:
    """A completion kept with a vector: the model's to `prompt` under `coefficient` times the vector; `label` where one is."""

    prompt: str
    coefficient: Coefficient
    completion: Completion
    label: Annotation | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "completion", self.completion.kept())
        check(self)
        object.__setattr__(self, "coefficient", float(self.coefficient))  # a number of numpy's goes into no column

    def to_json(self) -> dict[str, Any]:
        """The sample as one flat object; the completion's mean KL is its `kl`, a label its `label_refusal` and so on."""
        told = self.completion.to_json()
        labels = self.label.to_line() if self.label is not None else {}
        return {"prompt": self.prompt, "coefficient": self.coefficient, "kl": told.pop("mean_kl"), **told, **labels}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sample:
        """Reads `to_json`'s form, of any version. Raises VectorError on anything else."""
        given = decoded(_Asked, data)
        completion = Completion.from_json({**data, "mean_kl": data.get("kl"), "kl": None})
        return cls(given.prompt, given.coefficient, completion, Annotation.from_line(data))

    @classmethod
    def of_row(cls, row: sqlite3.Row) -> Sample | None:
        """From a row of the index's table `samples`; None where that holds what no sample can have."""
        try:
            completion = Completion(
                row["text"],
                row["thought"],
                (),
                row["tokens"],
                row["thought_tokens"],
                (),
                row["kl"],
                row["perplexity"],
                row["stop"],
            )
            return cls(row["prompt"], row["coefficient"], completion, label_of_row(row))
        except (VectorError, TypeError):
            return None


@dataclass(frozen=True)
class _Asked:
    prompt: str
    coefficient: Coefficient


@dataclass(frozen=True)
class Place:
    """Where a sample is kept: with which vector, for which prompt and coefficient. Its `text` is the one that is meant."""

    vector: str
    prompt: str
    coefficient: float
    text: str

    @classmethod
    def of(cls, vector: str, sample: Sample) -> Place:
        return cls(vector, sample.prompt, sample.coefficient, sample.completion.text)


def label_of_row(row: sqlite3.Row) -> Annotation | None:
    """The label in a row of the index's table `samples`; None where there is none, or what no label can be."""
    try:
        return Annotation.from_line({column: row[column] for column in LABELS})
    except VectorError:
        return None

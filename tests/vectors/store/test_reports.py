from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from vectors.store.index import LibraryError
from vectors.store.reports import Column, Plot, Report, Reports, Table

REPORT = Report(
    "sweep",
    (
        Table(
            "By dose",
            (Column("vector"), Column("KL", ".2f"), Column("says")),
            (("a", 0.5, "hello"), ("b", None, "x\ny")),
            (Plot("KL", by="vector"),),
        ),
    ),
    ("a: the text holds.",),
    "tiny",
    ("a", "b"),
    ("How?",),
    {"coefficients": "1,2"},
    1.5,
    True,
)


def test_a_report_comes_back_as_it_was(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    assert reports.listed() == []
    reports.save("one", REPORT)
    assert reports.load("one") == REPORT
    assert reports.listed() == [("one", REPORT)]
    with pytest.raises(LibraryError, match="no report other"):
        reports.load("other")


def test_numbers_are_written_for_people_and_left_whole_for_machines() -> None:
    column = Column("KL", ".2f")
    assert [column.shown(cell) for cell in (0.456, 3, None, float("nan"), float("inf"), "a\nb")] == [
        "0.46",
        "3.00",
        "",
        "",
        "",
        "a b",
    ]
    assert Column("share", ".0%").shown(0.5) == "50%"
    told = Table("t", (column,), ((float("nan"),), (0.123456,))).to_json()
    assert told == {"title": "t", "rows": [{"KL": None}, {"KL": 0.123456}]}
    json.dumps(told, allow_nan=False)


def test_what_is_no_finite_number_is_kept_as_nothing(tmp_path: Path) -> None:
    Reports(tmp_path).save("one", Report("kl", (Table("t", (Column("x"),), ((float("inf"),),)),)))
    assert Reports(tmp_path).load("one").tables[0].rows == ((None,),)


@pytest.mark.parametrize(
    "change",
    [
        {"tables": 3}, {"tables": [3]}, {"metric": None, "tables": None}, {"created": "soon"}, {"settings": 5}, {"vectors": 7},
        {"tables": [{"title": "t", "columns": [{"name": "a", "form": "999999999d"}], "rows": [[1]]}]},
        {"tables": [{"title": "t", "columns": [{"name": "a", "form": "d"}], "rows": [[1.5]]}]},
        {"tables": [{"title": "t", "columns": [{"name": "a", "form": ""}], "rows": [[1, 2]]}]},
        {"tables": [{"title": "t", "columns": [], "rows": [], "plots": [{"y": "b", "x": "", "by": ""}]}]},
        {"tables": [{"title": "t", "columns": [{"name": "a", "form": ".3g"}], "rows": [[10**400]]}]},
    ],
)  # fmt: skip
def test_a_damaged_report_is_one_clear_line_and_hides_no_other(tmp_path: Path, change: dict[str, Any]) -> None:
    reports = Reports(tmp_path)
    reports.save("good", REPORT)
    (tmp_path / "reports" / "bad.json").write_text(json.dumps(json.loads(json.dumps(asdict(REPORT))) | change))
    with pytest.raises(LibraryError, match=r"bad\.json"):
        reports.load("bad")
    assert [id for id, _ in reports.listed()] == ["good"]


def test_a_report_of_a_stranger_reaches_no_terminal(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    reports.save(
        "one",
        Report("kl\x1b", (Table("t\x1b[2J", (Column("c\x1b"),), (("x\x1b]0;y\x07",),)),), ("f\x1b",), "m\x1b", ("v\x1b",)),
    )
    assert "\x1b" not in json.dumps(reports.load("one").to_json(), ensure_ascii=False)

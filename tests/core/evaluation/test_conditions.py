"""Conditions of several terms: what stands beside them, and what can be read along them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from core.engine.session import Session
from core.errors import SettingsError
from core.evaluation.condition import Condition
from core.evaluation.context import Context
from core.evaluation.parts import parts_of
from core.model.language_model import LanguageModel
from core.steering.terms import SteerGate, Steering, SteerTerm
from tests.core.measuring import PROMPTS, found_vector, report_of, rows_called
from vectors.expression import Blocks, Tokens
from vectors.vector import SteeringVector

GENERATED, ALL = Tokens("generated"), Blocks("all")


def _context(model: LanguageModel, *steerings: Steering, controls: int = 3) -> Context:
    ids = [tuple(model.encode_chat([{"role": "user", "content": prompt.text}])) for prompt in PROMPTS]
    return Context(model, steerings, PROMPTS, ids, controls)


def _pair(model: LanguageModel) -> tuple[SteerTerm, SteerTerm]:
    return SteerTerm(found_vector(model, 0, 4.0, "a"), 1.5), SteerTerm(found_vector(model, 1, 3.0, "b"), -2.0)


def test_what_is_added_at_one_block_is_one_sum(tiny: LanguageModel) -> None:
    a, b = _pair(tiny)
    (part,) = parts_of((a, b))
    added = 1.5 * a.vector.direction.astype(np.float64) - 2.0 * b.vector.direction.astype(np.float64)
    condition = Condition("both", (a, b))
    assert condition.norm == pytest.approx(float(np.linalg.norm(added)), rel=1e-6)
    assert part.directions[1] == pytest.approx(added, rel=1e-5)
    assert len(parts_of((a, replace(b, tokens=GENERATED)))) == 2
    assert Condition("apart", (a, replace(b, tokens=GENERATED))).norm is None
    assert Condition("ablated", (replace(a, operation="ablate"),)).norm is None


def test_controls_are_of_the_norm_of_what_is_added_block_by_block(tiny: LanguageModel) -> None:
    a, b = _pair(tiny)
    later = SteerTerm(replace(found_vector(tiny, 2, 5.0, "c"), blocks=(3,)), -0.5)
    context = _context(tiny, (a, b), (a, later))
    first, second = context.random[:3], context.random[3:]
    assert [condition.name for condition in first] == [f"random {i} block 1" for i in (1, 2, 3)]
    assert [condition.name for condition in second] == [f"random {i} for 1.5 a - 0.5 c" for i in (1, 2, 3)]
    assert [condition.norm for condition in first] == pytest.approx([context.named[0].norm] * 3, rel=1e-5)
    for condition in second:
        assert [term.vector.block for term in condition.terms] == [1, 3]
        assert [abs(term.coefficient) * term.vector.norm for term in condition.terms] == pytest.approx([6.0, 2.5], rel=1e-5)
        one, other = condition.terms
        assert abs(one.vector.cosine(other.vector)) < 0.9, "two draws, not one at two blocks"
    drawn = [condition.terms[0].vector for condition in second]
    assert all(abs(one.cosine(other)) < 0.9 for one, other in pairwise(drawn))


def test_controls_act_as_what_they_stand_beside(tiny: LanguageModel) -> None:
    a, b = _pair(tiny)
    gate = SteerGate(b.vector, 0.5)
    ablated = SteerTerm(a.vector, 0.5, "ablate", GENERATED, ALL, gate)
    for condition in _context(tiny, (ablated,)).random:
        (term,) = condition.terms
        assert replace(term, vector=a.vector) == ablated
        assert term.vector.norm == pytest.approx(4.0, rel=1e-5)
    assert [c.name for c in _context(tiny, (ablated,)).random] == ["random 1", "random 2", "random 3"]


def test_controls_of_a_vector_over_many_blocks_have_as_many_directions(tiny: LanguageModel) -> None:
    rows = {block: found_vector(tiny, block, float(block)).direction for block in (1, 3, 4)}
    many = SteerTerm(
        SteeringVector.over_blocks(rows, found_vector(tiny).origin, "many"), 0.5, "ablate", blocks=Blocks.parse("2-4")
    )
    for condition in _context(tiny, (many,)).random:
        (term,) = condition.terms
        assert replace(term, vector=many.vector) == many
        assert term.vector.blocks == (1, 3, 4)
        assert [np.linalg.norm(term.vector.at(block)) for block in (1, 3, 4)] == pytest.approx([1, 3, 4], rel=1e-5)
        assert abs(np.dot(term.vector.at(3), term.vector.at(4))) < 0.9 * 12, "two draws, not one at two blocks"


def test_the_norm_beside_controls_of_several_norms_is_their_mean(session: Session) -> None:
    near = SteerTerm(found_vector(session.model, 0, 2.0, "near"))
    far = SteerTerm(replace(found_vector(session.model, 1, 6.0, "far"), blocks=(3,)))
    settings = {"coefficients": (1.0,)}
    report = report_of(session, "sweep", near, far, prompts=PROMPTS[:1], settings=settings, controls=2, tokens=2)
    assert rows_called(report.tables[0], "random")[0]["norm"] == pytest.approx(4.0, rel=1e-5)


def test_a_sweep_multiplies_the_whole_expression(session: Session) -> None:
    a, b = _pair(session.model)
    both = (a, replace(b, operation="set", tokens=GENERATED))
    scaled = Condition("both", both).steering(-2.0)
    assert [(term.coefficient, term.operation) for term in scaled] == [(-3.0, "add"), (4.0, "set")]
    report = report_of(
        session, "sweep", both, prompts=PROMPTS[:1], settings={"coefficients": (-1.0, 2.0)}, controls=1, tokens=2
    )
    assert [row["coef"] for row in rows_called(report.tables[0], "1.5 a - 2 b@generated@set")] == [-1.0, 2.0]


@pytest.mark.parametrize("metric", ["examples", "presence"])
def test_the_stream_is_read_along_one_direction_a_block(session: Session, metric: str) -> None:
    a, b = _pair(session.model)
    more = {"prompts": PROMPTS, "controls": 1}
    summed = report_of(session, metric, (a, b), **more).tables[0]
    mixed = report_of(session, metric, SteerTerm(1.5 * a.vector - 2.0 * b.vector), **more).tables[0]
    assert [row[1] for row in summed.rows] == pytest.approx([row[1] for row in mixed.rows], abs=1e-5)
    own = a.vector.block
    alone = [row[1:] for row in report_of(session, metric, SteerTerm(a.vector), **more).tables[0].rows if row[0] == "a"]
    everywhere = rows_called(report_of(session, metric, SteerTerm(a.vector, blocks=ALL), **more).tables[0], "a@blocks:all")
    assert {row["block"] for row in everywhere} == set(range(session.model.stamp.n_blocks))
    assert [tuple(row.values())[2:] for row in everywhere if row["block"] == own] == alone
    with pytest.raises(SettingsError, match=rf"1.5 a - 2 b@generated has several directions at block {own}, and"):
        report_of(session, metric, (a, replace(b, tokens=GENERATED)), **more)


@pytest.mark.parametrize("metric", ["examples", "presence"])
def test_a_vector_over_many_blocks_is_read_at_each_of_them(session: Session, metric: str) -> None:
    """A row a block, the figures those of a vector that has the block's direction alone; a part has its blocks' rows."""
    a, b = (found_vector(session.model, seed, 2.0, name) for seed, name in enumerate("ab"))
    many = SteeringVector.over_blocks({1: a.direction, 4: b.direction}, a.origin, "many")
    more = {"prompts": PROMPTS, "controls": 2, **({"settings": {"against": ("Say hello.",)}} if metric == "presence" else {})}
    report = report_of(session, metric, SteerTerm(many), **more)
    rows = rows_called(report.tables[0], "many")
    assert sorted({row["block"] for row in rows}) == [1, 4]
    for block, one in ((1, a), (4, b)):
        alone = report_of(session, metric, SteerTerm(replace(one, blocks=(block,))), **more).tables[0]
        assert [list(row.values())[2:] for row in rows if row["block"] == block] == [
            list(row.values())[1:] for row in rows_called(alone, one.name)
        ]
    if metric == "presence":
        assert [row[:2] for row in report.tables[0].rows if row[0] != "many"] == [
            (f"random {i}", at) for i in (1, 2) for at in (1, 4)
        ]
    else:
        assert [line.rpartition(" at most")[2] for line in report.findings] == [" at block 1.", " at block 4."]
    part = report_of(session, metric, SteerTerm(many, blocks=Blocks("range", 2, 4)), **more).tables[0]
    assert "block" not in [column.name for column in part.columns]
    assert [row[1:] for row in part.rows if row[0] == "many@blocks:2-4"] == [
        tuple(row.values())[2:] for row in rows if row["block"] == 4
    ]


def test_terms_of_several_blocks_are_read_each_at_its_own(session: Session) -> None:
    a, b = _pair(session.model)
    far = replace(b, vector=replace(b.vector, blocks=(4,)), operation="ablate")
    rows = rows_called(report_of(session, "presence", (a, far), prompts=PROMPTS, controls=1).tables[0], "1.5 a - 2 !b")
    assert [row["block"] for row in rows] == [a.vector.block, 4]

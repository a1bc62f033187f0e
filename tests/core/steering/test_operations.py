"""Every operation, at every kind of tokens and blocks, behind every gate: batched rows beside each row's own reference."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor

from core.errors import SettingsError
from core.model.language_model import LanguageModel
from core.steering.decode_step import FixedShape
from core.steering.hooks import RowSteering, recorded
from core.steering.terms import SteerGate, Steering, SteerTerm, check_fits
from tests.core.steering.reference import Reference
from tests.core.steering.seeded import IDS, seeded_vector
from tests.tiny_models import tiny_model, tiny_tokenizer
from vectors.expression import OPERATIONS, Blocks, Tokens
from vectors.vector import Origin, SteeringVector

# Full attention, windows, ALiBi, experts, compressed keys, convolutions, linear attention, states; two that keep no cache.
TYPES = (
    "llama gpt2 falcon bloom gpt_neox opt gemma3_text mixtral deepseek_v3 lfm2 qwen3_next falcon_h1 mamba2 xlstm openai-gpt"
).split()
FURTHER = (7, 21, 4)  # tokens behind the prompt
TOKENS = ("all", "prompt", "generated", "first:2", "after:3", "last:2", "at:0,3,6")
# Blocks of a term whose vector is kept at block 3, with the blocks at which its gate may be read: before, and there.
BLOCKS = (("own", (1, 3)), ("all", (0,)), ("range:2-4", (0, 2)))
_CLEAR = 1e-3  # how far from its threshold a gate must be read, for float32 to decide as float64


def _model(model_type: str) -> LanguageModel:
    return LanguageModel(tiny_model(model_type), tiny_tokenizer(), model_type)


def _term(
    model: LanguageModel, operation: str, tokens: str, blocks: str, gate: tuple[int, float, bool] | None, seed: int
) -> SteerTerm:
    """A term of block 3; `gate` is a block, a threshold, and whether it opens above. At block 3 it is the term's own vector."""
    vector = seeded_vector(model, 3, seed)
    opens = None
    if gate is not None:
        block, threshold, above = gate
        opens = SteerGate(vector if block == 3 else seeded_vector(model, block, seed + 1), threshold, above)
    where = Blocks.parse(blocks.removeprefix("range:"))
    share = 0.7 if operation == "ablate" else -1.5 if seed % 3 == 0 else 1.2
    return SteerTerm(vector, share, operation, Tokens.parse(tokens), where, opens)


def _grid(model: LanguageModel) -> list[Steering]:
    """A row for each operation, tokens, blocks and gate: none, above and below, at an earlier block and at the term's first."""
    rows = []
    for number, (operation, tokens, (blocks, read)) in enumerate(product(OPERATIONS, TOKENS, BLOCKS)):
        gates = [None, *((block, 0.05, above) for block in read for above in (True, False))]
        rows += [(_term(model, operation, tokens, blocks, gate, number),) for gate in gates]
    return rows


def _drawn(model: LanguageModel, seed: int) -> Steering:
    """Up to four terms, all of each drawn."""
    draw = random.Random(seed)
    terms = []
    for _ in range(draw.randrange(5)):
        blocks, read = draw.choice(BLOCKS)
        gate = draw.choice([None, (draw.choice(read), draw.uniform(-0.3, 0.3), draw.random() < 0.5)])
        terms.append(_term(model, draw.choice(OPERATIONS), draw.choice(TOKENS), blocks, gate, draw.randrange(100)))
    return tuple(terms)


def _batched(model: LanguageModel, rows: Sequence[Steering]) -> list[Tensor]:
    """Logits [rows, vocab] behind the prompt, then behind each further token, as `generate` makes them."""
    with RowSteering(model, rows, len(IDS)).applied():
        logits, cache = model.forward(torch.tensor([IDS] * len(rows)))
    found, steering = [logits], RowSteering(model, rows, len(IDS), begin=len(IDS))
    for token in FURTHER:
        with steering.applied():
            logits, cache = model.forward(torch.full((len(rows), 1), token), cache)
        found.append(logits)
    return found


def _check(model: LanguageModel, rows: Sequence[Steering], found: Sequence[Tensor], begin: int = 0) -> int:
    """Holds each row's logits to its reference's, unless a gate is read too near its threshold; how many rows it held."""
    compared = 0
    for number, row in enumerate(rows):
        reference = Reference(model.model, list(model.blocks), (*IDS, *FURTHER), row, len(IDS))
        if reference.margin < _CLEAR:
            continue
        expected = reference.logits[len(IDS) - 1 + begin :]
        got = torch.stack([logits[number] for logits in found])
        spread = float(expected.std())
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=2e-3 * spread, msg=lambda text, row=row: f"{row}\n{text}")
        compared += 1
    return compared


def test_every_combination_is_what_its_reference_gives() -> None:
    model = _model("llama")
    rows = _grid(model)
    assert len(rows) == 4 * 7 * 13
    assert _check(model, rows, _batched(model, rows)) > 0.9 * len(rows)


@pytest.mark.parametrize("model_type", TYPES)
def test_rows_that_differ_in_all_come_out_as_each_row_s_reference(model_type: str) -> None:
    model = _model(model_type)
    grid = _grid(model)
    rows = [grid[i] for i in range(TYPES.index(model_type), len(grid), 17)] + [_drawn(model, seed) for seed in range(12)]
    assert _check(model, rows, _batched(model, rows)) > 0.8 * len(rows)


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "qwen3_next"])
def test_the_whole_text_again_gives_what_the_cache_gives(model_type: str) -> None:
    model = _model(model_type)
    rows = [_drawn(model, seed) for seed in range(100, 112)]
    cached = _batched(model, rows)
    model.decoding = replace(model.decoding, cached=False)
    for one, other in zip(cached, _batched(model, rows), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-3 * float(one.std()))


@pytest.mark.parametrize("model_type", ["llama", "gemma3_text"])
def test_a_step_of_fixed_shape_takes_other_terms_in(model_type: str) -> None:
    model = _model(model_type)
    rows, others = ([_row_of_shape(model, seed) for seed in seeds] for seeds in (range(6), range(50, 56)))
    steps: list[FixedShape] = []
    for batch in (rows, others):
        with RowSteering(model, batch, len(IDS)).applied():
            _, cache = model.forward(torch.tensor([IDS] * len(batch)))
        steering = RowSteering(model, batch, len(IDS), begin=len(IDS))
        if steps:
            steps[0].fill(cache, slice(None), len(IDS), steering)
        else:
            fixed = model.fixed_cache(cache, slice(None), len(IDS), 64)
            steps.append(FixedShape(model, fixed, len(IDS), steering))
            layout = steering.layout
        assert steering.layout == layout
        found = [steps[0].step(torch.full((len(batch),), token)).clone() for token in FURTHER]
        assert _check(model, batch, found, begin=1) > 0.6 * len(batch)


def _row_of_shape(model: LanguageModel, seed: int) -> Steering:
    """Three terms of one shape whatever the seed, their numbers drawn."""
    draw = random.Random(seed)
    tokens = draw.choice(["generated", "prompt", "last:2", "after:6", "all"]) if seed % 50 else "generated"
    gate = (1, draw.uniform(-0.3, 0.3), draw.random() < 0.5)
    return (
        _term(model, "ablate", "all", "all", None, draw.randrange(100)),
        _term(model, draw.choice(["set", "ablate"]) if seed % 50 else "set", tokens, "own", gate, draw.randrange(100)),
        _term(model, "keep-norm", "all", "range:2-4", None, draw.randrange(100)),
    )


def _around(model: LanguageModel, rows: Sequence[Steering], block: int = 3) -> tuple[Tensor, Tensor]:
    """The outputs [rows, tokens, d_model] of `block` before and after `rows` act there, in the prompt."""
    steering = RowSteering(model, rows, len(IDS))
    with recorded(model.blocks[block]) as before, steering.applied(), recorded(model.blocks[block]) as after:
        model.forward(torch.tensor([IDS] * len(rows)))
    return before[0], after[0]


def test_what_each_operation_does_to_the_stream(tiny: LanguageModel) -> None:
    vector = seeded_vector(tiny, 3)
    unit = torch.from_numpy(vector.direction.copy()) / vector.norm
    named = [("ablate", 0.3), ("ablate", -1.0), ("ablate", 1.0), ("set", -2.0), ("set", 0.0), ("keep-norm", 2.0)]
    before, after = _around(tiny, [(SteerTerm(vector, c, operation),) for operation, c in named])
    old, new = before @ unit, after @ unit
    for row, (operation, c) in enumerate(named[:5]):
        wanted = (1 - c) * old[row] if operation == "ablate" else torch.full_like(old[row], c * vector.norm)
        torch.testing.assert_close(new[row], wanted, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(after[row] - new[row, :, None] * unit, before[row] - old[row, :, None] * unit)
    torch.testing.assert_close(after[5].norm(dim=-1), before[5].norm(dim=-1))
    assert (after[5] - before[5]).norm() > 1


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_zero_vector_changes_nothing(tiny: LanguageModel, operation: str) -> None:
    nothing = 0.0 * seeded_vector(tiny, 3)
    rows = [
        (SteerTerm(nothing, 2.0, operation),),
        (SteerTerm(nothing, 2.0, operation, Tokens.parse("last:2"), Blocks("all")),),
        (SteerTerm(seeded_vector(tiny, 3), 2.0, operation, gate=SteerGate(nothing, 0.0)),),
        (SteerTerm(seeded_vector(tiny, 3), 2.0, operation, gate=SteerGate(nothing, -0.1)),),
    ]
    before, after = _around(tiny, rows)
    assert torch.equal(before[:3], after[:3]), "the projection on a zero vector is 0, which is not above 0"
    assert not torch.isclose(before[3], after[3]).all(dim=-1).any()


def test_tokens_that_no_term_names_keep_every_bit(tiny: LanguageModel) -> None:
    shut = SteerGate(seeded_vector(tiny, 3), 1e9)
    terms = [SteerTerm(seeded_vector(tiny, 3), 2.0, one, Tokens.parse("at:1,3")) for one in OPERATIONS]
    before, after = _around(tiny, [*((term,) for term in terms), *((replace(term, gate=shut),) for term in terms), ()])
    assert torch.equal(before[:4, ::2], after[:4, ::2])
    assert torch.equal(before[4:], after[4:])
    assert not torch.isclose(before[:4, 1::2], after[:4, 1::2]).all(dim=-1).any()


def test_a_gate_is_read_once_behind_the_terms_before_it(tiny: LanguageModel) -> None:
    w = seeded_vector(tiny, 2, 5)
    gate = SteerGate(w, 0.5)
    opened, other = SteerTerm(w, 1.0, "ablate", blocks=Blocks.parse("2-4"), gate=gate), seeded_vector(tiny, 2, 7)
    closing, opening = SteerTerm(w, 0.0, "set"), SteerTerm(w, 1.0, "set")
    rows: list[Steering] = [(opening, opened), (closing, opened), (opened, opening), (opening, closing, opened)]
    unit = torch.from_numpy(w.direction.copy()) / w.norm
    here = _around(tiny, rows, 2)[1] @ unit
    before, later = (side @ unit for side in _around(tiny, rows, 4))
    assert here[0].abs().max() < 1e-4, "set to 1, so it opened, and the component was ablated"
    assert later[0].abs().max() < 1e-4, "and it stays open where there is nothing left"
    torch.testing.assert_close(later[1], before[1], msg="shut at block 2, it is shut at block 4")
    torch.testing.assert_close(here[2], torch.full_like(here[2], w.norm), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(later[3], before[3])
    # Of a term at later blocks it is read in what leaves its block in the end, whatever stands behind the term.
    late = SteerTerm(replace(other, blocks=(4,)), 3.0, gate=gate)
    before, after = _around(tiny, [(late, opening), (late, closing), (late, closing, opening)], 4)
    moved = torch.isclose(before, after).all(dim=-1)
    assert moved.tolist() == [[False] * 5, [True] * 5, [False] * 5]


def test_gates_open_where_the_reference_says(tiny: LanguageModel) -> None:
    opened = 0
    for seed in range(12):
        term = _term(tiny, "add", "all", "own", (seed % 4, 0.02, seed % 2 == 0), seed)
        reference = Reference(tiny.model, list(tiny.blocks), IDS, (term,), len(IDS))
        before, after = _around(tiny, [(term,)])
        moved = {(0, i) for i in range(len(IDS)) if not torch.equal(before[0, i], after[0, i])}
        assert moved == reference.open
        opened += len(moved)
    assert 12 < opened < 48


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_once(dtype: torch.dtype) -> None:
    model = LanguageModel(tiny_model("llama").to(dtype), None, "half")
    terms = tuple(SteerTerm(seeded_vector(model, 3, i), 0.7, one, Tokens.parse("after:1")) for i, one in enumerate(OPERATIONS))
    before, after = _around(model, [terms])
    exact = before[0].double()
    for term in terms:
        v = torch.from_numpy(term.vector.direction.copy()).double()
        u = v / v.norm()
        along = (exact @ u)[:, None] * u
        moved = {"add": exact + 0.7 * v, "ablate": exact - 0.7 * along, "set": exact - along + 0.7 * v}.get(term.operation)
        if moved is None:
            moved = exact + 0.7 * v
            moved = moved * exact.norm(dim=-1, keepdim=True) / moved.norm(dim=-1, keepdim=True)
        exact = moved
    half = torch.finfo(dtype).eps
    assert torch.equal(after[0, 0], before[0, 0])
    assert ((after[0, 1:].double() - exact[1:]).abs() <= 0.51 * half * exact[1:].abs() + 1e-5).all()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_vector_over_many_blocks_acts_with_each_one_s_direction(tiny: LanguageModel, operation: str) -> None:
    rows_of_many = {block: seeded_vector(tiny, block, seed=block).direction for block in (1, 3, 4)}
    many = SteeringVector.over_blocks(rows_of_many, Origin("test", tiny.stamp, 1), "many")
    gate = SteerGate(seeded_vector(tiny, 1), 0.05)
    rows = [
        (SteerTerm(many, 0.8, operation, blocks=where, gate=opens), SteerTerm(seeded_vector(tiny, 4), 2.0))
        for where in (Blocks(), Blocks("all"), Blocks.parse("2-3"))
        for opens in (None, gate)
    ]
    assert _check(tiny, rows, _batched(tiny, rows)) == 6
    with pytest.raises(SettingsError, match="the gate many has a direction for each of 3 blocks"):
        check_fits((SteerTerm(seeded_vector(tiny, 4), gate=SteerGate(many)),), tiny.stamp)


def test_blocks_and_gates_that_cannot_be_are_refused(tiny: LanguageModel) -> None:
    late = SteerGate(seeded_vector(tiny, 3), 0.5)
    for wrong, says in (
        ({"gate": late}, r"the gate v0 is read at block 3, behind block 2"),
        ({"blocks": Blocks.parse("4-6")}, r"v0 does not act at blocks 4-6; .* has blocks 0 to 5"),
        ({"blocks": Blocks.parse("7-9")}, r"v0 does not act at blocks 7-9; .* has blocks 0 to 5"),
        ({"blocks": Blocks("all"), "gate": SteerGate(seeded_vector(tiny, 1))}, r"read at block 1, behind block 0"),
    ):
        term = SteerTerm(seeded_vector(tiny, 2), **wrong)  # type: ignore[arg-type]
        for refuse in (lambda term=term: check_fits((term,), tiny.stamp), lambda term=term: RowSteering(tiny, [(term,)], 5)):
            with pytest.raises(SettingsError, match=says) as error:
                refuse()
            assert error.value.remedy
            assert "\n" not in str(error.value)

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest
import torch

from core.engine.session import Session
from core.errors import SettingsError
from core.model.language_model import LanguageModel
from core.steering.generation import Row, Sampling, cut_short, generate
from core.steering.hooks import RowSteering, recorded
from core.steering.terms import Steering, SteerTerm, check_fits
from tests.core.steering.seeded import IDS, seeded_vector
from tests.tiny_models import tiny_model, tiny_tokenizer
from vectors.completion import OVERFLOW
from vectors.expression import ExpressionError, Tokens
from vectors.vector import ModelStamp


def _outputs(model: LanguageModel, rows: Sequence[Steering], block: int = 2) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """What `block` puts out before and after it is steered: for the prompt, then for one decode step behind it."""
    steering, cache = RowSteering(model, rows, len(IDS)), None
    seen = []
    for ids in (torch.tensor([IDS] * len(rows)), torch.full((len(rows), 1), 7)):
        with recorded(model.blocks[block]) as before, steering.applied(), recorded(model.blocks[block]) as after:
            _, cache = model.forward(ids, cache)
        seen.append((before[0], after[0]))
    return seen


@pytest.mark.parametrize("model_type", ["llama", "bloom", "falcon", "gpt2"])
def test_the_model_is_left_bit_for_bit_as_it_was(model_type: str) -> None:
    model = LanguageModel(tiny_model(model_type), None, model_type)
    ids = torch.tensor([IDS])
    before, _ = model.forward(ids)
    term = SteerTerm(seeded_vector(model))
    with contextlib.suppress(RuntimeError), RowSteering(model, [(term,)], 5).applied():
        assert not torch.equal(model.forward(ids)[0], before)
        raise RuntimeError("a failure in the middle")
    assert torch.equal(model.forward(ids)[0], before)
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in model.blocks)


@pytest.mark.parametrize(
    ("positions", "in_prompt", "in_answer"),
    [
        ("all", [1, 1, 1, 1, 1], 1),
        ("generated", [0, 0, 0, 0, 0], 1),
        ("from:3", [0, 0, 0, 1, 1], 1),
        ("from:5", [0, 0, 0, 0, 0], 1),
        ("last:2", [0, 0, 0, 1, 1], 0),
        ("last:99", [1, 1, 1, 1, 1], 0),
    ],
)
def test_positions_are_absolute_under_the_cache(
    tiny: LanguageModel, positions: str, in_prompt: list[int], in_answer: int
) -> None:
    vector = seeded_vector(tiny)
    rows: list[Steering] = [(SteerTerm(vector, 2.0, tokens=Tokens.parse(positions)),), ()]
    for (before, after), where in zip(_outputs(tiny, rows), (in_prompt, [in_answer]), strict=True):
        expected = torch.tensor(where)[:, None] * 2.0 * torch.from_numpy(vector.direction.copy())
        torch.testing.assert_close(after[0] - before[0], expected, atol=1e-5, rtol=1e-4)
        assert torch.equal(after[1], before[1])


def test_ablate_and_set(tiny: LanguageModel) -> None:
    vector = seeded_vector(tiny)
    unit = torch.from_numpy(vector.direction.copy()) / vector.norm
    for _, hidden in _outputs(tiny, [(SteerTerm(vector, 1.0, "ablate"),), (SteerTerm(vector, 1.5, "set"),)]):
        assert (hidden[0] @ unit).abs().max() < 1e-4
        torch.testing.assert_close(hidden[1] @ unit, torch.full((hidden.shape[1],), 1.5 * vector.norm), rtol=1e-4, atol=1e-4)


def test_several_vectors_at_several_blocks_act_at_once(tiny: LanguageModel) -> None:
    a, b, c = seeded_vector(tiny, 1, 1), seeded_vector(tiny, 1, 2), seeded_vector(tiny, 3, 3)
    together = _outputs(tiny, [(SteerTerm(a), SteerTerm(b, -0.5), SteerTerm(c))], block=3)[0][1]
    mixed = _outputs(tiny, [(SteerTerm(a - 0.5 * b), SteerTerm(c))], block=3)[0][1]
    torch.testing.assert_close(together, mixed, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def speaker() -> LanguageModel:
    return LanguageModel(tiny_model("llama"), tiny_tokenizer(), "tiny")


def _texts(model: LanguageModel, rows: Sequence[Row]) -> dict[str, tuple[int, ...]]:
    return {key: one.ids for chunk in generate(model, rows) for key, one in chunk.items()}


def test_each_row_comes_out_as_it_would_alone(speaker: LanguageModel) -> None:
    rows = [
        Row(
            f"{i}",
            IDS[: 3 + i % 2],
            ((SteerTerm(seeded_vector(speaker, seed=i), 3.0),) if i else ()),
            Sampling(max_new_tokens=12),
            i > 2,
        )
        for i in range(5)
    ]
    together = _texts(speaker, rows)
    for row in rows:
        assert _texts(speaker, [row])[row.key] == together[row.key]
    assert len(set(together.values())) > 3


# Sliding windows, convolutions, linear attention, compressed keys: each has a cache of its own kind.
@pytest.mark.parametrize("model_type", "llama gpt2 falcon bloom gemma3_text lfm2 qwen3_next deepseek_v3".split())
def test_the_unsteered_read_a_prompt_once_for_all(model_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel(tiny_model(model_type), tiny_tokenizer(), model_type)
    read: list[tuple[int, ...]] = []
    plain = model.forward
    monkeypatch.setattr(model, "forward", lambda ids, cache=None: read.append(tuple(ids.shape)) or plain(ids, cache))
    six = Sampling(max_new_tokens=6)
    rows = [Row("plain", IDS, (), six), Row("other", IDS[::-1], (), six)]
    rows += [Row(f"{i}", IDS, (SteerTerm(seeded_vector(model, seed=i), 2.0),), six, referenced=True) for i in range(3)]
    together = {key: one for chunk in generate(model, rows) for key, one in chunk.items()}
    assert read[0] == (5, 5), "two prompts unsteered, one under three vectors"
    assert set(read[1:]) == {(8, 1)}
    for row in rows:
        (alone,) = list(generate(model, [row]))[-1].values()
        assert alone.ids == together[row.key].ids
        assert together[row.key].kl == pytest.approx(alone.kl, rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("model_type", "llama gemma3_text lfm2 qwen3_next".split())
def test_those_that_have_ended_cost_nothing_more(model_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel(tiny_model(model_type), tiny_tokenizer(), model_type)
    monkeypatch.setattr(LanguageModel, "stop_ids", frozenset())
    plain, sizes = model.forward, []
    monkeypatch.setattr(model, "forward", lambda ids, cache=None: sizes.append(len(ids)) or plain(ids, cache))
    kinds = [("add", "all"), ("ablate", "generated"), ("add", "from:6"), ("set", "last:1"), ("add", "from:9"), ("add", "all")]
    rows = [
        Row(f"{i}", IDS, (SteerTerm(seeded_vector(model, seed=i), 2.0, kind, Tokens.parse(where)),),
            Sampling(1.0, 0.9, max_new_tokens=2 * i + 1, seed=i), referenced=i % 2 == 0)
        for i, (kind, where) in enumerate(kinds)
    ]  # fmt: skip
    together = {key: one for chunk in generate(model, rows) for key, one in chunk.items()}
    assert sizes[1] == 7, "one of nine, and its shadow, have ended"
    assert sizes[-1] == 1
    assert len(sizes) == 11
    for row in rows:
        (alone,) = list(generate(model, [row]))[-1].values()
        assert alone.ids == together[row.key].ids
        assert together[row.key].kl == pytest.approx(alone.kl, rel=1e-2, abs=1e-4)


def test_half_a_character_is_not_shown_even_where_the_answer_is_cut_off(
    speaker: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speaker, "decode", lambda ids: f"{len(ids)} \u2615\ufffd\ufffd")
    rows = [Row("cut", IDS, (), Sampling(max_new_tokens=2))]
    assert [one.text for chunk in generate(speaker, rows) for one in chunk.values()] == ["1 \u2615", "2 \u2615"]


def test_sampling_is_the_row_s_own(speaker: LanguageModel) -> None:
    def row(key: str, seed: int, top_p: float = 1.0) -> Row:
        return Row(key, IDS, (), Sampling(1.0, top_p, 10, seed))

    alone, batch = _texts(speaker, [row("a", 1)]), _texts(speaker, [row("b", 2), row("a", 1), row("c", 3, 1e-6)])
    assert alone["a"] == batch["a"] != batch["b"]
    greedy = _texts(speaker, [Row("g", IDS, (), Sampling(max_new_tokens=10))])["g"]
    assert batch["c"] == greedy, "the likeliest alone"
    for cold in (Sampling(1e-320, 1.0, 10), Sampling(1.0, 1e-320, 10)):
        assert _texts(speaker, [Row("x", IDS, (), cold)])["x"] == greedy


def test_a_watched_row_is_compared_with_the_unsteered_model(speaker: LanguageModel) -> None:
    vector = seeded_vector(speaker)
    rows = [Row("on", IDS, (SteerTerm(vector, 3.0),), Sampling(max_new_tokens=6), referenced=True)]
    rows.append(Row("off", IDS, (SteerTerm(vector, 0.0),), Sampling(max_new_tokens=6), referenced=True))
    last = {key: one for chunk in generate(speaker, rows) for key, one in chunk.items()}
    assert len(last["on"].kl) >= 1
    assert last["on"].kl[0] > 0.01
    assert max(last["off"].kl) < 1e-5
    assert (last["on"].perplexity or 0) > 1


def test_empty_prompts_and_impossible_settings(speaker: LanguageModel) -> None:
    with pytest.raises(SettingsError, match="empty"):
        list(generate(speaker, [Row("x", ())]))
    for wrong in ({"temperature": -1.0}, {"top_p": 0.0}, {"max_new_tokens": 0}, {"temperature": float("nan")}):
        with pytest.raises(SettingsError):
            Sampling(**wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="no operation"):
        SteerTerm(seeded_vector(speaker), operation="multiply")
    for text in ("", "last", "last:0", "from:-1", "some", "last:" + "9" * 5000):
        with pytest.raises(ExpressionError):
            Tokens.parse(text)


def test_vectors_of_other_models(tiny: LanguageModel) -> None:
    term = SteerTerm(seeded_vector(tiny))
    assert check_fits((term,), tiny.stamp) == []
    assert "not on" in check_fits((term,), ModelStamp("twin", tiny.d_model, 6, "other"))[0]
    with pytest.raises(SettingsError, match="width"):
        check_fits((term,), ModelStamp("wide", 999, 6, "other"))
    with pytest.raises(SettingsError, match="acts on block 2"):
        check_fits((term,), ModelStamp("flat", tiny.d_model, 2, "other"))


def test_the_context_s_end_is_told(speaker: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LanguageModel, "stop_ids", frozenset())
    long = tuple(IDS[i % 5] for i in range(120))
    (last,) = list(generate(speaker, [Row("a", long, (), Sampling(max_new_tokens=30))]))[-1].values()
    assert len(last.ids) == 8
    assert "context of 128 tokens" in cut_short(speaker, last)
    (short,) = list(generate(speaker, [Row("a", IDS, (), Sampling(max_new_tokens=3))]))[-1].values()
    assert not cut_short(speaker, short)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_that_overflows_ends_alone(speaker: LanguageModel, temperature: float) -> None:
    half = LanguageModel(tiny_model("llama").to(torch.float16), tiny_tokenizer(), "half")
    sampling = Sampling(temperature, max_new_tokens=6)
    rows = [
        Row("plain", IDS, (), sampling),
        Row("huge", IDS, (SteerTerm(seeded_vector(half, size=1.0), 1e6),), sampling, referenced=True),
    ]
    last = {key: one for chunk in generate(half, rows) for key, one in chunk.items()}
    assert last["huge"].finished
    assert last["huge"].stop == OVERFLOW
    assert not last["huge"].ids
    assert "precision" in cut_short(half, last["huge"])
    assert len(last["plain"].ids) > 0
    assert not cut_short(half, last["plain"])


def test_what_ends_a_completion_early_is_told_once(session: Session) -> None:
    from core.engine.events import Event, Generated, Warned
    from core.engine.requests import Reply, ReplyRow

    session.model = LanguageModel(tiny_model("llama").to(torch.float16), tiny_tokenizer(), "half")
    steering = (SteerTerm(seeded_vector(session.model, size=1.0), 1e6),)
    rows = tuple(ReplyRow(str(i), (("user", "hi"),), steering, max_new_tokens=4) for i in range(3))
    events: list[Event] = []
    for _ in session.start(1, Reply(rows), events.append):
        pass
    assert len([e for e in events if isinstance(e, Warned)]) == 1
    assert all(e.judgement.broken for e in events if isinstance(e, Generated) and e.completion.finished)


def test_a_prompt_beyond_the_context_is_told(session: Session) -> None:
    from core.engine.requests import MeasurePrompt, Reply, ReplyRow, Train
    from core.prompt import Prompt

    long = "word " * 100
    requests = (
        MeasurePrompt(Prompt(long)),
        Train((Prompt(long),), method="random", radius=1.0),
        Train((Prompt(ids=tuple(range(3, 140))),), method="random", radius=1.0),
        Reply((ReplyRow("a", (("user", long),)),)),
    )
    for request in requests:
        with pytest.raises(SettingsError, match=r"tokens; tiny-llama takes 128") as error:
            for _ in session.start(1, request, lambda event: None):
                pass
        assert error.value.remedy

"""Text behind a cache is what the whole text gives, on model types with caches of many kinds; others are refused by reason."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from core.errors import ModelError
from core.model.blocks import find_decoder
from core.model.decoding import Decoding
from core.model.language_model import LanguageModel
from tests.benchmarks.model_types import outcome_of
from tests.tiny_models import tiny_model

# State spaces, linear attention, convolutions, windows, experts, shared blocks; ALiBi; a decoder inside another name.
EXACT = (
    "mamba2 falcon_h1 jamba nemotron_h zamba2 olmo_hybrid qwen3_5_text gpt_neo xglm modernbert-decoder longcat_flash opt"
).split()
SLOWER = {
    "openai-gpt": "keeps no cache",
    "recurrent_gemma": "keeps no cache",
    "xlstm": "keeps no cache",
    "minimax": "behind its cache",
    "bloom": "run on their own",
}
REFUSED = {"gemma3n_text": "4 residual streams", "bert": "a later token changes an earlier one"}


@pytest.mark.parametrize("model_type", EXACT)
def test_behind_its_cache_it_gives_what_the_whole_text_gives(model_type: str) -> None:
    assert outcome_of(model_type) == ("exact", "")


@pytest.mark.parametrize("model_type", SLOWER)
def test_what_cannot_be_cached_is_run_over_the_whole_text(model_type: str) -> None:
    outcome, why = outcome_of(model_type)
    assert outcome == "slower"
    assert SLOWER[model_type] in why


@pytest.mark.parametrize("model_type", REFUSED)
def test_what_cannot_be_steered_is_refused_with_the_true_reason(model_type: str) -> None:
    outcome, why = outcome_of(model_type)
    assert outcome == "refused"
    assert REFUSED[model_type] in why


class _CountsByItself(nn.Module):
    """A positional embedding that counts the tokens it was called for, and forgets that it begins anew."""

    def __init__(self, plain: nn.Embedding) -> None:
        super().__init__()
        self.weight = plain.weight
        self.seen = 0

    def forward(self, positions: Tensor) -> Tensor:
        start = self.seen if positions.shape[-1] == 1 else 0
        self.seen = start + positions.shape[-1] + 1
        places = torch.arange(start, start + positions.shape[-1]).expand(positions.shape)
        return nn.functional.embedding(places, self.weight)


def test_a_model_that_counts_positions_wrongly_behind_its_cache_is_seen() -> None:
    made = tiny_model("gpt2")
    made.transformer.wpe = _CountsByItself(made.transformer.wpe)
    model = LanguageModel(made, None, "counting")
    assert not model.decoding.cached
    assert "the whole text again" in model.notes[0]
    ids = model.ids_tensor([5, 9, 17, 33], 2)
    _, cache = model.forward(ids[:, :3])
    behind, cache = model.forward(ids[:, 3:], cache)
    torch.testing.assert_close(behind, model.forward(ids)[0])
    cache.reorder_cache(torch.tensor([1]))
    assert cache.ids.shape == (1, 4)


def test_positions_are_given_to_a_model_that_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny_model("llama")
    plain = type(made.model).forward

    def forgets(self: nn.Module, input_ids: Tensor, position_ids: Tensor | None = None, **kwargs: object) -> object:
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1]).expand(input_ids.shape)
        return plain(self, input_ids=input_ids, position_ids=position_ids, **kwargs)

    monkeypatch.setattr(type(made.model), "forward", forgets)
    assert LanguageModel(made, None, "forgets").decoding == Decoding(positions=True)


def test_logits_that_are_no_numbers_are_told_at_loading() -> None:
    made = tiny_model("llama")
    made.model.layers[3].mlp.down_proj.weight.data[0, 0] = torch.nan
    with pytest.raises(ModelError, match="no finite numbers") as error:
        LanguageModel(made, None, "broken")
    assert "float32" in error.value.remedy


def test_the_decoder_is_the_module_that_holds_the_blocks() -> None:
    made = tiny_model("modernbert-decoder")
    decoder, blocks = find_decoder(made)
    assert len(blocks) == 6
    assert any(module is blocks for module in decoder.modules())

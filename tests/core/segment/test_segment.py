from __future__ import annotations

import pytest
import torch

from core.errors import ModelError, SettingsError
from core.model.blocks import find_blocks
from core.model.language_model import LanguageModel
from core.segment.last_block import sparable, spared
from core.segment.segment import Segment
from core.steering.hooks import added, recorded
from tests.tiny_models import tiny_model, tiny_tokenizer

ARCHITECTURES = (
    "llama llama4_text qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next gemma gemma2 gemma3_text gemma4_text mistral mixtral phi "
    "phi3 gpt2 gpt_neox gptj opt falcon mpt olmo olmo2 cohere cohere2 granite starcoder2 stablelm glm glm4 deepseek_v3 gpt_oss "
    "smollm3 lfm2 nemotron helium persimmon"
).split()
IDS = [5, 9, 17, 33, 65, 129, 7]
# Their feed-forward parts take or give something else than one tensor of all tokens.
UNSPARED = ("opt", "mpt", "gpt_oss")


def _model(model_type: str) -> LanguageModel:
    return LanguageModel(tiny_model(model_type), None, model_type)


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_replay_equals_the_full_forward(model_type: str) -> None:
    model = _model(model_type)
    segment = Segment(model, IDS, 1, 4)
    assert segment.replayed, segment.reason
    thetas = torch.randn(3, model.d_model)
    with added(model.blocks[1], thetas), recorded(model.blocks[4]) as seen, torch.no_grad():
        model.run_blocks(model.ids_tensor(IDS, 3))
    # Its linear attention rounds a row in a batch otherwise than alone (by 1.6e-5 on a CPU with AVX-512), and so in a replay.
    atol = 2e-5 if model_type == "qwen3_next" else 1e-5
    torch.testing.assert_close(segment(thetas), seen[0], rtol=1e-5, atol=atol)


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_blocks_that_nobody_wants_are_not_run(model_type: str) -> None:
    model = _model(model_type)
    ids, ran = model.ids_tensor(IDS), []
    watch = model.blocks[3].register_forward_hook(lambda *_: ran.append(3))
    with torch.no_grad():
        before = model.forward(ids)[0]
        with recorded(model.blocks[2]) as whole:
            model.run_blocks(ids)
        ran.clear()
        with recorded(model.blocks[2]) as seen:
            model.run_blocks(ids, 2)
        assert not ran
        torch.testing.assert_close(seen[0], whole[0], rtol=0, atol=0)
        torch.testing.assert_close(model.forward(ids)[0], before, rtol=0, atol=0)
    watch.remove()
    assert not any(block._forward_hooks for block in model.blocks)


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_the_last_block_is_spared_the_tokens_that_nobody_sees(model_type: str) -> None:
    model = _model(model_type)
    segment = Segment(model, IDS, 1, 4)
    watched = segment.watched(3)
    names = {part: name for name, part in model.blocks[4].named_children()}
    assert bool(watched._spared) == (model_type not in UNSPARED)
    assert not any(word in names[part] for part in watched._spared for word in ("att", "conv", "norm", "ln_"))
    thetas = torch.randn(3, model.d_model, requires_grad=True)
    (whole,) = torch.autograd.grad(segment.change(thetas)[:, -3:].square().sum(), thetas)
    change = watched.change(thetas)
    torch.testing.assert_close(change, segment.change(thetas)[:, -3:], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.autograd.grad(change.square().sum(), thetas)[0], whole, rtol=1e-3, atol=1e-4)
    assert not any(m._forward_hooks or m._forward_pre_hooks for block in model.blocks for m in block.modules())


def test_attention_is_never_spared(tiny: LanguageModel) -> None:
    block = tiny.blocks[4]
    whole = Segment(tiny, IDS, 1, 4)
    assert sparable(whole._whole, 3, 1e-5) == (block.mlp,)
    with spared([block.input_layernorm], 3, len(IDS)), torch.no_grad():
        wrong = whole._whole(torch.zeros(1, tiny.d_model))[0, -3:]
    assert (wrong - whole.base[-3:]).abs().max() > 1e-3, "what feeds the attention does change what is seen"


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "bloom"])
def test_gradients_flow_into_each_theta_alone(model_type: str) -> None:
    model = _model(model_type)
    segment = Segment(model, IDS, 0, 3)
    thetas = torch.randn(2, model.d_model, requires_grad=True)
    segment.change(thetas)[0].square().sum().backward()
    assert thetas.grad is not None
    assert thetas.grad[0].norm() > 0
    assert thetas.grad[1].norm() == 0


def test_blocks_that_cannot_be_replayed_get_full_forwards() -> None:
    model = _model("bloom")  # its ALiBi tensor is made for one batch size
    segment = Segment(model, IDS, 1, 4)
    assert not segment.replayed
    thetas = torch.randn(2, model.d_model)
    alone = torch.cat([segment(theta[None]) for theta in thetas])
    torch.testing.assert_close(segment(thetas), alone, rtol=1e-4, atol=1e-5)


def test_zero_changes_nothing(tiny: LanguageModel) -> None:
    assert Segment(tiny, IDS, 1, 4).change(torch.zeros(1, tiny.d_model)).abs().max() < 1e-5


@pytest.mark.parametrize(("source", "target"), [(-1, 2), (2, 2), (3, 1), (0, 6), (5, 6), (6, 7)])
def test_blocks_out_of_range(tiny: LanguageModel, source: int, target: int) -> None:
    with pytest.raises(SettingsError, match=r"block -?\d"):
        Segment(tiny, IDS, source, target)


def test_half_precision_is_replayed_too() -> None:
    model = LanguageModel(tiny_model("llama").to(torch.bfloat16), None, "half")
    segment = Segment(model, IDS, 1, 4)
    assert segment.replayed, segment.reason
    assert segment.change(torch.randn(2, model.d_model)).dtype == torch.float32


def test_a_model_that_sees_the_future_is_refused() -> None:
    from transformers import BertConfig, BertLMHeadModel

    config = BertConfig(vocab_size=99, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4)
    with pytest.raises(ModelError, match="no decoder"):
        LanguageModel(BertLMHeadModel(config), None, "bert")


def test_a_model_without_blocks_is_refused() -> None:
    model = tiny_model("llama")
    model.config.num_hidden_layers = 99
    with pytest.raises(ModelError, match="no decoder blocks"):
        find_blocks(model)


def test_chat_template_is_not_given_its_first_token_twice() -> None:
    model = LanguageModel(tiny_model("llama"), tiny_tokenizer(), "tiny")
    ids = model.encode_chat([{"role": "user", "content": "hi"}])
    assert model.decode(ids) == "<user>hi\n<assistant>"
    assert model.tokenizer.bos_token_id not in ids


def test_the_fingerprint_tells_models_apart_and_survives_a_cast() -> None:
    one, other = tiny_model("llama", seed=0), tiny_model("llama", seed=1)
    prints = [LanguageModel(m, None, "m").stamp.fingerprint for m in (one, other, tiny_model("llama").to(torch.bfloat16))]
    assert prints[0] == prints[2] != prints[1]

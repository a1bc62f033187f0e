"""Few rows are multiplied the other way round: the same numbers, whatever their shape."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.model.language_model import LanguageModel
from core.model.small_batch_linear import ThinLinear, columns_for, thin
from tests.tiny_models import tiny_model


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 1, 1), (2, 1), (3, 2, 5), (11, 1), (64, 1), (65, 1), (4, 40), (0, 1)])
def test_the_numbers_are_the_linear_layer_s(shape: tuple[int, ...], bias: bool) -> None:
    layer = nn.Linear(24, 40, bias=bias).requires_grad_(False)
    rows = torch.randn(*shape[:-1], 24, shape[-1]).transpose(-1, -2)  # no row lies in one piece
    expected = layer(rows)
    thin(layer)
    assert type(layer) is ThinLinear
    with torch.no_grad():
        output = layer(rows)
    assert output.is_contiguous()
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "other_way"), [((1, 1), True), ((64, 1), True), ((65, 1), False), ((1, 7), False), ((7,), False)]
)
def test_an_answer_s_tokens_go_the_other_way_and_a_prompt_s_do_not(
    shape: tuple[int, ...], other_way: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, products = nn.Linear(24, 40).requires_grad_(False), list[torch.Size]()
    thin(layer)
    plain = torch.mm
    monkeypatch.setattr(torch, "mm", lambda a, b: products.append(b.shape) or plain(a, b))
    with torch.no_grad():
        layer(torch.randn(*shape, 24))
    assert bool(products) == other_way


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(1, 2), (2, 2), (9, 9), (10, 16), (16, 16), (20, 20), (21, 32), (32, 32), (36, 36), (37, 48), (64, 64)],
)
def test_sixteen_columns_are_made_sooner_than_eleven(rows: int, columns: int) -> None:
    assert columns_for(rows) == columns


def test_gradients_go_the_usual_way() -> None:
    layer, rows = nn.Linear(24, 40), torch.randn(2, 24, requires_grad=True)
    (expected,) = torch.autograd.grad(layer(rows).square().sum(), rows)
    thin(layer)
    assert torch.equal(torch.autograd.grad(layer(rows).square().sum(), rows)[0], expected)


def test_only_plain_layers_in_float32_on_a_cpu_are_changed() -> None:
    class Own(nn.Linear):
        pass

    layers = nn.ModuleList(
        [nn.Linear(4, 4), nn.Linear(4, 4).bfloat16(), Own(4, 4), nn.Linear(4, 4, device="meta"), nn.Linear(4, 4)]
    )
    layers[4]._hf_hook = object()  # type: ignore[assignment]
    thin(layers)
    assert [type(layer) is ThinLinear for layer in layers] == [True, False, False, False, False]


def test_a_model_decodes_with_them_and_says_the_same() -> None:
    plain = tiny_model("qwen2").eval()
    ids = torch.tensor([[5, 9, 17]])
    with torch.no_grad():
        expected = plain(ids).logits
    model = LanguageModel(plain, None, "tiny")
    assert sum(isinstance(module, ThinLinear) for module in model.model.modules()) == 6 * 7 + 1
    with torch.no_grad():
        torch.testing.assert_close(model.model(ids).logits, expected, rtol=1e-4, atol=1e-5)

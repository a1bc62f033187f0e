"""Secrets are left out of what is told; what only looks like one stays."""

from __future__ import annotations

import time

import pytest

from core.errors import first_line, line_of
from core.redaction import redacted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Authorization: Basic dXNlcjpwYXNz, and so on", "Authorization: Basic ***, and so on"),
        ("{'authorization': 'Bearer abc.def'}", "{'authorization': 'Bearer ***'}"),
        ("https://u:p/ss@host/x", "https://***@host/x"),
        ("https://u:p@ss@host/x", "https://***@host/x"),
        ("https://u:p?s#s@host/x", "https://***@host/x"),
        ("token: abc def", "token: ***"),
        ("HF_TOKEN=abc and more", "HF_TOKEN=*** and more"),
        ("{'token': 'abc def', 'x': 1}", "{'token': '***', 'x': 1}"),
        ("api_key: abc", "api_key: ***"),
        ("python judge.py --api-key sk-abc --fast", "python judge.py --api-key *** --fast"),
        ("judge --token 'abc' -key=def", "judge --token ***' -key=***"),
        ("password: correct horse battery\nnext", "password: ***\nnext"),
    ],
)
def test_a_secret_is_left_out(text: str, told: str) -> None:
    assert redacted(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "key: enter",
        "pad_token: <pad>",
        "KeyError: token_embd.weight",
        "http://localhost:8000/@scope/name",
        "http://[::1]:8000/@scope",
        "https://hub.example/@user",
        "3 tokens: a, b, c",
        "--max-new-tokens 3 --objective-tokens last",
        "--key --fast",
        "a token of it",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_an_error_in_one_line_has_no_secret_not_even_where_it_is_cut() -> None:
    assert first_line(ValueError("for https://me:pa55@hub/x")) == "ValueError: for https://***@hub/x"
    assert "pa55" not in line_of("ValueError", "x" * 140 + " https://me:pa55word@hub/x")


@pytest.mark.parametrize("text", ["a" * 100_000, "://" * 30_000, "token" * 20_000, "://a:" * 20_000, "token " * 20_000])
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    redacted(text)
    assert time.process_time() - began < 2

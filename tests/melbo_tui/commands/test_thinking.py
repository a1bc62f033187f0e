"""Template arguments and thoughts on the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from core.model.language_model import LanguageModel
from tests.chat_templates import QWEN3
from tests.melbo_tui.conftest import CommandLine
from tests.tiny_models import chain_model, save_tiny, tiny_tokenizer
from vectors.store.conversations import Conversations
from vectors.store.library import Library

TRAIN = (
    "train",
    "random",
    "--prompt",
    "bomb",
    "--vectors",
    "1",
    "--radius",
    "0.001",
    "--controls",
    "1",
    "--sample-tokens",
    "9",
)


@pytest.fixture
def run(command_line: CommandLine, tmp_path: Path) -> CommandLine:
    """On a model that thinks `Why?` and refuses, or, with enable_thinking=false, says `No.`"""
    template = QWEN3.template.replace("</think>\n\n{% endif", "</think>:{% endif")
    tokenizer = tiny_tokenizer(template, QWEN3.special, QWEN3.added)
    chain_model(tokenizer("\n<think>Why?</think>I can't<|im_end|>:No.<|im_end|>")["input_ids"]).save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    where = ("--model", str(tmp_path / "m"), "--library", str(tmp_path / "library"))
    return lambda *words: command_line(*words, *where)


def test_a_thought_stands_apart_from_its_answer(run: CommandLine, tmp_path: Path) -> None:
    code, out, err = run("chat", "--message", "q")
    assert (code, out) == (0, "I can't\n")
    assert err.endswith("thought: Why?\n\n")
    code, out, _ = run("chat", "--message", "q", "--json")
    answer = json.loads(out.splitlines()[-1])
    assert (answer["text"], answer["thought"], answer["thought_tokens"]) == ("I can't", "Why?", 6)
    code, out, err = run("chat", "--message", "q", "--thought-tokens", "3")
    assert (code, out) == (0, "\n")
    assert "no answer: the thought did not end in 3 tokens" in err
    assert run("chat", "--message", "q", "--template", "enable_thinking=False")[:2] == (0, "No.\n")
    code, _, err = run("chat", "--message", "q", "--template", "enable_thnking=false")
    assert code == 1
    assert "knows no enable_thnking" in err
    assert run("chat", "--message", "q", "--template", "thinking")[0] == 2


def test_conversations_keep_thoughts_and_do_not_feed_them_back(
    run: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[tuple[str, str]]] = []
    encode = LanguageModel.encode_chat

    def encode_chat(self: LanguageModel, messages: Any, template: Any = None) -> list[int]:
        asked.append([(message["role"], message["content"]) for message in messages])
        return encode(self, messages, template)

    monkeypatch.setattr(LanguageModel, "encode_chat", encode_chat)
    monkeypatch.setattr("sys.stdin", io.StringIO("one\ntwo\n"))
    assert run("chat", "--system", "brief")[0] == 0
    assert asked[-1] == [("system", "brief"), ("user", "one"), ("assistant", "I can't"), ("user", "two")]
    talks = Conversations(Library(tmp_path / "library").folder)
    (turn, _) = talks.load(talks.listed()[0].id)
    completion = turn.completions["unsteered"]
    assert (completion.text, completion.thought, completion.stop) == ("I can't", "Why?", "end")


def test_vectors_keep_the_template_s_arguments_and_are_used_with_them(run: CommandLine, tmp_path: Path) -> None:
    code, out, err = run(*TRAIN, "--template", "enable_thinking=false")
    assert code == 0, err
    assert "No." in out
    assert "thought" not in out
    assert "template: enable_thinking=false" in run("vectors", "show", "bomb-01")[1]
    assert run("chat", "--steer", "bomb-01", "--message", "q")[:2] == (0, "No.\n")
    assert "I can't" in run("chat", "--steer", "bomb-01", "--message", "q", "--template", "enable_thinking=true")[1]
    for asked in ((), ("--prompt", "other")):
        code, out, _ = run("evaluate", "behaviours", "bomb-01", *asked, "--json")
        assert code == 0
        assert "No." in out
        assert "I can't" not in out
    code, _, err = run("evaluate", "behaviours", "bomb-01", "--system", "x")
    assert code == 1
    assert "about prompts that are given" in err


def test_a_run_that_thinks_shows_for_how_long(run: CommandLine, tmp_path: Path) -> None:
    code, out, err = run(*TRAIN)
    assert code == 0, err
    assert "6 tokens" in out
    code, out, _ = run(*TRAIN, "--thought-tokens", "3")
    assert "(no answer: thought for 3 tokens)" in out
    assert "came to no answer in 3 tokens" in out
    code, out, _ = run(*TRAIN, "--json")
    row = json.loads(out.splitlines()[-1])["rows"][0]
    assert (row["text"], row["thought"], row["thought_tokens"], row["refuses"]) == ("I can't", "Why?", 6, True)
    assert "(thought for 6 tokens) I can't" in run("vectors", "show", "bomb-01")[1]


def test_a_system_text_that_the_template_drops_reaches_the_model(command_line: CommandLine, tmp_path: Path) -> None:
    save_tiny(tmp_path / "drops")
    dropping = "{% for m in messages %}{% if m.role == 'user' %}U:{{ m.content }};{% endif %}{% endfor %}A:"
    tiny_tokenizer(dropping).save_pretrained(tmp_path / "drops")
    where = ("--model", str(tmp_path / "drops"), "--library", str(tmp_path / "library"))
    completions = {
        text: command_line("chat", "--message", "hello", "--system", text, "--max-new-tokens", "8", *where)[1]
        for text in ("", "SPEAK FRENCH", "SPEAK GERMAN")
    }
    assert len(set(completions.values())) == 3
    code, _, err = command_line("chat", "--raw", "--message", "hello", "--system", "x", *where)
    assert code == 1
    assert "no chat template" in err

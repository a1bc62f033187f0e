"""Chat templates that would compute for ever or fill the memory: a clear line that blames them, within seconds."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from core.errors import Cancelled, ModelError
from core.model.examination import examine_folder
from core.model.templates import ChatTemplate, CostlyTemplate
from core.processes.cancelling import cancelled_by
from core.processes.confined import Confined, Exceeded, Raised
from tests.tiny_models import save_tiny, tiny_tokenizer

_ROUNDS = "{% for a in range(99999) %}"
_DOUBLED = "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = "
HOSTILE = {
    "loops": 3 * _ROUNDS + "{% set x = a * a %}" + 3 * "{% endfor %}",
    "doubles": _DOUBLED + "ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
    "doubles by +": _DOUBLED + "ns.s + ns.s %}{% endfor %}{{ ns.s }}",
    "multiplies": "{{ 'a' * 99999999999 }}",
    "raises to a power": "{{ 9 ** (9 ** (9 ** 9)) }}",
    "pads": "{{ 'a'.ljust(99999999999) }}",
    "formats": "{{ '%099999999999d' % 1 }}",
    "formats in braces": "{{ '{:>99999999999}'.format(1) }}",
    "replaces": "{% set a = 'a' * 9999999 %}{{ a.replace('a', a) }}",
    "joins": "{{ ('a' * 99999)|list|join('a' * 999999) }}",
    "centres": "{{ 'a'|center(99999999999) }}",
    "indents": "{{ ('a\\n' * 999999)|indent(999999) }}",
    "fills": "{{ [1]|batch(9999999999, 2)|list }}",
    "babbles": "{{ lipsum(n=99999999) }}",
    "nests lists": "{% set n = namespace(s=['a']) %}{% for i in range(60) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}",
    "calls itself twice": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "writes much": _ROUNDS + "{{ 'a' * 99 }}{% endfor %}",
    "acts on a word": "{{ messages[0]['content'] }}{% if 'please' in messages[0]['content'] %}"
    + 3 * _ROUNDS
    + 3
    * "{% endfor %}"
    "{% endif %}",
    "is nested deep": "{% if true %}" * 4000 + "{% endif %}" * 4000,
    "opens brackets": "{{ " + "(" * 20000 + "1" + ")" * 20000 + " }}",
}
REFUSALS = "does not come to an end|takes more than 512 MiB|writes more than|is nested deeper|fails"


_QUICK = ("doubles", "acts on a word")  # one of memory and one of time


@pytest.mark.parametrize("name", [name if name in _QUICK else pytest.param(name, marks=pytest.mark.slow) for name in HOSTILE])
def test_a_hostile_template_is_blamed_within_seconds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.processes.confined.SECONDS", 0.4)
    template = ChatTemplate(tiny_tokenizer(HOSTILE[name]), "tiny")
    began = time.monotonic()
    with pytest.raises(ModelError, match=f"the chat template of tiny ({REFUSALS})"):
        template.encode([{"role": "user", "content": "please"}], {})
    assert template.ends == frozenset()
    # Once for the prompt and once for its end, and a new process for each.
    assert time.monotonic() - began < 20


def test_the_next_template_is_rendered_as_ever_and_at_once() -> None:
    with pytest.raises(CostlyTemplate, match=r"chat template of tiny does not come to an end within 2 seconds"):
        ChatTemplate(tiny_tokenizer(HOSTILE["loops"]), "tiny").encode([{"role": "user", "content": "hello"}], {})
    template = ChatTemplate(tiny_tokenizer(), "tiny")
    talk = [{"role": "user", "content": "h\u00e9llo \U0001f600"}]
    assert template._tokenizer.decode(template.encode(talk, {})) == f"<user>{talk[0]['content']}\n<assistant>"
    began = time.monotonic()
    for _ in range(20):
        template.encode(talk, {})
    assert (time.monotonic() - began) / 20 < 0.05


def test_long_messages_are_not_taken_for_a_template_of_many_words() -> None:
    template = ChatTemplate(tiny_tokenizer(), "tiny")
    text = template._render([{"role": "user", "content": "long " * 500_000}], {})
    assert len(text) > 2_500_000


def test_doctor_names_the_template(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "tiny")
    tiny_tokenizer(HOSTILE["loops"]).save_pretrained(folder)
    (problem,) = examine_folder(folder, None, False)[1]
    assert "chat template of tiny does not come to an end" in problem
    assert "chat_template.jinja" in problem


def test_a_process_that_is_killed_between_two_calls_is_started_anew() -> None:
    own = Confined()
    try:
        assert own.call(":matches", {"patterns": ["a+"], "texts": ["aaa"]}) is True
        assert own._process is not None
        os.kill(own._process.pid, signal.SIGKILL)
        own._process.wait()
        assert own.call(":matches", {"patterns": ["a+"], "texts": ["aaa"]}) is True
        with pytest.raises(Raised, match=r"error: "):
            own.call(":matches", {"patterns": ["("], "texts": ["a"]})
        with pytest.raises(Exceeded, match="does not come to an end within 2 seconds"):
            own.call(":matches", {"patterns": ["(a+)+b"], "texts": ["a" * 40]})
    finally:
        own.close()


def test_a_call_that_waits_ends_with_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.processes.confined.SECONDS", 30.0)
    monkeypatch.setattr("core.processes.confined._CLOSING_SECONDS", 0.1)
    own, waiting = Confined(), threading.Event()

    def check() -> None:
        if waiting.is_set():
            raise Cancelled

    def call(patterns: list[str]) -> bool:
        return bool(own.call(":matches", {"patterns": patterns, "texts": ["a" * 40]}))

    def fail() -> None:
        with suppress(Exceeded):
            call(["(a+)+b"])

    try:
        assert call(["a+"])
        threading.Timer(0.3, waiting.set).start()
        began = time.monotonic()
        with cancelled_by(check), pytest.raises(Cancelled):
            call(["(a+)+b"])
        assert time.monotonic() - began < 2
        assert call(["a+"]), "by a process of its own, not by the one that is still at the call before"
        other = threading.Thread(target=fail)
        other.start()
        time.sleep(0.1)
        with cancelled_by(check), pytest.raises(Cancelled):
            call(["a+"])  # while another thread's is not at its end
    finally:
        own.close()
    other.join(2)
    assert not other.is_alive()


def test_the_process_writes_no_file_and_ends_with_its_parent(tmp_path: Path) -> None:
    own = Confined()
    own.call(":matches", {"patterns": [], "texts": []})
    with pytest.raises((Raised, Exceeded)):
        own.call("shutil:copyfile", {"src": __file__, "dst": str(tmp_path / "copy")})
    assert not (tmp_path / "copy").exists() or not (tmp_path / "copy").stat().st_size
    own.call(":matches", {"patterns": [], "texts": []})
    process = own._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0
    own._process = None

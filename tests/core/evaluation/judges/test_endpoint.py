"""An endpoint as judge, on the loopback, with the faults that endpoints have."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.errors import MelboError
from core.evaluation.judges import judge_of
from core.evaluation.judges.judge import Wanted
from tests.core.evaluation.judges.conftest import QUESTIONS, Ask

_GOOD = '{"refusal": "no", "coherent": true, "relevant": true}'
_KEY = "sk-secret-of-the-test"
# Status, headers, body; by which request it is and what it asks.
Answer = tuple[int, Mapping[str, str], bytes]


def _said(text: Any) -> Answer:
    return 200, {}, json.dumps({"choices": [{"message": {"content": text}}]}).encode()


@dataclass
class Endpoint:
    answer: Callable[[int, Any], Answer]
    asked: list[tuple[str, Mapping[str, str], Any]] = field(default_factory=list)


@contextmanager
def _serving(answer: Callable[[int, Any], Answer]) -> Iterator[tuple[str, Endpoint]]:
    endpoint = Endpoint(answer)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.asked.append((self.path, dict(self.headers), body))
            status, headers, data = endpoint.answer(len(endpoint.asked), body)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", endpoint
        server.shutdown()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELBO_TUI_JUDGE_KEY", _KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("core.evaluation.judges.endpoint._PAUSES", (0.0, 0.0, 0.0))


def test_each_completion_is_asked_as_data_with_the_key(ask: Ask) -> None:
    with _serving(lambda times, body: _said(_GOOD)) as (address, endpoint):
        found = ask(f"{address}#tiny")
        assert (found.judged, found.trouble) == (3, None)
        assert ask(f"{address}#tiny").asked == 0
    assert _KEY not in found.by
    path, headers, body = endpoint.asked[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {_KEY}"
    assert (body["model"], body["temperature"], body["response_format"]) == ("tiny", 0, {"type": "json_object"})
    assert QUESTIONS[0].text in body["messages"][1]["content"]
    assert len(endpoint.asked) == 3


def test_where_the_address_leads() -> None:
    def place(what: str, model: str | None = None) -> tuple[str, str]:
        made: Any = judge_of(Wanted(what, model))
        return made._address.geturl(), made._model

    assert place("http://localhost:8000", "m") == ("http://localhost:8000/v1/chat/completions", "m")
    assert place("https://a.b/v1/?model=x%2Fy&api-version=2") == ("https://a.b/v1/chat/completions?api-version=2", "x/y")
    assert place("https://a.b/api/v3/chat/completions#m") == ("https://a.b/api/v3/chat/completions", "m")


@pytest.mark.parametrize(
    "what", ["http://", "http://h/v1", "http://u:secret@h#m", "http://h:x#m", "http://h\n/#m", "https://[::1#m"]
)
def test_an_address_that_is_none_is_refused(what: str) -> None:
    with pytest.raises(MelboError) as caught:
        judge_of(Wanted(what))
    assert caught.value.remedy
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "what",
    [
        "https://h/v1?key=hush#m",
        "https://h/v1?api-version=2&API_KEY=hush#m",
        "https://h?sig=hush#m",
        "https://h?access_token=hush#m",
    ],
)
def test_an_address_with_a_secret_is_refused_and_the_remedy_is_an_environment_variable(what: str) -> None:
    with pytest.raises(MelboError) as caught:
        judge_of(Wanted(what))
    assert "MELBO_TUI_JUDGE_KEY" in caught.value.remedy
    assert "hush" not in f"{caught.value} {caught.value.remedy}"


def test_one_that_is_busy_is_asked_again(ask: Ask) -> None:
    busy: Answer = (429, {"Retry-After": "0"}, b"slow down")
    with _serving(lambda times, body: busy if times % 2 else _said(_GOOD)) as (address, endpoint):
        assert ask(f"{address}#m").judged == 3
        assert len(endpoint.asked) == 6


def test_one_that_stays_broken_ends_it_and_what_it_said_is_kept(ask: Ask) -> None:
    broken: Answer = (503, {}, f"\x1b[31mno {_KEY}".encode())
    with _serving(lambda times, body: _said(_GOOD) if times == 1 else broken) as (address, endpoint):
        found = ask(f"{address}#m")
        assert len(endpoint.asked) == 5
    assert found.judged == 1
    assert "answers 503" in str(found.trouble)
    assert _KEY not in str(found.trouble)
    assert "\x1b" not in str(found.trouble)


def test_no_redirect_is_followed(ask: Ask) -> None:
    with _serving(lambda times, body: _said(_GOOD)) as (other, stranger):
        there: Answer = (307, {"Location": f"{other}/v1/chat/completions"}, b"")
        with _serving(lambda times, body: there) as (address, endpoint):
            found = ask(f"{address}#m")
    assert "which is not followed" in str(found.trouble)
    assert (len(endpoint.asked), stranger.asked) == (1, [])


def test_a_wrong_key_is_told_at_once(ask: Ask) -> None:
    with _serving(lambda times, body: (401, {}, _KEY.encode())) as (address, endpoint):
        found = ask(f"{address}#m")
        assert len(endpoint.asked) == 1
    assert found.trouble is not None
    assert _KEY not in f"{found.trouble} {found.trouble.remedy}"
    assert "whether its key is the right one" in found.trouble.remedy


def test_what_an_endpoint_does_not_take_is_left_out(ask: Ask) -> None:
    plain = lambda times, body: (400, {}, b"unknown") if "response_format" in body else _said(_GOOD)  # noqa: E731
    with _serving(plain) as (address, endpoint):
        assert ask(f"{address}#m").judged == 3
        assert len(endpoint.asked) == 4


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"[]", b'{"choices": []}', json.dumps({"choices": [{"message": 1}]}).encode()]
)
def test_what_is_no_completion_is_not_understood(ask: Ask, data: bytes) -> None:
    with _serving(lambda times, body: (200, {}, data)) as (address, _):
        found = ask(f"{address}#m")
    assert (found.judged, found.misunderstood, found.trouble) == (0, 3, None)


def test_an_endless_answer_is_cut(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.evaluation.judges.endpoint._MOST_BYTES", 1000)
    with _serving(lambda times, body: (200, {}, b" " * 5000)) as (address, _):
        assert "answers more than" in str(ask(f"{address}#m").trouble)


def test_one_that_does_not_answer(ask: Ask) -> None:
    waiting = threading.Event()
    try:
        with _serving(lambda times, body: (waiting.wait(20), _said(_GOOD))[1]) as (address, _):
            assert "does not answer within 0.1 s" in str(ask(f"{address}#m", seconds=0.1).trouble)
            waiting.set()
        assert "cannot be reached" in str(ask(f"{address}#m").trouble), "it is gone"
    finally:
        waiting.set()


def test_the_key_crosses_no_network_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(what: str) -> str:
        made: Any = judge_of(Wanted(what))
        return str(made._key())

    assert sent("http://judge.example/v1#m") == ""
    assert sent("https://judge.example/v1#m") == _KEY
    assert sent("http://localhost:1/v1#m") == _KEY
    monkeypatch.setenv("MELBO_TUI_JUDGE_KEY", "a\nb")
    assert sent("https://judge.example/v1#m") == ""

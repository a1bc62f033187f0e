"""An OpenAI-compatible endpoint as judge: a chat completion a question, at temperature 0."""

from __future__ import annotations

import http.client
import ipaddress
import os
import re
import time
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from core.errors import SettingsError
from core.evaluation.judges.judge import JudgeError, JudgeKind, Question, Wanted
from core.evaluation.judges.question import INSTRUCTION, quoted
from core.processes.cancelling import end_if_cancelled
from core.redaction import redacted
from vectors.files.bounded import LABEL
from vectors.files.strict_json import dumps, loads
from vectors.plain_text import one_line

KEYS = ("MELBO_TUI_JUDGE_KEY", "OPENAI_API_KEY")
# What in an address' query lets a program in, by its name.
_SECRET = re.compile(r"key|token|secret|passw|passphrase|credential|auth|^(?:pwd|pass|sig|signature|code)$", re.IGNORECASE)
_SCHEMES = ("http://", "https://")
_MOST_BYTES = 4 << 20
_TOKENS = 512
# Seconds before each further attempt; what the endpoint asks for instead, to this limit.
_PAUSES = (1.0, 4.0, 15.0)
_LONGEST_PAUSE = 60.0
_LOOK_SECONDS = 0.1
# What some endpoints do not take is left out where one answers that a request is a bad one.
_OPTIONAL: tuple[Mapping[str, Any], ...] = (
    {"temperature": 0, "max_tokens": _TOKENS, "response_format": {"type": "json_object"}},
    {"temperature": 0, "max_tokens": _TOKENS},
    {},
)


def judge_of(wanted: Wanted) -> EndpointJudge:
    try:
        address = urlsplit(wanted.what)
        host = address.hostname
        _ = address.port
    except ValueError as error:
        raise SettingsError(f"the judge's address cannot be read ({error})", "give one as http://localhost:8000/v1") from error
    if not host or not wanted.what.isascii() or not wanted.what.isprintable() or " " in wanted.what:
        raise SettingsError("the judge's address is none", "give one as http://localhost:8000/v1")
    if address.username is not None:
        raise SettingsError("the judge's address has a user in it", f"give a key by the environment variable {KEYS[0]}")
    query = parse_qsl(address.query, keep_blank_values=True)
    if secret := next((name for name, _ in query if _SECRET.search(name)), ""):
        raise SettingsError(
            f"the judge's address has a secret in it, {one_line(secret, 40)}=..., which reports and settings would keep",
            f"leave it out, and give a key by the environment variable {KEYS[0]}",
        )
    named = next((value for name, value in query if name == "model"), "")
    model = wanted.model or named or address.fragment
    if not model:
        raise SettingsError("the judge's address names no model", "add --judge-model NAME, or #NAME behind the address")
    path = address.path.rstrip("/") or "/v1"
    path += "" if path.endswith("/chat/completions") else "/chat/completions"
    rest = urlencode([(name, value) for name, value in query if name != "model"])
    return EndpointJudge(SplitResult(address.scheme, address.netloc, path, rest, ""), model, wanted.seconds)


class EndpointJudge:
    """The chat completions at `address`; no redirect is followed. The key is sent by https, or to this machine, and is shown
    nowhere.
    """

    def __init__(self, address: SplitResult, model: str, seconds: float) -> None:
        self._address, self._model, self._seconds = address, model, seconds
        self._optional = 0
        self._opener = urllib.request.build_opener(_NoRedirect)
        self.name = one_line(f"{redacted(model)} at {address.netloc}", LABEL)

    @property
    def identity(self) -> str:
        return f"endpoint {sha256(repr((self._address.geturl(), self._model, INSTRUCTION)).encode()).hexdigest()}"

    def answers(self, questions: Sequence[Question]) -> Generator[str, None, None]:
        for question in questions:
            yield self._answer(question)

    def _answer(self, question: Question) -> str:
        messages = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": quoted(question)}]
        pauses = iter(_PAUSES)
        while True:
            end_if_cancelled()
            wait: float | None = None
            try:
                return _content(self._asked({"model": self._model, "messages": messages, **_OPTIONAL[self._optional]}))
            except HTTPError as error:
                with error:
                    if error.code in (400, 422) and self._optional + 1 < len(_OPTIONAL):
                        self._optional += 1
                        continue
                    trouble = self._refused(error)
                    if error.code != 429 and error.code < 500:
                        raise trouble from None
                    wait = _asked_pause(error.headers.get("Retry-After"))
            except (OSError, http.client.HTTPException) as error:
                trouble = self._failed(error)
            pause = next(pauses, None)
            if pause is None:
                raise trouble
            _sleep(pause if wait is None else wait)

    def _asked(self, body: Mapping[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "melbo-tui"}
        if key := self._key():
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self._address.geturl(), dumps(body).encode(), headers, method="POST")
        end, data = time.monotonic() + self._seconds, b""
        with self._opener.open(request, timeout=self._seconds) as response:
            while some := response.read1(1 << 16):
                data += some
                end_if_cancelled()
                if time.monotonic() > end:
                    raise TimeoutError("timed out")
                if len(data) > _MOST_BYTES:
                    raise JudgeError(f"the judge {self.name} answers more than {_MOST_BYTES >> 20} MiB", _IS_IT)
        return data

    def _key(self) -> str:
        """What lets the program in; nothing where it would cross a network unencrypted, or is no header's text."""
        key = next((value.strip() for name in KEYS if (value := os.environ.get(name))), "")
        safe = self._address.scheme == "https" or _is_this_machine(self._address.hostname or "")
        return key if safe and key.isascii() and key.isprintable() else ""

    def _refused(self, error: HTTPError) -> JudgeError:
        what = f"the judge {self.name} answers {error.code} {one_line(error.reason, 60)}"
        if 300 <= error.code < 400:
            to = one_line(urlsplit(error.headers.get("Location", "")).netloc, 80) or "another address"
            return JudgeError(
                f"{what}: it redirects to {to}, which is not followed", "name that address if it is the one you mean"
            )
        if error.code in (401, 403):
            remedy = f"set {KEYS[0]} to its key" if not self._key() else "look whether its key is the right one"
            return JudgeError(
                what, remedy + ("" if self._address.scheme == "https" else "; to other machines it is sent by https alone")
            )
        said = self._without_key(error.read(2000).decode(errors="replace"))
        remedies = {
            404: "look whether the address and the model's name are right",
            429: "wait, and run it again: what it judged is kept",
        }
        return JudgeError(
            f"{what}{f': {said}' if said else ''}", remedies.get(error.code, "run it again later: what it judged is kept")
        )

    def _failed(self, error: Exception) -> JudgeError:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, TimeoutError):
            return JudgeError(
                f"the judge {self.name} does not answer within {self._seconds:g} s", "allow more by --judge-timeout"
            )
        why = self._without_key(str(getattr(reason, "strerror", None) or reason or type(reason).__name__))
        return JudgeError(
            f"the judge {self.name} cannot be reached ({why})", "look whether it runs, and whether the address is right"
        )

    def _without_key(self, text: str) -> str:
        """`text` of the endpoint's in a line, which may quote the key that it was sent."""
        key = self._key()
        return one_line(redacted(text.replace(key, "***") if key else text), 160)


_IS_IT = "look whether the address is that of an OpenAI-compatible endpoint"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Another host would be sent the key, and what is judged."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _content(data: bytes) -> str:
    """The message in an endpoint's answer; whatever is no such answer is handed on, to be counted as not understood."""
    try:
        content = loads(data)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        return ""
    return content if isinstance(content, str) else ""


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _asked_pause(header: str | None) -> float | None:
    """The seconds that `Retry-After` asks for, to a limit; None where it names none."""
    return min(float(header), _LONGEST_PAUSE) if header and header.isdecimal() and len(header) < 10 else None


def _sleep(seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        end_if_cancelled()
        time.sleep(min(left, _LOOK_SECONDS))


JUDGE = JudgeKind(
    "the http(s) address of an OpenAI-compatible endpoint", __name__, lambda what: what.lower().startswith(_SCHEMES)
)

"""What no message, file or screen may show: tokens, passwords in addresses, signatures of addresses."""

from __future__ import annotations

import re

_SECRETS = (
    (re.compile(r"\b(hf|api_org)_[A-Za-z0-9]{6,}"), r"\1_..."),
    (re.compile(r"(?i)\b(bearer|basic|token)(\s+|%20)[A-Za-z0-9._~+/=-]{8,}"), r"\1 ..."),
    (re.compile(r"(\w+://)[^\s/@:]*(:[^\s/@]*)?@"), r"\1...@"),
    (re.compile(r"(\w+://[^\s?'\"<>]+)\?[^\s'\"<>)]+"), r"\1?..."),
    (re.compile(r"(?i)\b(token=)[^\s&,;'\"<>]+"), r"\1..."),
    (re.compile(r"(?i)\b((?:hf_token|password|passwd|secret|api_?key)\s*[=:]\s*)\S+"), r"\1..."),
)


def redacted(text: str) -> str:
    """`text` without the secrets in it."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text

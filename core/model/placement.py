"""How a model is spread over devices, as accelerate is told. Imports no torch."""

from __future__ import annotations

import json
import re
from typing import Any

from core.errors import ModelError

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B)", re.IGNORECASE)
_MOST_DEVICES = 64


def device_map(text: str) -> str | dict[str, Any]:
    """accelerate's word (auto, balanced, a device), or a JSON object of module names and devices. Raises ModelError."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        pieces = json.loads(text)
        if not isinstance(pieces, dict):
            raise ValueError("no object")
        return pieces
    except ValueError as error:
        raise ModelError(
            f"the device map is not readable ({error})", 'write auto, or {"model.layers.0": "cpu", ...}'
        ) from error


def max_memory(text: str, gpus: int = _MOST_DEVICES) -> dict[int | str, str]:
    """The most memory that each device may give to weights, from `0=20GiB,cpu=60GiB`. Raises ModelError.

    `gpus`: how many there are, where that is known. A device that is not named gives none.
    """
    limits: dict[int | str, str] = {}
    for part in text.split(","):
        device, _, size = (piece.strip() for piece in part.partition("="))
        match = _SIZE.fullmatch(size)
        number = device.isdigit() and len(device) <= 2 and int(device) < _MOST_DEVICES
        if not (number or device in ("cpu", "mps")) or match is None or not 0 < float(match[1]) <= 1e6:
            raise ModelError(f"{part.strip()!r} is no device and the most memory on it", "write --max-memory 0=20GiB,cpu=60GiB")
        key = int(device) if number else device
        if number and int(device) >= gpus:
            raise ModelError(
                f"--max-memory names GPU {device}, but this machine has {gpus or 'none'}", "name cpu, or a GPU there is"
            )
        if key in limits:
            raise ModelError(f"--max-memory names the device {device} twice", "give each device once")
        limits[key] = size.replace(" ", "")
    return limits

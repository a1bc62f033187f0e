"""Model folders as a hostile or broken sender might make them: any JSON value at any place of their files, and worse.

Run as a program, it loads the folders that standard input names, one a line, in one process, and prints JSON for each.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 7, 10**3, 10**7, 10**9, 2**31, 2**63, 10**12, 10**30, -(10**30), 0.5, -0.0, 1e308, "", "a",
    "abc" * 1000, "../../etc/passwd", "\x1b]52;c;aGVsbG8=\x07", "\x00", "\u202e", "(a+)+b", "inf", "float7", "cuda", [], [[]],
    {}, [1] * 1000, {"a": {"b": None}}, [None], ["x"], [10**12], {"0": 10**12}, "NaN", "{{ 1 }}", "auto", "http://127.0.0.1:9/x",
]  # fmt: skip
TEMPLATES = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% set n = namespace(s='ab') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}",
    "{{ 'a' * 99999999999 }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ messages[0].__class__.__mro__ }}",
    "{% if",
    "{{ raise_exception('\x1b[2J' * 9) }}",
    "{% for m in messages %}{{ m.content }}{% endfor %}{{ 'x' * 900000 }}",
]
JSON_FILES = ["config.json", "tokenizer_config.json", "tokenizer.json", "generation_config.json", "adapter/adapter_config.json"]
Mutation = Callable[[Path, random.Random], str]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key below `value`."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _any_value(folder: Path, random: random.Random) -> str:
    """A value of any kind in place of another, or beside the others; a few times over."""
    name = random.choice([name for name in JSON_FILES if (folder / name).is_file()])
    data = json.loads((folder / name).read_text())
    told = [name]
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        container, key = random.choice(list(_places(data)))
        new = random.choice(VALUES)
        told.append(f"{key}={json.dumps(new)[:40]}")
        if isinstance(container, list) or key in container:
            container[key] = new
    (folder / name).write_text(json.dumps(data))
    return " ".join(told)


def _size(folder: Path, random: random.Random) -> str:
    """A number of another order at a place where a number is."""
    data = json.loads((folder / "config.json").read_text())
    container, key = random.choice([(c, k) for c, k in _places(data) if type(c[k]) is int])
    container[key] = random.choice(
        (0, -1, 3, container[key] * 2, container[key] + 1, 10**5, 10**6, 10**7, 10**9, 10**12, 10**30)
    )
    (folder / "config.json").write_text(json.dumps(data))
    return f"config.json {key}={container[key]}"


def _template(folder: Path, random: random.Random) -> str:
    template = random.choice(TEMPLATES)
    (folder / "chat_template.jinja").write_text(template)
    return f"template {template[:40]!r}"


def _header(folder: Path, random: random.Random) -> str:
    """Another header of the weights: shapes of petabytes, wrong types, a length without end."""
    file = folder / random.choice(("model.safetensors", "adapter/adapter_model.safetensors"))
    data = file.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    kind = random.choice(("shape", "value", "length", "cut", "bytes"))
    if kind == "length":
        data = struct.pack("<Q", random.choice((0, 2**60, len(data), 2**63))) + data[8:]
    elif kind == "cut":
        data = data[: random.randrange(len(data))]
    elif kind == "bytes":
        place = random.randrange(min(len(data), size + 8))
        data = data[:place] + random.randbytes(8) + data[place + 8 :]
    else:
        if kind == "shape":
            random.choice([v for k, v in header.items() if k != "__metadata__"])["shape"] = random.choice(
                ([10**15], [-1, 5], ["a"], [2**63, 2**63], [], [0, 0], "x", [1.5])
            )
        else:
            container, key = random.choice(list(_places(header)))
            container[key] = random.choice(VALUES)
        text = json.dumps(header).encode()
        data = struct.pack("<Q", len(text)) + text + data[8 + size :]
    file.write_bytes(data)
    return f"{file.name} {kind}"


def _index(folder: Path, random: random.Random) -> str:
    """An index of a million files, or of files elsewhere."""
    names = list(json.loads((folder / "model.safetensors").read_bytes()[8 : 8 + _header_size(folder)]))
    files = random.choice((
        lambda i: f"model-{i:06d}.safetensors", lambda i: "../../../../etc/passwd", lambda i: "/etc/passwd", lambda i: None,
        lambda i: 7, lambda i: "pipe.safetensors", lambda i: ["a"], lambda i: "model-00001.safetensors\n", lambda i: "..",
    ))  # fmt: skip
    count = random.choice((1, 100_000))
    place = {name: files(i) for i, name in enumerate([*names, *(f"model.layers.{i}.x" for i in range(count))])}
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": random.choice((place, place, [], 5, None))}))
    os.mkfifo(folder / "pipe.safetensors")
    return f"index of {count}: {files(0)!r}"


def _header_size(folder: Path) -> int:
    size: int = struct.unpack("<Q", (folder / "model.safetensors").read_bytes()[:8])[0]
    return size


def _no_file(folder: Path, random: random.Random) -> str:
    """A pipe, a folder, a device, a loop of links, nothing at all, or other bytes, in a file's place."""
    file = random.choice([file for file in folder.rglob("*") if file.is_file()])
    kind = random.choice(("pipe", "folder", "device", "link", "empty", "bytes", "deep", "long number"))
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind in ("device", "link"):
        file.symlink_to("/dev/zero" if kind == "device" else file)
    else:
        made = {
            "empty": b"",
            "bytes": random.randbytes(99),
            "deep": b"[" * 10**6,
            "long number": b'{"a": 1' + b"0" * 10**6 + b"}",
        }
        file.write_bytes(made[kind])
    return f"{file.name} is {kind}"


def _tokens(folder: Path, random: random.Random) -> str:
    """Very many added tokens, or ids that no vocabulary has."""
    data = json.loads((folder / "tokenizer.json").read_text())
    many = random.choice((1, 100_000))
    first = random.choice((10**12, 10**6, -5, 300))
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    data["added_tokens"] += [{"id": first + i, "content": f"<{i}>", **flags} for i in range(many)]
    (folder / "tokenizer.json").write_text(json.dumps(data))
    return f"{many} tokens from {first}"


def _adapter(folder: Path, random: random.Random) -> str:
    path = folder / "adapter" / "adapter_config.json"
    data = json.loads(path.read_text())
    data |= random.choice((
        {"r": 10**9}, {"r": -1}, {"r": 10**30}, {"r": "x"}, {"target_modules": "(([a-z._0-9]+)+)+!"}, {"target_modules": "("},
        {"target_modules": []}, {"layers_to_transform": [10**12]}, {"layers_to_transform": "all", "layers_pattern": "(a+)+"},
        {"rank_pattern": {"([a-z.]+)+!": 4}}, {"rank_pattern": {"q_proj": 10**9}}, {"alpha_pattern": {"((.*)*)*x": 1}},
        {"lora_alpha": 1e308}, {"lora_alpha": "x"}, {"peft_type": random.choice(("LORA", "VERA", "LOHA", "x", None, 5, []))},
        {"trainable_token_indices": [10**12]}, {"trainable_token_indices": {"embed_tokens": [10**9]}},
        {"modules_to_save": ["lm_head"]}, {"base_model_name_or_path": "../../x"}, {"use_dora": True}, {"eva_config": {}},
        {"auto_mapping": {"a": "b"}},
    ))  # fmt: skip
    path.write_text(json.dumps(data))
    return f"adapter {json.dumps(data)[-60:]}"


MUTATIONS: list[Mutation] = [
    _any_value,
    _any_value,
    _any_value,
    _size,
    _size,
    _template,
    _header,
    _index,
    _no_file,
    _tokens,
    _adapter,
]


def make(base: Path, folder: Path, seed: int) -> str:
    """A folder made from the whole one at `base`; says what is wrong with it."""
    chosen = random.Random(seed)
    shutil.copytree(base, folder)
    return chosen.choice(MUTATIONS)(folder, chosen)


def attempt(folder: Path, doctor: bool) -> str:
    """What became of the model in `folder`: `loaded`, or the line that says why not."""
    from core.errors import MelboError
    from core.model.source import ModelSpec

    adapter = folder / "adapter"
    spec = ModelSpec(str(folder), str(adapter) if (adapter / "adapter_config.json").is_file() else None, device="cpu")
    if doctor:
        from melbo_tui.commands.doctor import examine_model

        _, problems = examine_model(spec)
        return "; ".join(problems) or "loaded"
    try:
        from core.engine.tasks.load import loaded
        from core.steering.generation import Row, Sampling, generate

        model = loaded(spec)
        ids = model.encode_chat([{"role": "user", "content": "hello"}]) if model.has_tokenizer else [1, 2, 3]
        list(generate(model, [Row("a", tuple(ids[-64:]), (), Sampling(max_new_tokens=2))]))
    except MelboError as error:
        return f"{error} ({error.remedy})"
    return "loaded"


def main() -> None:
    import resource

    import peft  # noqa: F401

    import core.model.language_model  # noqa: F401  imported before the first model is timed

    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for number, line in enumerate(sys.stdin):
        folder = Path(line.strip())
        print(json.dumps({"begins": folder.name}), flush=True)
        began = time.process_time()  # other work on the machine is not its fault
        try:
            told, clean = attempt(folder, doctor=number % 2 == 1), True
        except BaseException as error:  # which a user would see as a fault of the program
            told, clean = f"{type(error).__name__}: {error}", False
        seconds = time.process_time() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(json.dumps({"ended": folder.name, "seconds": seconds, "told": told, "clean": clean, "peak": peak}), flush=True)


if __name__ == "__main__":
    main()

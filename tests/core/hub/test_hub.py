"""Whatever goes wrong with the hub: what has come is kept and resumed, what is damaged thrown away, and one line says it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from core.errors import Cancelled, ModelError
from core.hub.downloads import HubOutOfReach, Wanted
from core.hub.fetching import fetched
from core.redaction import redacted
from tests.loopback_hub import Fault, Hub, served, settings

TOKEN = "hf_ThisIsASecretOfTheUsers"
WEIGHTS = "/model.safetensors"
WANTED = Wanted("owner/tiny", None, (["*.json", "*.safetensors"],))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub of two files, and an empty cache."""
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(os.urandom(3 << 20))
    hub = Hub(folder)
    with served(hub) as address:
        more = {"HF_TOKEN": TOKEN, "HF_HUB_DOWNLOAD_TIMEOUT": "3"}
        for name, value in settings(address, tmp_path / "home", **more).items():
            monkeypatch.setenv(name, value)
        yield hub


def _of_the_weights(*faults: Fault | None, then: Fault | None = None) -> Callable[[str, int], Fault | None]:
    """The weights' downloads go wrong so, one after another, and those behind them as `then` says."""

    def fault(path: str, times: int) -> Fault | None:
        if not path.endswith(WEIGHTS):
            return None
        return faults[times] if times < len(faults) else then

    return fault


def _fetch(stages: list[str] | None = None) -> Path:
    return fetched(WANTED, lambda stage, fraction: None if stages is None else stages.append(stage))


def _whole(folder: Path, hub: Hub) -> bool:
    return (folder / "model.safetensors").read_bytes() == (hub.folder / "model.safetensors").read_bytes()


def test_progress_tells_how_much_of_how_much_has_come(hub: Hub) -> None:
    stages: list[str] = []
    assert _whole(_fetch(stages), hub)
    assert any("3.0 of 3.0 MiB" in stage and "MiB/s" in stage for stage in stages)


@pytest.mark.parametrize(
    ("fault", "message", "remedy"),
    [
        (Fault(403, "GatedRepo"), "owner/tiny is gated", "ask for access at http.*hf auth login, or set HF_TOKEN"),
        (Fault(401), "the hub has no model owner/tiny|the hub refuses access to owner/tiny", "hf auth login"),
        (Fault(403), r"the hub refuses access to owner/tiny \(403\)", "HF_TOKEN"),
        (Fault(429), r"the hub has had too many requests from here \(429\)", "try again in some minutes"),
        (Fault(404, "RepoNotFound"), "the hub has no model owner/tiny", "check its spelling"),
        (Fault(404, "RevisionNotFound"), "the hub has owner/tiny, but not at revision", "--revision"),
    ],
)
def test_a_refusal_says_what_to_do(hub: Hub, fault: Fault, message: str, remedy: str) -> None:
    hub.fault = lambda path, times: fault
    with pytest.raises(ModelError, match=message) as caught:
        _fetch()
    assert re.search(remedy, caught.value.remedy)
    assert TOKEN not in str(caught.value) + caught.value.remedy
    assert len(hub.asked) <= 3, "what is refused is not asked for again and again"


@pytest.mark.slow
def test_trouble_of_the_hub_that_passes_is_waited_for(hub: Hub) -> None:
    hub.fault = _of_the_weights(Fault(503), Fault(502))
    stages: list[str] = []
    assert _whole(_fetch(stages), hub)
    assert any("the hub answers 503, so it is asked again" in stage for stage in stages)


@pytest.mark.slow
def test_trouble_of_the_hub_that_stays_is_told(hub: Hub) -> None:
    hub.fault = _of_the_weights(then=Fault(500))
    with pytest.raises(ModelError, match="the hub answers 500, again and again"):
        _fetch()
    assert hub.times(f"/owner/tiny/resolve/0123456789abcdef0123456789abcdef01234567{WEIGHTS}") == 4


def test_a_download_that_is_cut_off_is_resumed_where_it_was(hub: Hub) -> None:
    (hub.folder / "model.safetensors").write_bytes(os.urandom(24 << 20))  # whose parts are of ten
    hub.fault = _of_the_weights(Fault(cut=11 << 20), Fault(cut=11 << 20))
    assert _whole(_fetch(), hub)
    ranges = [one[2] for one in hub.asked if one[0] == "GET" and one[1].endswith(WEIGHTS)]
    assert ranges[0] == ""
    assert all(one.startswith("bytes=") for one in ranges[1:])


def test_a_download_that_was_given_up_is_resumed_by_the_next(hub: Hub) -> None:
    (hub.folder / "model.safetensors").write_bytes(os.urandom(24 << 20))
    hub.fault = _of_the_weights(Fault(cut=22 << 20, stall=60))
    began = 0.0

    def stop(stage: str, fraction: float | None) -> None:
        nonlocal began
        blobs = Path(os.environ["HF_HOME"]) / "hub" / "models--owner--tiny" / "blobs"
        came = [file for file in blobs.glob("*.part") if file.stat().st_size]
        if came:
            began = began or time.monotonic()
            raise Cancelled

    with pytest.raises(Cancelled):
        fetched(WANTED, stop)
    assert time.monotonic() - began < 1.0, "at once, though it waits for the network"
    assert _whole(_fetch(), hub)
    assert [one[2] for one in hub.asked if one[0] == "GET" and one[1].endswith(WEIGHTS)][-1].startswith("bytes=")


@pytest.mark.parametrize("content", [b"x" * (3 << 20), pytest.param(b"x" * 1000, marks=pytest.mark.slow)])
def test_what_comes_damaged_is_thrown_away_and_never_loaded(hub: Hub, content: bytes) -> None:
    hub.fault = _of_the_weights(then=Fault(content=content))
    with pytest.raises(ModelError, match=r"came damaged|could not be fetched"):
        _fetch()
    assert not [file for file in Path(os.environ["HF_HOME"]).rglob("*") if file.is_file() and file.read_bytes() == content]
    hub.fault = lambda path, times: None
    assert _whole(_fetch(), hub)


def test_what_an_earlier_process_had_no_time_to_check_is_checked(hub: Hub) -> None:
    folder = _fetch()
    mark = folder.parents[1] / ".melbo-tui-unchecked"
    assert not mark.exists()
    mark.touch()
    (folder / "model.safetensors").resolve().write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"model\.safetensors came damaged"):
        _fetch()
    assert _whole(_fetch(), hub)


def test_two_that_fetch_the_same_get_it_once(hub: Hub) -> None:
    got: list[Path] = []
    threads = [threading.Thread(target=lambda: got.append(_fetch())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 2
    assert got[0] == got[1]
    assert _whole(got[0], hub)
    assert sum(one[0] == "GET" and one[1].endswith(WEIGHTS) for one in hub.asked) == 1


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "onnection refused"),
        ({"HF_ENDPOINT": "http://nowhere.invalid"}, "ame or service not known|resolution|resolve|nowhere"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        ({"HF_ENDPOINT": "https"}, "SSL|ssl|TLS|record"),
        ({"HTTP_PROXY": "http://user:geheim@127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""}, "onnection refused|roxy"),
    ],
)
def test_a_hub_that_cannot_be_reached(hub: Hub, settings: dict[str, str], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, os.environ["HF_ENDPOINT"].replace("http:", "https:") if value == "https" else value)
    with pytest.raises(ModelError, match=why) as caught:
        _fetch()
    assert isinstance(caught.value, HubOutOfReach) or "HTTP_PROXY" in settings
    assert "\n" not in str(caught.value)
    assert "geheim" not in str(caught.value)
    assert "network" in caught.value.remedy


def test_a_download_ends_with_the_program_that_wanted_it(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "20")  # until then it waits in silence
    hub.fault = _of_the_weights(then=Fault(cut=1 << 20, stall=20))
    wanting = (
        "import os, threading, time\nfrom core.hub.fetching import fetched\nfrom core.hub.downloads import Wanted\n"
        "wanted = Wanted('owner/tiny', None, (['*.json', '*.safetensors'],))\n"
        "threading.Thread(target=fetched, args=(wanted, lambda stage, fraction: None), daemon=True).start()\n"
        "print(flush=True), input()\nos._exit(0)"
    )
    with subprocess.Popen([sys.executable, "-c", wanting], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        while not any(path.endswith(WEIGHTS) for _, path, _ in hub.asked):
            time.sleep(0.02)
        (child,) = psutil.Process(program.pid).children()
        program.communicate(b"\n", timeout=10)
    child.wait(5)


def test_why_a_download_s_process_ended_is_told(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = [sys.executable, "-c", "import sys; sys.exit('no such thing')"]
    monkeypatch.setattr("core.hub.fetching.python", lambda *what: ended)
    with pytest.raises(ModelError, match=r"its process ended \(no such thing\)"):
        _fetch()


def test_a_cache_that_cannot_be_written(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="cannot be written") as caught:
        _fetch()
    assert "HF_HOME" in caught.value.remedy


def test_no_secret_is_told() -> None:
    text = (
        f"GET https://user:pa55@hub.example/a/b?X-Amz-Signature=abcdef&x=1 with Authorization: Bearer {TOKEN}"
        f" HF_TOKEN={TOKEN} and {TOKEN}"
    )
    told = redacted(text)
    assert "hub.example/a/b" in told
    for secret in (TOKEN, "pa55", "abcdef", "ThisIsASecret"):
        assert secret not in told
    assert redacted("a plain line: 3 of 4 (see https://hub.example/a)") == "a plain line: 3 of 4 (see https://hub.example/a)"


def test_models_and_doctor_say_that_they_could_not_look(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import constants

    from melbo_tui.cli import main

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # read when it was imported
    assert main(["models", "show", "owner/tniy"]) == 0
    assert "whether there is such a model is not known: owner/tniy is not on this machine" in capsys.readouterr().out
    assert main(["doctor", "--model", "owner/tniy"]) == 1
    assert "- owner/tniy is not on this machine, and the hub cannot be reached" in capsys.readouterr().out


def test_what_an_ended_download_of_the_library_left_is_swept(hub: Hub) -> None:
    blobs = _fetch().parents[1] / "blobs"
    (blobs / "0123456789.aabbccdd.incomplete").write_bytes(b"left")
    _fetch()
    assert not list(blobs.glob("*.incomplete"))
    assert not list(blobs.glob("*.part"))

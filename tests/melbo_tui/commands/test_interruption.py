"""What ends the app ends a command too."""

from __future__ import annotations

import os
import signal

import pytest

from melbo_tui import signals
from melbo_tui.commands.interruption import Stopped, handled


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_a_signal_that_ends_a_command_tells_which_it_was(number: int) -> None:
    earlier = signal.signal(number, signal.SIG_DFL)  # whoever runs the tests in the background may ignore it
    try:
        with pytest.raises(Stopped) as caught, handled():
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, earlier)
    assert caught.value.number == number
    assert number in signals.ENDING

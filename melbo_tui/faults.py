"""An app whose faults, and the warnings that it shows, are logged."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Lock

from textual.app import App
from textual.notifications import SeverityLevel
from textual.worker import Worker, WorkerState

from core.log import LOG, failed


class LoggedApp(App[None]):
    """`fault` is the exception that ended it, where one did. The log begins after the first frame, or at a fault before it."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Exception | None = None
        self._logging: ExitStack | None = None
        self._logging_lock = Lock()

    def begin_log(self) -> None:
        with self._logging_lock:
            if self._logging is None:
                from melbo_tui.log import logged

                self._logging = ExitStack()
                self._logging.enter_context(logged("the app"))

    def end_log(self) -> None:
        """Called from any thread, also from two at once."""
        with self._logging_lock:
            if self._logging is not None:
                self._logging.close()

    def on_unmount(self) -> None:
        self.end_log()

    def _handle_exception(self, error: Exception) -> None:
        self.begin_log()
        failed("the app", error)
        self.fault = self.fault or error
        super()._handle_exception(error)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        if severity != "information":
            LOG.warning("told: %s", f"{title}: {message}" if title else message)
        super().notify(message, title=title, severity=severity, timeout=timeout, markup=markup)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        log_worker(event)


def log_worker(event: Worker.StateChanged) -> None:
    """Records why a worker ended that was not to end the app with it."""
    if event.state == WorkerState.ERROR and event.worker.error is not None:
        failed(f"the work {event.worker.name}", event.worker.error)

"""The app, opened for the command line."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from core.errors import first_line
from core.log import fault_remedy
from melbo_tui.app import MelboApp
from melbo_tui.commands.output import fail
from melbo_tui.settings import library_folder

if TYPE_CHECKING:
    from vectors.store.library import Library


def open_app(args: argparse.Namespace) -> int:
    """Opens the app for the command line's arguments. Raises LibraryError, the terminal given back, where there can be none."""
    folder = library_folder(args.library)

    def library() -> Library:
        from vectors.store.library import Library

        return Library(folder)

    app = MelboApp(args.spec, library)
    app.low_bandwidth = app.settings.low_bandwidth if args.low_bandwidth is None else args.low_bandwidth
    with app.leaving.listening():
        app.run()
        if app.fault is not None:
            fail(first_line(app.fault), fault_remedy())
        app.leaving.end()
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0

"""What is drawn acts on no terminal and takes the cells that were counted for it, whatever a widget is given to show."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.events import Paste
from textual.strip import Strip
from textual.widgets import DataTable, Input, Label, OptionList, Static, TextArea

from melbo_tui.last_filter import FilteredApp, drawn

# Of every width, of every kind that acts, and what only together takes another width.
_SIGNS = (
    "a \t\n\x1b\x07\x9b\x7f\xad\u202e\u2066\u2028\u200b\u200c\u200d\ufe0f\u20e3\u0301\u0bcd\u1100\u1161❤1漢👩🚀🏽\U000e0041"
)
EVIL = "\x1b]0;EVIL\x07\x9b2J\x1b[8m\u202eEVIL\x1b]8;;http://evil\x1b\\EVIL\x7f" + "\u0301" * 40


@given(st.text(st.characters(codec=None)) | st.text(st.sampled_from(_SIGNS)))
def test_what_is_drawn_acts_on_nothing_and_has_its_width(text: str) -> None:
    shown = drawn(text)
    assert not any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} or c in "\u202e\u2066\u200b\U000e0041" for c in shown)
    assert cell_len(shown) == cell_len(text)
    assert drawn(shown) == shown


def test_ordinary_text_is_drawn_as_it_is() -> None:
    for text in ("plain", "Größe ▁▂▃ ╭─╮ ⣿", "漢字 🚀 e\u0301", "नमस्ते", "می\u200cخواهم", "❤\ufe0f 👩\u200d🚀 👍🏽"):
        assert drawn(text) == text
    assert drawn("a\u200d漢.") == "a.", "what is not counted is not drawn"


class _Careless(FilteredApp):
    """Shows what it is given at every place that Textual has, without a thought."""

    def compose(self) -> ComposeResult:
        yield Static(EVIL, markup=False)
        yield Static(Text(EVIL, Style(link=f"http://x{EVIL}")))
        yield Input(EVIL, placeholder=EVIL)
        yield TextArea(EVIL)
        yield OptionList(Text(EVIL))
        yield (label := Label("x", markup=False))
        label.styles.border = ("round", "red")
        label.border_title = label.border_subtitle = Text(EVIL)
        yield (table := DataTable[Text](header_height=1))
        table.add_column(Text(EVIL))
        table.add_row(Text(EVIL))

    def on_mount(self) -> None:
        self.notify(EVIL, title=EVIL, markup=False)


async def test_no_door_of_a_careless_app_is_open() -> None:
    app = _Careless()
    async with app.run_test(size=(80, 40)) as pilot:
        await pilot.pause()
        strips: list[Strip] = app.screen._compositor.render_strips()
        console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor")
        written = "".join(strip.render(console) for strip in strips)
        shown = "".join(strip.text for strip in strips)
        assert shown.count("EVIL") > 10
        assert not any(unicodedata.category(c) == "Cc" or c == "\u202e" for c in shown)
        assert "\x1b]" not in written
        assert "\x9b" not in written
        assert "\u0301" * 9 not in written
        assert {strip.cell_length for strip in strips} == {80}
        assert "EVIL" in app.export_screenshot()
        assert not set("\x1b\x9b\x07\u202e") & set(app.export_screenshot())


@pytest.mark.parametrize("field", [Input, TextArea])
async def test_what_is_pasted_is_clean(field: type[Input] | type[TextArea]) -> None:
    class _Field(FilteredApp):
        def compose(self) -> ComposeResult:
            yield field()

    app = _Field()
    async with app.run_test() as pilot:
        app.post_message(Paste("a\x1b[2J\x9b\u202eb\u2028c"))
        await pilot.pause()
        entry = app.query_one(field)
        assert (entry.value if isinstance(entry, Input) else entry.text.replace("\n", "")) in ("a[2Jb", "a[2Jbc")

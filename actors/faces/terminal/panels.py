"""A panel: a table that takes rows again and again and touches what has changed alone."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual import events
from textual.content import Content
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from actors.faces.console.words import say
from actors.faces.terminal.rows import COLUMNS, Cell, Column, Row, clean

STYLES = {
    "": "",
    "good": "#8fbf6f",
    "warn": "#e5b567",
    "bad": "bold #e87d7d",
    "busy": "#7fb5d5",
    "soft": "#8b968c",
    "flow": "#6cb6d9",
    "time": "#b8a1e3",
    "balance": "#8fbf6f",
    "healing": "#e39bb3",
    "wisdom": "#e5b567",
}
_GAP = 1
_NOTHING = {"alerts": "no alerts", "proposals": "nothing is proposed", "actions": "nothing was done yet"}


class Panel(DataTable[Text]):
    """One list of the page. Texts are laid into their columns here, so that nothing is read as markup."""

    def __init__(self, name: str) -> None:
        super().__init__(
            id=name,
            cursor_type="row",
            cell_padding=0,
            show_header=name != "elves",
            cursor_foreground_priority="renderable",
        )
        self.panel = name
        self.show_cursor = False
        self.found: Sequence[Row] = ()
        self._lang = "en"
        self._shape: tuple[object, ...] = ()
        self._columns_shown: list[tuple[int, Column, int]] = []
        self._texts: list[list[Cell]] = []

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        at = self.cursor_row
        return self.found[at] if 0 <= at < len(self.found) else None

    def show(self, rows: Sequence[Row], lang: str) -> None:
        """Show these rows; the cursor stays with its row as long as there is one of that key."""
        self._lang = lang
        shape = (lang, self.size.width, [row.key for row in rows])
        kept = self.current.key if self.current else ""
        before, self.found = self.found, rows
        if shape != self._shape or not before:
            self._rebuild(rows, kept)
            self._shape = shape
            return
        for at, row in enumerate(rows):
            for place, (source, column, width) in enumerate(self._columns_shown):
                cell = row.cells[source]
                if self._texts[at][place] != cell:
                    self._texts[at][place] = cell
                    self.update_cell_at(Coordinate(at, place), _laid(cell, column, width))

    def name_it(self, parts: Sequence[tuple[str, str]]) -> None:
        """Set the title from texts with their styles."""
        self.border_title = Content.assemble(*[(clean(text), style) for text, style in parts])

    def _rebuild(self, rows: Sequence[Row], kept: str) -> None:
        top = self.scroll_y
        self.clear(columns=True)
        self._columns_shown = fitted(COLUMNS[self.panel], self.size.width)
        for _, column, width in self._columns_shown:
            heading = Cell(say(column.word, self._lang) if column.word else "", "soft")
            self.add_column(_laid(heading, column, width), width=width)
        self._texts = [[row.cells[source] for source, _, _ in self._columns_shown] for row in rows]
        for cells in self._texts:
            laid = [_laid(cell, c, w) for cell, (_, c, w) in zip(cells, self._columns_shown, strict=True)]
            self.add_row(*laid)
        if not rows:
            nothing = Cell(say(_NOTHING.get(self.panel, "nothing"), self._lang), "soft")
            blank = Cell("")
            self.add_row(*[_laid(blank if c.width else nothing, c, w) for _, c, w in self._columns_shown])
        at = next((at for at, row in enumerate(rows) if row.key == kept), 0)
        self.move_cursor(row=at, scroll=False)
        self.scroll_to(y=top, animate=False)

    def on_resize(self, event: events.Resize) -> None:
        """Lay the columns anew."""
        self.show(self.found, self._lang)

    def on_focus(self) -> None:
        """Show where the cursor is."""
        self.show_cursor = True

    def on_blur(self) -> None:
        """Show no cursor where no key goes."""
        self.show_cursor = False


def fitted(columns: Sequence[Column], width: int) -> list[tuple[int, Column, int]]:
    """Return which columns fit with their places and widths, gaps included; the one of width 0 takes the rest."""
    shown = [(at, column) for at, column in enumerate(columns) if column.least <= width]
    fixed = sum(column.width + _GAP for _, column in shown if column.width)
    rest = max(8, width - fixed)
    return [(at, column, column.width + _GAP if column.width else rest) for at, column in shown]


def _laid(cell: Cell, column: Column, width: int) -> Text:
    """Lay a text into its column: cut with an ellipsis, aligned, a gap behind it."""
    text, room = clean(cell.text), width - _GAP
    if cell_len(text) > room:
        text = set_cell_size(text, max(0, room - 1)) + "…"
    space = " " * (room - cell_len(text))
    text = space + text if column.right else text + space
    return Text(text + " " * _GAP, style=STYLES.get(cell.tone, ""), no_wrap=True, end="")

"""Tables: of few rows or of many thousands, which are searched by typing."""

from mlkit.pictures.picture import Picture
from mlkit.pictures.words import escaped, in_figure
from mlkit.utils.console import shown_width

_SEARCHED = 30  # rows from which on a table can be searched
_DRAWN = 40  # rows of a figure
_FILTER = (
    "for (const row of this.parentNode.querySelectorAll('tbody tr'))"
    " row.hidden = !row.textContent.toLowerCase().includes(this.value.toLowerCase())"
)


class Table(Picture):
    """Rows under a header. Numbers stand right, texts left; long tables have a field to search in, where scripts may run.

    Args:
        header: list of texts, one a column.
        rows: list of rows, each a list of texts and numbers.

    >>> print(Table(["class", "photos"], [["cat", 12], ["dog", 7]], "What there is"))
    What there is
    class  photos
    cat        12
    dog         7
    """

    def __init__(self, header, rows, title: str = ""):
        self.header, self.rows, self.title = list(header), [list(row) for row in rows], title

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        lines = [list(map(str, self.header)), *([_shown(cell) for cell in row] for row in self.rows)]
        widths = [max(map(shown_width, column)) for column in zip(*lines)]
        right = [bool(self.rows) and all(_is_number(row[i]) for row in self.rows) for i in range(len(widths))]
        text = ["  ".join(map(_padded, line, widths, right)).rstrip() for line in lines]
        return "\n".join([*([self.title] if self.title else []), *text])

    def html(self):
        head = "".join(f'<th style="text-align:left">{escaped(cell)}</th>' for cell in self.header)
        body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in self.rows)
        search = f'<input type="search" placeholder="search" oninput="{escaped(_FILTER)}"/>' if len(self) >= _SEARCHED else ""
        title = f"<h3>{escaped(self.title)}</h3>" if self.title else ""
        high = "max-height:30em;overflow:auto" if search else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f'{title}<div>{search}<div style="{high}">{table}</div></div>'

    @property
    def size(self):
        return 6.4, 0.8 + 0.25 * (1 + min(len(self), _DRAWN))

    def draw(self, figure):
        axes = figure.add_subplot()
        axes.axis("off")
        more = f" (first {_DRAWN} of {len(self)})" if len(self) > _DRAWN else ""
        axes.set_title(in_figure(self.title + more, 60))
        cells = [[in_figure(_shown(cell)) for cell in row] for row in self.rows[:_DRAWN]]
        if cells:
            axes.table(cells, colLabels=[in_figure(name) for name in self.header], loc="upper center", edges="horizontal")


def _padded(text, width, right):
    space = " " * (width - shown_width(text))
    return space + text if right else text + space


def _is_number(cell):
    return isinstance(cell, (int, float)) or cell == "-"  # which stands where there is none


def _shown(cell):
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def _cell(cell):
    style = "text-align:right;white-space:nowrap" if _is_number(cell) else "text-align:left;overflow-wrap:anywhere"
    return f'<td style="{style}">{escaped(_shown(cell))}</td>'

"""A report as one HTML file that needs no other: pictures, captions, and tables."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from jaxrobust.figures.tables import Numbers, Table, write_text

STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:72em;margin:2em auto;padding:0 1em}"
    "img{max-width:100%}table{border-collapse:collapse;margin:1em 0}"
    "th,td{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}"
    "th:first-child,td:first-child{text-align:left}figcaption,p.note{color:#555;font-size:90%}"
)


class Picture(NamedTuple):
    """A picture in a report.

    Attributes:
        path: A PNG file, which is copied into the page.
        caption: The text below it.
    """

    path: Path
    caption: str


def write_page(folder: Path, name: str, title: str, pictures: Sequence[Picture], numbers: Numbers) -> Path:
    """Write ``name.html``: the title, the pictures with captions, and the tables behind them.

    Returns:
        The file, which appears whole or not at all.
    """
    parts = [f"<h1>{escape(title)}</h1>"]
    parts += [_picture(picture) for picture in pictures]
    parts += [f"<p>{escape(numbers.explanation)}</p>", *map(_table, numbers.tables)]
    body = "\n".join(parts)
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
    return write_text(folder / f"{name}.html", page)


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode()
    caption = escape(picture.caption)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{caption}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    lines = [f"<h2>{escape(table.title)}</h2>"] if table.title else []
    lines += ["<table>", _row("th", table.header), *(_row("td", row) for row in table.rows), "</table>"]
    return "\n".join([*lines, *([f'<p class="note">{escape(table.note)}</p>'] if table.note else [])])


def _row(cell: str, texts: Sequence[str]) -> str:
    bold = (
        f"<b>{escape(text.strip('*'))}</b>" if text.startswith("**") and text.endswith("**") else escape(text)
        for text in texts
    )
    return "<tr>" + "".join(f"<{cell}>{text}</{cell}>" for text in bold) + "</tr>"

"""A table as Markdown, LaTeX (booktabs) and CSV."""

import csv
import io
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

# Characters that are commands in LaTeX, or missing from its standard fonts.
_LATEX = {
    **{sign: rf"\{sign}" for sign in "%&#${}_"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\^{}",
    **{"ζ": r"$\zeta$", "β": r"$\beta$", "ε": r"$\varepsilon$", "η": r"$\eta$"},
    **{"±": r"$\pm$", "≤": r"$\leq$", "·": r"$\cdot$", "−": "--"},
}


class Table(NamedTuple):
    """Cells of text under a heading; ``**bold**`` is bold.

    Attributes:
        title: The heading.
        header: Names of the columns.
        rows: The cells, one per column in every row.
        note: Text below the table: the data and networks.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


class Numbers(NamedTuple):
    """The numbers behind a figure.

    Attributes:
        tables: For readers, one below the other.
        records: Unrounded, one line of the CSV each; the first has all columns.
        explanation: What the cells of the tables are.
    """

    tables: Sequence[Table]
    records: Sequence[Mapping[str, Any]]
    explanation: str


def write_tables(folder: Path, name: str, numbers: Numbers) -> list[Path]:
    """Write tables as Markdown and LaTeX, and the numbers behind them as CSV.

    Returns:
        The files ``name.md``, ``name.tex`` and ``name.csv``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables, explanation = numbers.tables, numbers.explanation
    texts = {
        "md": explanation + "\n\n" + "\n".join(_markdown(table) for table in tables),
        "tex": _comment(explanation) + "\n" + "\n".join(latex(table) for table in tables),
        "csv": _csv(numbers.records),
    }
    return [write_text(folder / f"{name}.{ending}", text) for ending, text in texts.items()]


def write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    """Write records as CSV, one line each; the first has all columns."""
    return write_text(path, _csv(records))


def latex(table: Table) -> str:
    """One table for LaTeX with the package booktabs; the note is a comment."""
    lines = [
        _comment(f"{table.title}\n{table.note}"),
        rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}",
        r"\toprule",
    ]
    lines += [" & ".join(map(_for_latex, table.header)) + r" \\", r"\midrule"]
    lines += [" & ".join(map(_for_latex, row)) + r" \\" for row in table.rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def write_text(path: Path, text: str) -> Path:
    """Write a file atomically: a reader sees the old text or the new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    temporary.write_text(text)
    os.replace(temporary, path)
    return path


def _markdown(table: Table) -> str:
    lines = [f"### {table.title}", ""] if table.title else []
    lines += [f"| {' | '.join(table.header)} |", "|" + "---|" * len(table.header)]
    lines += [f"| {' | '.join(row)} |" for row in table.rows]
    return "\n".join([*lines, "", *([table.note, ""] if table.note else [])])


def _comment(text: str) -> str:
    return "\n".join(f"% {line}" for line in text.splitlines() if line)


def _for_latex(cell: str) -> str:
    text = "".join(_LATEX.get(character, character) for character in cell)
    return re.sub(r"\*\*(.+?)\*\*", r"\\textbf{\1}", text)


def _csv(records: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()

"""The published tables as CSV, one file per table: numbers as printed, deviations in separate columns."""

import re
from collections.abc import Sequence
from pathlib import Path

from jaxrobust.figures.tables import Table, write_csv

# In the table where we have no number yet.
NOT_RUN = "not run"
# In the table where there is no number, published or ours.
MISSING = "–"


def table_records(table: Table) -> list[dict[str, str]]:
    """Return the rows of a table by column; cells without a number are empty.

    A column in which a cell is ``mean±deviation`` becomes two.

    Example:
        >>> table_records(Table("", ["Network", "Clean"], [["a", "51.00±1.00"], ["b", "not run"]]))[0]
        {'Network': 'a', 'Clean': '51.00', 'Clean deviation': '1.00'}
    """
    columns = range(len(table.header))
    deviating = {column for column in columns if any("±" in row[column] for row in table.rows)}
    records = []
    for row in table.rows:
        record = {}
        for column in columns:
            name, cell = table.header[column], row[column]
            mean, _, deviation = ("" if cell in (NOT_RUN, MISSING) else cell).partition("±")
            record[name] = mean
            if column in deviating:
                record[f"{name} deviation"] = deviation
        records.append(record)
    return records


def write_table_files(tables: Sequence[Table], folder: Path, name: str) -> list[Path]:
    """Write each published table as ``name_table_7_mnist.csv`` and so on, by its title up to a colon.

    Args:
        tables: Those whose title does not begin with a number are not published ones and are left out.
        folder: Where to.
        name: What the file names begin with.
    """
    return [
        write_csv(folder / f"{name}_{_stem(table.title)}.csv", table_records(table))
        for table in tables
        if re.match(r"Tables? \d", table.title)
    ]


def _stem(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.partition(":")[0].lower()).strip("_")

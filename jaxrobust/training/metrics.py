"""Metrics of a training, streamed to a file of JSON lines."""

import json
import math
import os
import secrets
from pathlib import Path


class MetricsLog:
    """A file that grows by one JSON object a line; each line is on disk when ``append`` returns.

    Args:
        path: The file; its folder is made.
        up_to_step: Lines of later steps, left by a run that was killed after its last checkpoint, are
            dropped.
    """

    def __init__(self, path: Path, *, up_to_step: int):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lines = [line for line in _read(path) if line["step"] <= up_to_step]
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        temporary.write_text("".join(json.dumps(line) + "\n" for line in self._lines))
        os.replace(temporary, path)

    def append(self, **metrics: float | None) -> None:
        """Add one line; a number that is not finite is written as null."""
        line = {
            name: value if value is None or math.isfinite(value) else None for name, value in metrics.items()
        }
        self._lines.append(line)
        with open(self._path, "a") as file:
            file.write(json.dumps(line) + "\n")

    def history(self) -> dict[str, list]:
        """Every metric as a list over time."""
        names = dict.fromkeys(name for line in self._lines for name in line)
        return {name: [line.get(name) for line in self._lines] for name in names}


def _read(path: Path) -> list[dict]:
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:  # the line a killed process was writing
            break
    return lines

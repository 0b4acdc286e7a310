"""All figures of an experiment."""

from pathlib import Path
from typing import Any


def draw_all(grid: list[dict[str, Any]], folder: Path, name: str) -> list[Path]:
    """Draw what was measured."""
    return []

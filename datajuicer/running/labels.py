"""Labels: a point in one short line, for messages, logs and the progress display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Longer values, such as 0.7538461685180664 or a digest, were computed; they do not identify a point.
MAX_TYPED = 16
MAX_SHOWN = 40  # characters of a value that still fits into a label


def distinguishing_keys(points: Sequence[Mapping[Any, Any]]) -> tuple[Any, ...]:
    """Return the keys whose values differ between points: text first, then those with the most values."""
    seen: dict[Any, set[str]] = {}
    names: set[Any] = set()
    for point in points:
        for key, value in point.items():
            if (text := _plain_text(value)) is not None and len(text) <= MAX_TYPED:
                if isinstance(value, str):
                    names.add(key)
                seen.setdefault(key, set()).add(text)
    different = [key for key, values in seen.items() if len(values) > 1]
    # Among keys with equally many values the last one set comes first: it is usually the one being compared.
    different.reverse()
    return tuple(sorted(different, key=lambda key: (key not in names, -len(seen[key]))))


def short_label(point: Mapping[Any, Any], limit: int = 100, keys: Sequence[Any] = ()) -> str:
    """Return a point in one short line: its plain values, or only those under `keys` if it has any.

    Never raises: values whose text cannot be made are left out.
    """
    plain = {key: text for key, value in point.items() if (text := _plain_text(value)) is not None}
    chosen = {key: plain[key] for key in keys if key in plain} or plain
    text = ", ".join(f"{key}={value}" for key, value in chosen.items())
    return text if len(text) <= limit else text[:limit].rpartition(",")[0] + ", …"


def shared_label(failing: Sequence[Mapping[Any, Any]], others: Sequence[Mapping[Any, Any]]) -> str:
    """Return the settings that all failing points share and not all others have, as a label; maybe empty."""
    texts = {key: text for key, value in failing[0].items() if (text := _plain_text(value)) is not None}

    def share(points: Sequence[Mapping[Any, Any]], key: Any) -> bool:
        return all(key in point and _plain_text(point[key]) == texts[key] for point in points)

    chosen = [key for key in texts if share(failing[1:], key) and not share(others, key)] if others else []
    return short_label({key: failing[0][key] for key in chosen}) if chosen else ""


def _plain_text(value: Any) -> str | None:
    """Return the text of a plain value that is short enough, None for anything else."""
    if not isinstance(value, bool | int | float | str | tuple):
        return None
    try:
        text = repr(value)
    except Exception:  # of an integer with more than 4300 digits, or of what a tuple holds
        return None
    return text if len(text) < MAX_SHOWN else None

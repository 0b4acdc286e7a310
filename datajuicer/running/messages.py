"""Messages: a point in one short line, and the messages of a run that has no value for every point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datajuicer.errors import Failure, MissingResults
from datajuicer.grids.points import Point

# Longer values, such as 0.7538461685180664 or a digest, were computed; they do not identify a point.
MAX_TYPED = 16
MAX_LABEL = 40  # characters of a value that still fits into a label
MAX_LISTED = 10  # failures that a message lists
MAX_SHOWN = 2000  # characters of an error that a message shows


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


def identifying_keys(points: Sequence[Mapping[Any, Any]], names: Sequence[str]) -> tuple[Any, ...]:
    """Return few keys whose values, after a name for each point, tell the points apart.

    Texts and objects come first, then the numbers with the most values; a key that tells no more points
    apart than those before it is left out, and a constant is never among them. `a.b` is an entry of a point
    in `a`.
    """
    points = [_flat(point) for point in points]
    values: dict[Any, set[str]] = {}
    words: set[Any] = set()
    for point in points:
        for key, value in point.items():
            text = _shown(value)
            if isinstance(value, str) or text == type(value).__name__:
                words.add(key)
            if key in words or len(text) <= MAX_TYPED:
                values.setdefault(key, set()).add(text)
    different = [key for key, texts in reversed(values.items()) if len(texts) > 1]
    chosen: list[Any] = []
    labels: list[tuple[str, ...]] = [(name,) for name in names]
    for key in sorted(different, key=lambda key: (key not in words, -len(values[key]))):
        longer = [(*label, _shown(point.get(key))) for label, point in zip(labels, points, strict=True)]
        if len(set(longer)) > len(set(labels)):
            labels = longer
            chosen.append(key)
    return tuple(chosen)


def identifying_label(point: Mapping[Any, Any], keys: Sequence[Any], limit: int = 80) -> str:
    """Return a point's values under `identifying_keys` in one short line; nothing if there are no keys."""
    point = _flat(point)
    text = ", ".join(f"{key}={_shown(point[key])}" for key in keys if key in point)
    return text if len(text) <= limit else text[:limit].rpartition(",")[0] + ", …"


def _flat(point: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a point with the entries of points that it holds, such as its parents."""
    flat: dict[Any, Any] = {}
    for key, value in point.items():
        flat |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, Mapping) else {key: value}
    return flat


def _shown(value: Any) -> str:
    """Return a plain value as text, anything else by its type."""
    text = _plain_text(value)
    return type(value).__name__ if text is None else text


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
    return text if len(text) < MAX_LABEL else None


def shorten(text: str, limit: int) -> str:
    """Return a text of at most about `limit` characters, without its middle if it is longer."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def nothing_stored(points: Sequence[Point], missing: Sequence[int], hint: str) -> MissingResults:
    """Return the error that lists points without a result and the command that computes them."""
    keys = distinguishing_keys(points)
    lines = [f"  point {index}: {short_label(points[index], keys=keys)}" for index in missing]
    remedy = hint or 'the same call with run_mode="normal"'
    text = (
        f"{len(missing)} of {len(points)} points have no result; compute them with: {remedy}\n"
        + "\n".join(lines)
    )
    return MissingResults(text, [points[index] for index in missing])


def describe_failures(failures: Sequence[Failure], points: Sequence[Point]) -> str:
    """Return the message of a `RunError`: how many points failed, which, why, and what a retry does."""
    failed = {index for failure in failures for index in failure.indices}
    others = [point for index, point in enumerate(points) if index not in failed]
    label = shared_label([points[index] for index in sorted(failed)], others)
    shared = f", all with {label}" if label else ""
    lines = [
        f"{len(failed)} of {len(points)} points failed{shared}; the results of the others are kept (and in "
        ".results)"
    ]
    keys = distinguishing_keys([failure.point for failure in failures])
    for failure in failures[:MAX_LISTED]:
        places = ", ".join(map(str, failure.indices))
        log = f" (log: {failure.log})" if failure.log else ""
        error = shorten(failure.error, MAX_SHOWN)
        lines.append(f"  point {places} ({short_label(failure.point, keys=keys)}): {error}{log}")
    if len(failures) > MAX_LISTED:
        lines.append(f"  … and {len(failures) - MAX_LISTED} more (in .failures)")
    if any(f.recorded for f in failures):
        lines.append('recorded failures are not computed again unless run_mode is "retry"')
    if not all(f.recorded for f in failures):
        lines.append("failures that circumstances caused are not recorded: the same run tries them again")
    return "\n".join(lines)

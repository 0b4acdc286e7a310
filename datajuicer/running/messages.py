"""The messages of a run that could not return a value for every point."""

from __future__ import annotations

from collections.abc import Sequence

from datajuicer.errors import Failure, MissingResults
from datajuicer.grids.points import Point
from datajuicer.running.keep import shorten
from datajuicer.running.labels import distinguishing_keys, shared_label, short_label

MAX_LISTED = 10  # failures that a message lists
MAX_SHOWN = 2000  # characters of an error that a message shows


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

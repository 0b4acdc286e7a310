"""What -status prints: what is done under every protocol, how far running points are, and what is missing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import datajuicer as dj
from datajuicer.clusters.survey import PointStatus, schedulers, survey
from datajuicer.running.code.provenance import EARLIER
from datajuicer.running.states import State
from datajuicer.running.status import made_earlier
from datajuicer.workers import progress_file
from jaxrobust.cli.counts import calls_of, counts, reason
from jaxrobust.cli.experiments import described
from jaxrobust.cli.stores import store_of
from jaxrobust.studies.stages import PlannedStage

MAX_LISTED = 20  # lines about points of one state


def report(protocols: Mapping[str, Sequence[PlannedStage]], options: Mapping[str, Any]) -> None:
    """Print how many models are done, running, pending and so on, and name those that are not done.

    A model that several experiments share is one model.

    Args:
        protocols: The stages under each protocol.
        options: The words of the command.
    """
    store = store_of(options)
    for name, stages in protocols.items():
        statuses = survey(store, calls_of(stages), schedulers())
        print(f"{name}: {counts(statuses)}" if len(protocols) > 1 else counts(statuses))
        earlier = made_earlier(store, [one.call for one in statuses], [one.state for one in statuses])
        if earlier:
            print(f"{len(earlier)} of the done were {EARLIER}")
        for line in _lines(store, statuses):
            print(line)


def _lines(store: dj.Store, statuses: Sequence[PointStatus]) -> list[str]:
    lines: list[str] = []
    listed: Counter[State] = Counter()
    for state in list(State)[1:]:
        for one in statuses:
            if one.state == state:
                listed[state] += 1
                if listed[state] <= MAX_LISTED:
                    why = reason(store, one) or _progress(store, one)
                    lines.append(f"  {state:9} {described(one.call.point)}{why}")
        if listed[state] > MAX_LISTED:
            lines.append(f"  … and {listed[state] - MAX_LISTED} more {state}")
    return lines


def _progress(store: dj.Store, one: PointStatus) -> str:
    """How far a point is that runs, or that was stopped and goes on from there."""
    if one.call.key is None:
        return ""
    found = progress_file.read(store.folder(one.call.name, one.call.key))
    return f": {found}" if found else ""

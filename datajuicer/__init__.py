"""Grids of settings in, results out: nothing is computed twice."""

from datajuicer.cachable import Cachable, cachable
from datajuicer.errors import (
    Failure,
    Interrupted,
    MissingKey,
    MissingResults,
    RunError,
    StoreWarning,
    UsageError,
    WorkerDied,
)
from datajuicer.grid import Grid, configure, make_unique, query, reduce_keys, split
from datajuicer.job import Job
from datajuicer.run import cached, run
from datajuicer.status import Explanation, Status, explain, missing, status
from datajuicer.store import Store
from datajuicer.table import Table, latex, to_dataframe
from datajuicer.template import Literal, format_template, get
from datajuicer.upkeep import copy_results, gc, verify
from datajuicer.values import Artifact

__version__ = "0.1.0"

__all__ = [
    "Artifact",
    "Cachable",
    "Explanation",
    "Failure",
    "Grid",
    "Interrupted",
    "Job",
    "Literal",
    "MissingKey",
    "MissingResults",
    "RunError",
    "Status",
    "Store",
    "StoreWarning",
    "Table",
    "UsageError",
    "WorkerDied",
    "cachable",
    "cached",
    "configure",
    "copy_results",
    "explain",
    "format_template",
    "gc",
    "get",
    "latex",
    "make_unique",
    "missing",
    "query",
    "reduce_keys",
    "run",
    "split",
    "status",
    "to_dataframe",
    "verify",
]

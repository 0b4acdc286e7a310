"""Grids of settings in, results out: nothing is computed twice."""

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
from datajuicer.grids.frame import to_dataframe
from datajuicer.grids.grid import Grid, configure, make_unique, query, reduce_keys, split
from datajuicer.grids.latex import latex
from datajuicer.grids.seml import grid_from_seml
from datajuicer.grids.table import Table
from datajuicer.running.cachable import Cachable, cachable
from datajuicer.running.cached import cached
from datajuicer.running.explain import Explanation, explain
from datajuicer.running.file import File
from datajuicer.running.parent import Parent
from datajuicer.running.planned import planned
from datajuicer.running.run import run
from datajuicer.running.status import Status, missing, status
from datajuicer.store.comparison import compare_results
from datajuicer.store.copying import copy_results
from datajuicer.store.pruning import prune, restore
from datajuicer.store.store import Store
from datajuicer.store.upkeep import gc, verify
from datajuicer.store.values import Artifact
from datajuicer.template import Literal, format_template, get
from datajuicer.workers.job import Job

__version__ = "0.1.0"

__all__ = [
    "Artifact",
    "Cachable",
    "Explanation",
    "Failure",
    "File",
    "Grid",
    "Interrupted",
    "Job",
    "Literal",
    "MissingKey",
    "MissingResults",
    "Parent",
    "RunError",
    "Status",
    "Store",
    "StoreWarning",
    "Table",
    "UsageError",
    "WorkerDied",
    "cachable",
    "cached",
    "compare_results",
    "configure",
    "copy_results",
    "explain",
    "format_template",
    "gc",
    "get",
    "grid_from_seml",
    "latex",
    "make_unique",
    "missing",
    "planned",
    "prune",
    "query",
    "reduce_keys",
    "restore",
    "run",
    "split",
    "status",
    "to_dataframe",
    "verify",
]

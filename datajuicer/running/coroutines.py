"""Functions defined with `async def`: their call returns a coroutine, which cannot be kept."""

from __future__ import annotations

import inspect
from typing import Any

from datajuicer.errors import UsageError


def refuse_async(function: Any) -> None:
    """Refuse a function whose call returns before anything is computed.

    Raises:
        UsageError: it is defined with `async def`.
    """
    method = inspect.getattr_static(type(function), "__call__", None)
    for called in (function, method):
        if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
            name = getattr(function, "__qualname__", None) or type(function).__qualname__
            raise UsageError(
                f"{name} is defined with async def, and its call returns no result that could be kept; "
                "define it with def, and let it call asyncio.run(…)"
            )

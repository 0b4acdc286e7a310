"""How annotations of arrays are checked while tests run: shapes, dtypes and ranks.

Other annotations are left to the type checker, and what builds settings as well: they answer wrong words and
numbers with an ``InputError`` of their own, which tests ask for, and may hold a number per model.
"""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from jax.typing import ArrayLike
from jaxtyping import AbstractArray

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check the arrays among a function's arguments and results at every call, in shape and dtype."""
    if function.__name__ == "__init__":
        return function
    function.__annotations__ = {name: _of_arrays(hint) for name, hint in function.__annotations__.items()}
    return _check(function)


def _of_arrays(hint: Any) -> Any:
    """The annotation of an array, for arrays of NumPy and Python numbers too; Any for other annotations."""
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return hint.dtype[ArrayLike, hint.dim_str]
    return Any

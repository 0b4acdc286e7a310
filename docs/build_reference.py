"""Build the API reference from the docstrings: ``python docs/build_reference.py [folder] [module …]``.

``make docs`` runs it on all modules below. A warning, such as on a type that cannot be resolved, is an error.
"""

import re
import sys
import typing
import warnings
from pathlib import Path

# jaxtyping then writes Float[Array, "batch time"] without its module's name; to be set before its import.
typing.GENERATING_DOCUMENTATION = "jaxrobust"  # type: ignore[attr-defined]

import pdoc  # noqa: E402
import pdoc.render  # noqa: E402

# The face with its packages, the rooms that have no name there, and the engine.
MODULES = (
    "jaxrobust",
    "jaxrobust.layers",
    "jaxrobust.measures",
    "jaxrobust.pruning",
    "jaxrobust.stitching",
    "jaxrobust.training",
    "jaxrobust.studies",
    "datajuicer",
)
# The modules in which JAX defines its array class, in signatures and in the types of attributes.
_HIGHLIGHTED = re.compile(
    r'(?:<span class="n">(?:jax|jaxlib|_jax)</span><span class="o">\.</span>)+(?=<span class="n">Array)'
)
_PLAIN = re.compile(r"\b(?:jax\.)?jaxlib\._jax\.(?=Array)")


def build(folder: Path, modules: typing.Sequence[str] = MODULES) -> None:
    """Write one page per module into a folder.

    Raises:
        UserWarning: Something cannot be documented.
    """
    pdoc.render.configure(docformat="google", show_source=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module=r"pdoc\b")
        pdoc.pdoc(*modules, output_directory=folder)
    for page in folder.rglob("*.html"):
        page.write_text(_PLAIN.sub("", _HIGHLIGHTED.sub("", page.read_text())))


if __name__ == "__main__":
    build(Path(sys.argv[1] if len(sys.argv) > 1 else "build/reference"), sys.argv[2:] or MODULES)

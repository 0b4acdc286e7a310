"""From a recipe to a data set in memory-mapped arrays."""

from pathlib import Path

from jaxrobust.data import sources
from jaxrobust.data.dataset import Dataset
from jaxrobust.data.preparation import MANIFEST, prepare, read
from jaxrobust.data.recipe import Progress, Recipe, identity
from jaxrobust.errors import naming_extras


def load_recipe(
    recipe: Recipe, *, split: str, folder: Path | None, cache: Path, progress: Progress
) -> Dataset:
    """The data set of `recipe`: found or downloaded, prepared once, memory-mapped.

    Raises:
        DataNotFound: the files are nowhere and cannot be downloaded.
        InputError: the files are damaged or incomplete, or a folder cannot be written.
    """
    located, origin = Path(), "builtin"
    if recipe.files is not None:
        found = sources.find(recipe, folder, cache)
        if found is None:
            # On a machine without network the arrays that were prepared elsewhere still serve.
            kept = prepared(recipe, split, cache)
            if kept is not None:
                return read(kept)
            with naming_extras():
                found = sources.fetch(recipe, cache, progress)
        located, origin = found, identity(found, recipe.files.contents(found))
    facts = {
        "name": recipe.name,
        "split": split,
        "synthetic": recipe.synthetic,
        "version": recipe.version,
        "settings": dict(recipe.settings),
    }
    target = cache / "prepared" / f"{_stem(recipe, split)}-{origin}"
    with naming_extras():
        return prepare(target, lambda: recipe.build(split, located, progress), facts)


def prepared(recipe: Recipe, split: str, cache: Path) -> Path | None:
    """The newest prepared folder of this recipe and split, whatever files it was made of, or None."""
    folders = [path.parent for path in (cache / "prepared").glob(f"{_stem(recipe, split)}-*/{MANIFEST}")]
    return max(folders, key=lambda path: path.stat().st_mtime, default=None)


def _stem(recipe: Recipe, split: str) -> str:
    return f"{recipe.name}-{split}-{recipe.settings_digest()}"

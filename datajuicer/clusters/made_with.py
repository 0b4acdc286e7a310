"""What a plan was made with: interpreter, libraries and code, to be compared where it is carried out."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from datajuicer.running.cachable import Cachable
from datajuicer.running.circumstances import PACKAGES

MadeWith = dict[str, str]
_CODE_OF = "code of "


def code_packages(functions: Iterable[Any]) -> list[str]:
    """The importable packages that hold the code of functions, the engine among them.

    Functions of `__main__` travel by value and need no code on the node.
    """
    inner = [f.function if isinstance(f, Cachable) else f for f in functions]
    modules = {getattr(f, "__module__", None) or "__main__" for f in inner}
    names = {"datajuicer"} | {name.partition(".")[0] for name in modules}
    return sorted(name for name in names - {"__main__", "__mp_main__"} if _files(name))


def made_with(packages: Iterable[str]) -> MadeWith:
    """Versions of the interpreter and of libraries, and a digest of the source of each package named."""
    found = {"Python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for name in (*PACKAGES, "cloudpickle", "safetensors"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    for name in packages:
        digest = blake2b(digest_size=10)
        for relative, path in _files(name):
            digest.update(relative.encode() + b"\0" + blake2b(path.read_bytes()).digest())
        found[f"{_CODE_OF}{name}"] = digest.hexdigest()
    return found


def packages_of(planned: MadeWith) -> list[str]:
    """Return the packages whose code is named."""
    return [name.removeprefix(_CODE_OF) for name in planned if name.startswith(_CODE_OF)]


def _files(package: str) -> list[tuple[str, Path]]:
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [(package, Path(spec.origin))] if spec.origin and Path(spec.origin).is_file() else []
    return sorted(
        (path.relative_to(folder).as_posix(), path)
        for folder in map(Path, spec.submodule_search_locations)
        for path in folder.rglob("*.py")
    )


def difference(planned: MadeWith, here: MadeWith) -> str:
    """Nothing, or what of a plan's circumstances is different here."""
    differences = []
    for name, value in planned.items():
        if here.get(name) == value:
            continue
        if name.startswith(_CODE_OF):
            differences.append(f"other {name}")
        else:
            differences.append(f"{name} {here.get(name, 'not installed')} instead of {value}")
    return ", ".join(differences)

"""What code stands behind a function: itself, and the functions, classes and constants it reaches by name.

Only code of the same package counts, or of the same script or notebook and of single modules beside it. What
other libraries define counts by its name; their versions stand in each record anyway.
"""

from __future__ import annotations

import importlib.util
import types
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from datajuicer import keys
from datajuicer.running.code.digests import Digest, combined, facts_of, of_text
from datajuicer.running.code.members import content_of, defaults_of, functions_of, is_generated, unwrapped
from datajuicer.running.code.packages import is_loose, top
from datajuicer.running.code.value_text import CONTAINERS, ValueText, is_array, short

_MUTATORS = {"add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem"}
_MUTATORS |= {"popleft", "remove", "setdefault", "update"}
ITSELF = "itself"


class Part(NamedTuple):
    """One piece of code or constant that a result was made with.

    Attributes:
        digest: its digest.
        is_mutable: whether it is a value that changes in place, such as a list.
    """

    digest: Digest
    is_mutable: bool = False


_FIELD = type(Part.digest)  # of a namedtuple
_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType, _FIELD)


def reach(
    roots: Mapping[str, Any],
    home: Iterable[str],
    within: Sequence[str] = (),
    apart: Iterable[str] = (),
    *,
    mutable: bool = True,
) -> dict[str, Part]:
    """The parts behind some objects, by name, the objects included.

    Args:
        roots: functions, classes, modules, or values that hold some. The names serve for values and for
            `ITSELF`; functions and classes have their own.
        home: packages (or modules without a package) whose code counts.
        within: further modules and packages, by the start of their names.
        apart: packages whose functions and classes do not even count by name, but for those within.
        mutable: whether values that may change in place are taken in.
    """
    walk = _Walk(frozenset(home), tuple(within), frozenset(apart), mutable)
    for name, root in roots.items():
        walk.add_root(root, name)
    return walk.finished()


# What a mutable value was when it was first looked at: functions may fill lists and dicts as they run.
_first_seen: OrderedDict[tuple[Any, str], tuple[Any, Digest | None]] = OrderedDict()
_MAX_SEEN = 256


class _Walk:
    """The objects that were met, and those that are still to be looked at."""

    def __init__(self, home: frozenset[str], within: tuple[str, ...], apart: frozenset[str], mutable: bool):
        self.home = home
        self.apart = apart
        self.mutable = mutable
        self.loose = bool(home) and all(map(is_loose, home))
        self.within = within
        self.known: dict[str, bool] = {}  # modules: a name is looked up for everything that is met
        self.parts: list[tuple[str, Part, tuple[Any, str] | None]] = []
        self.met: dict[int, Any] = {}
        self.itself: Any = None
        self.queue: list[types.FunctionType | type] = []
        self.changing: set[tuple[Any, str]] = set()  # variables that the code itself assigns or fills

    def is_ours(self, module: str) -> bool:
        if module not in self.known:
            self.known[module] = self._counts(module)
        return self.known[module]

    def _counts(self, module: str) -> bool:
        if any(module == prefix or module.startswith(f"{prefix}.") for prefix in self.within):
            return True
        if module == "builtins":
            return False
        package = top(module)
        return package in self.home or (
            self.loose and package == keys.module_name(module) and is_loose(package)
        )

    def add_root(self, root: Any, name: str) -> None:
        if isinstance(root, types.ModuleType):
            for attribute, value in sorted(vars(root).items()):
                is_code = isinstance(value, type | types.FunctionType)
                if attribute.startswith("__") or isinstance(value, types.ModuleType):
                    continue
                if not is_code or value.__module__ == root.__name__:
                    self.take(value, attribute, (_space(vars(root)), attribute))
            return self.work()
        root = unwrapped(root)
        if isinstance(root, type | types.FunctionType):
            if name == ITSELF:
                self.itself = root
            self.enqueue(root)
        else:
            self.take(root, name, None)
        return self.work()

    def work(self) -> None:
        while self.queue:
            found = self.queue.pop()
            if isinstance(found, type):
                self.look_at_class(found)
            else:
                self.look_at_function(found)

    def finished(self) -> dict[str, Part]:
        named: dict[str, list[Part]] = {}
        for name, part, variable in self.parts:
            if variable is None or variable not in self.changing:
                named.setdefault(name, []).append(part)
        found = {}
        for name, parts in sorted(named.items()):
            for count, part in enumerate(sorted(set(parts), key=str), 1):
                found[name if count == 1 else f"{name} ({count})"] = part
        return found

    # -- what is met

    def enqueue(self, found: types.FunctionType | type) -> None:
        if id(found) not in self.met:
            self.met[id(found)] = found
            self.queue.append(found)

    def take(self, value: Any, name: str, variable: tuple[Any, str] | None) -> None:
        """Take in what stands under a name: code by itself, a value as a part of this name."""
        if isinstance(value, types.ModuleType):
            return
        known = _first_seen.get(variable) if variable is not None else None
        if known is not None and known[0] is not value:
            known = None
        if isinstance(value, CONTAINERS) and not value:  # filled later, such as a memo
            if known is None and variable is not None:
                self.remember(variable, value, None)
            return
        if known is not None and (known[1] is None or is_array(value)):
            if known[1] is not None and self.mutable:
                self.parts.append((name, Part(known[1], True), variable))
            return
        token, is_mutable = self.token(value)
        if token is None or (is_mutable and not self.mutable):
            return
        digest = of_text(token)
        if is_mutable and variable is not None:
            if known is not None and known[1] is not None:
                digest = known[1]
            else:
                self.remember(variable, value, digest)
        self.parts.append((name, Part(digest, is_mutable), variable))

    @staticmethod
    def remember(variable: tuple[Any, str], value: Any, digest: Digest | None) -> None:
        _first_seen[variable] = value, digest
        if len(_first_seen) > _MAX_SEEN:
            _first_seen.popitem(last=False)

    def token(self, value: Any) -> tuple[str | None, bool]:
        """A text that tells values apart and whether the value may change in place; None for our own code."""
        write = ValueText(self)
        text = write(value)
        while id(value) not in self.met and (inner := keys.wrapped_in(value)) is not None:
            value = inner
        is_code = isinstance(value, type | types.FunctionType)
        if is_code and (id(value) in self.met or top(getattr(value, "__module__", None) or "") in self.apart):
            return None, write.is_mutable
        return text, write.is_mutable

    def look_at_function(self, function: types.FunctionType) -> None:
        name = ITSELF if function is self.itself else short(function.__code__.co_qualname)
        self.parts.append((name, Part(self.digest(function)), None))

    def digest(self, function: types.FunctionType) -> Digest:
        """The digest of one of our functions; what it reads is taken in."""
        facts = facts_of(function)
        where = short(function.__code__.co_qualname)
        namespace = function.__globals__
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        for name in facts.assigns:
            self.changing.add((id(cells[name]), name) if name in cells else (_space(namespace), name))
        for chain in facts.reads:
            self.follow(namespace, chain)
        for name, cell in cells.items():
            if name != "__class__" and content_of(cell) is not cell:
                self.take(content_of(cell), f"{where}:{name}", (id(cell), name))
        for name, level, wanted in facts.imports:
            self.follow_import(namespace, name, level, wanted)
        defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        tokens = [self.token(value) for value in defaults]
        fixed = [text for text, is_mutable in tokens if text is not None and not is_mutable]
        return combined([facts.digest, *([of_text(repr(fixed))] if fixed else ())])

    def follow(self, namespace: Mapping[str, Any], chain: tuple[str, ...]) -> None:
        """Take in a global that a function reads; of our own modules, what it reads from them."""
        for place, name in enumerate(chain):
            if name not in namespace:
                return
            value = namespace[name]
            if isinstance(value, types.ModuleType):
                if not self.is_ours(value.__name__):
                    return
                namespace = vars(value)
                continue
            variable = (_space(namespace), name)
            if chain[place + 1 : place + 2] and chain[place + 1] in _MUTATORS:
                self.changing.add(variable)
            self.take(value, name, variable)
            return

    def follow_import(
        self, namespace: Mapping[str, Any], name: str, level: int, wanted: tuple[str, ...]
    ) -> None:
        """Take in what a function imports when it runs."""
        package = str(namespace.get("__package__") or "")
        try:
            name = importlib.util.resolve_name("." * level + name, package) if level else name
            if not self.is_ours(name):
                return
            module = importlib.import_module(name)
            for attribute in wanted:
                if not hasattr(module, attribute):
                    importlib.import_module(f"{name}.{attribute}")
        except Exception:
            return  # the function itself will tell
        for attribute in wanted:
            self.follow(vars(module), (attribute,))

    def look_at_class(self, found: type) -> None:
        pieces, name = [], short(found.__qualname__)
        for base in found.__mro__[1:]:
            if self.is_ours(base.__module__) or top(base.__module__) == top(found.__module__):
                self.enqueue(base)
        for attribute, member in sorted(vars(found).items()):
            functions = list(functions_of(member))
            for function in functions:
                if is_generated(found, attribute, function):
                    continue
                module = function.__globals__.get("__name__", "")
                if module == found.__module__ or self.is_ours(module):
                    pieces.append(of_text(attribute))
                    pieces.append(self.digest(function))
                elif (text := self.token(function)[0]) is not None:
                    pieces.append(of_text(f"{attribute} {text}"))
            is_own = attribute.startswith("__") or isinstance(member, _DESCRIPTORS)
            if not functions and not is_own:
                pieces += self.member(member, name, attribute, (id(found), attribute))
        for field, default in defaults_of(found):
            pieces += self.member(default, name, field, None)
        self.parts.append((name, Part(combined(pieces) if pieces else of_text("")), None))

    def member(
        self, value: Any, owner: str, attribute: str, variable: tuple[Any, str] | None
    ) -> list[Digest]:
        """The digest of a class's attribute; one that changes in place is a part by itself."""
        text, is_mutable = self.token(value)
        if is_mutable:
            self.take(value, f"{owner}.{attribute}", variable)
        return [] if text is None or is_mutable else [of_text(f"{attribute} {text}")]


def _space(namespace: Mapping[str, Any]) -> Any:
    """What tells the variables of one module from those of another; a function sent here has its own dict."""
    return namespace.get("__name__") or id(namespace)

"""Digests of functions: what they do, whatever their comments, type hints, layout and place in a file.

A function is digested in two ways. From its syntax tree, which is the same for every version of Python; but
only if the source that can be found compiles to the very code that runs, since a file may have been edited
after it was imported. And from its bytecode, which is always there, but differs between versions of Python.
"""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from datajuicer.running.code.normalized import Function, normalized, strip_docstring

_BYTECODE = f"b{sys.version_info.major}.{sys.version_info.minor}:"
_SOURCE = "s:"
_LENGTH = 6  # bytes; two digests are compared, not millions


class Digest(NamedTuple):
    """A digest of code.

    Attributes:
        source: from the syntax tree; None if the source of what runs is not known.
        bytecode: from the bytecode; comparable within one version of Python.
    """

    source: str | None
    bytecode: str

    def __str__(self) -> str:
        """The text that a record keeps."""
        return self.bytecode if self.source is None else self.source

    def is_that_of(self, other: Digest) -> bool:
        """Whether two digests of the same run are of the same code."""
        if self.source is None or other.source is None:
            return self.bytecode == other.bytecode
        return self.source == other.source

    def agrees_with(self, recorded: str) -> bool:
        """Whether a record's text may stand for the same code; bytecode of another Python does."""
        if recorded.startswith(_SOURCE):
            return recorded == self.source
        is_other_python = recorded.startswith("b") and not recorded.startswith(_BYTECODE)
        return recorded == self.bytecode or is_other_python


def of_text(text: str) -> Digest:
    """The digest of something that is no code, such as the encoding of a constant."""
    digest = _hash(text)
    return Digest(_SOURCE + digest, _BYTECODE + digest)


def combined(digests: Iterable[Digest]) -> Digest:
    """One digest for several, in their order."""
    digests = list(digests)
    if len(digests) == 1:
        return digests[0]
    sources = [digest.source for digest in digests]
    return Digest(
        None if None in sources else _SOURCE + _hash(repr(sources)),
        _BYTECODE + _hash(repr([digest.bytecode for digest in digests])),
    )


def _hash(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_LENGTH).hexdigest()


class Facts(NamedTuple):
    """What is known of a function's code.

    Attributes:
        digest: its digest.
        reads: the names that it reads from its module, each with the attributes that follow: `("np", "sin")`.
        assigns: the names of its module, and of functions around it, that it assigns.
        imports: modules that it imports when it runs, and the names that it takes from them.
    """

    digest: Digest
    reads: tuple[tuple[str, ...], ...]
    assigns: frozenset[str]
    imports: tuple[tuple[str, int, tuple[str, ...]], ...]


_known: WeakKeyDictionary[FunctionType, tuple[CodeType, Facts]] = WeakKeyDictionary()


def facts_of(function: FunctionType) -> Facts:
    """What is known of a function; found out once."""
    code = function.__code__
    known = _known.get(function)
    if known is None or known[0] is not code:
        bytecode = _bytecode(code)
        node = _node(code, bytecode)
        source = None if node is None else _SOURCE + _hash(normalized(node))
        known = _known[function] = code, Facts(Digest(source, _BYTECODE + bytecode), *_names(code))
    return known[1]


def remember_source(function: Any) -> None:
    """Have the source of a function read now, before anybody edits the file."""
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType):
        linecache.getlines(code.co_filename)


def legacy_digest(function: Any) -> str | None:
    """The digest in records that were written before this module existed; None without source."""
    inner = inspect.unwrap(function)
    tree: ast.AST | None = None
    if isinstance(inner, FunctionType):
        found = _node(inner.__code__, _bytecode(inner.__code__))
        tree = ast.parse(ast.unparse(found)) if isinstance(found, Function) else None
    if tree is None:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        except (OSError, TypeError, SyntaxError):
            return None
    for node in ast.walk(tree):
        if isinstance(node, Function | ast.ClassDef):
            node.decorator_list = []
            strip_docstring(node)
    return blake2b(ast.unparse(tree).encode(), digest_size=10).hexdigest()


# -- bytecode


def _bytecode(code: CodeType) -> str:
    return _hash(repr(_shape(code)))


def _shape(code: CodeType) -> tuple[Any, ...]:
    """What a code object does: no line numbers, no file, no docstring.

    Constants stand where they are loaded: their places shift when a docstring is added or removed.
    """
    raw, operations, extended = code.co_code, [], 0
    for i in range(0, len(raw), 2):
        operation, argument = raw[i], raw[i + 1] | extended
        if operation == dis.EXTENDED_ARG:
            extended = argument << 8
            continue
        extended = 0
        if operation in _CONSTANT:
            operations.append((operation, _constant(code.co_consts[argument])))
        else:
            operations.append((operation, argument))
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & 0x0C)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return counts, names, operations, getattr(code, "co_exceptiontable", b"")


_CONSTANT = frozenset(dis.hasconst)


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _shape(value)
    if isinstance(value, tuple):
        return tuple(map(_constant, value))
    if isinstance(value, frozenset):
        return "frozenset", sorted(map(repr, map(_constant, value)))
    return type(value).__name__, repr(value)


def _names(
    code: CodeType,
) -> tuple[tuple[tuple[str, ...], ...], frozenset[str], tuple[tuple[str, int, tuple[str, ...]], ...]]:
    reads: dict[tuple[str, ...], None] = {}
    assigns: set[str] = set()
    imports: list[tuple[str, int, tuple[str, ...]]] = []
    for inner in _nested(code):
        chain: tuple[str, ...] = ()
        constants: list[Any] = []
        for step in dis.get_instructions(inner):
            if chain and step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
                chain = (*chain, step.argval)
                continue
            if chain:
                reads[chain] = None
                chain = ()
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                chain = (step.argval,)
            elif step.opname in _ASSIGN and (
                step.opname != "STORE_DEREF" or step.argval in inner.co_freevars
            ):
                assigns.add(step.argval)
            elif step.opname == "IMPORT_NAME":
                level, names = constants[-2:] if len(constants) >= 2 else (0, None)
                imports.append((step.argval, int(level or 0), tuple(names or ())))
            if step.opcode in _CONSTANT or step.opname == "LOAD_SMALL_INT":
                constants.append(step.argval)
        if chain:
            reads[chain] = None
    return tuple(reads), frozenset(assigns), tuple(imports)


_ASSIGN = frozenset(["STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF"])


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


# -- source


def _node(code: CodeType, bytecode: str) -> Function | ast.Lambda | None:
    """The syntax tree of running code, if the source is there and has not changed since."""
    for text in _texts(code.co_filename):
        found = _index(code.co_filename, text).get((code.co_qualname, bytecode))
        if found is not None:
            return found
    return None


def _texts(filename: str) -> Iterator[str]:
    """The source of a file as it was when it was imported, as far as that is known, and as it is now."""
    kept: Any = linecache.cache.get(filename, ())
    imported = "".join(kept[2]) if len(kept) == 4 else ""
    if imported:
        yield imported
    try:
        now = Path(filename).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return
    if now != imported:
        yield now


@lru_cache(maxsize=256)
def _index(filename: str, text: str) -> dict[tuple[str, str], Function | ast.Lambda]:
    """Qualified name and bytecode of every function in a source text, with its syntax tree."""
    try:
        tree = ast.parse(text)
        # cells of notebooks may hold `await` outside of functions
        whole = compile(tree, filename, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    nodes: dict[tuple[str, int], Function | ast.Lambda] = {}
    for node in ast.walk(tree):
        if isinstance(node, Function):
            nodes[node.name, min([node.lineno, *(d.lineno for d in node.decorator_list)])] = node
        elif isinstance(node, ast.Lambda):
            nodes["<lambda>", node.lineno] = node
    found = {}
    for code in _nested(whole):
        node = nodes.get((code.co_name, code.co_firstlineno))
        if node is not None:
            found[code.co_qualname, _bytecode(code)] = node
    return found

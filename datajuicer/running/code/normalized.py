"""Source of a function without what changes nothing: comments, layout, docstrings, type hints, its name."""

from __future__ import annotations

import ast
from typing import Any

Function = ast.FunctionDef | ast.AsyncFunctionDef


def normalized(node: Function | ast.Lambda) -> str:
    """The source of a function without its name, docstrings, type hints, and the mark `@cachable`."""
    node = _Normalize().visit(node)
    if isinstance(node, ast.Lambda):
        return ast.unparse(node)
    name, node.name = node.name, "f"
    text = ast.unparse(ast.fix_missing_locations(node))
    node.name = name
    return text


class _Normalize(ast.NodeTransformer):
    """Remove what changes nothing; doing it twice is as good as once."""

    in_class = False  # where a hint may make a field

    def visit_FunctionDef(self, node: Any) -> Any:
        node.decorator_list = [d for d in node.decorator_list if not _is_mark(d)]
        node.returns = None
        strip_docstring(node)
        return self._inside(node, in_class=False)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        strip_docstring(node)
        return self._inside(node, in_class=True)

    def _inside(self, node: ast.AST, *, in_class: bool) -> ast.AST:
        outside, self.in_class = self.in_class, in_class
        self.generic_visit(node)
        self.in_class = outside
        return node

    def visit_arg(self, node: ast.arg) -> Any:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        self.generic_visit(node)
        if self.in_class:
            return node
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign([node.target], node.value), node)


def _is_mark(decorator: ast.expr) -> bool:
    inner = decorator.func if isinstance(decorator, ast.Call) else decorator
    return getattr(inner, "attr", getattr(inner, "id", "")) == "cachable"


def strip_docstring(node: Function | ast.ClassDef) -> None:
    """Remove the docstring of a function or class."""
    if ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:] or [ast.Pass()]

"""Our own source as syntax trees, for the tests that read it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Module:
    """One module of the package: its dotted name, its path from the root, its tree."""

    name: str
    path: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The part below ``mixminion`` it belongs to; empty for the package itself."""
        return room_of(self.name)


def room_of(name: str) -> str:
    """``sphinx`` of ``mixminion.sphinx.build``."""
    return name.partition(".")[2].partition(".")[0]


def planted(name: str, text: str) -> Module:
    """A module that is not there, to see whether a test would find it."""
    return Module(name, name.replace(".", "/") + ".py", ast.parse(text))


@cache
def modules(*folders: str) -> list[Module]:
    """Every module below *folders* of the root."""
    found = []
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        relative = path.relative_to(ROOT)
        name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        found.append(Module(name, str(relative), ast.parse(path.read_bytes())))
    return found


def imports(module: Module, *, typing: bool = True) -> Iterator[tuple[str, int]]:
    """What *module* imports, anywhere in it: (dotted name, line).

    ``from a import b`` is ``a.b``, whether b is a module or a name in it.  *typing*: also
    what stands under ``if TYPE_CHECKING``.
    """
    for node in walk(module.tree, typing=typing):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                is_package = module.path.endswith("__init__.py")
                parts = module.name.split(".")
                kept = parts[: len(parts) - node.level + is_package]
                base = ".".join([*kept, *filter(None, [node.module])])
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno


def walk(node: ast.AST, *, typing: bool = True) -> Iterator[ast.AST]:
    """Every node, without the bodies of ``if TYPE_CHECKING`` unless *typing*."""
    yield node
    if isinstance(node, ast.If) and not typing and "TYPE_CHECKING" in ast.dump(node.test):
        inner: list[ast.AST] = [*node.orelse]
    else:
        inner = [*ast.iter_child_nodes(node)]
    for child in inner:
        yield from walk(child, typing=typing)


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of such an expression; empty for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""

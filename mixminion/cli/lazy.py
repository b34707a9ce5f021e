"""A group of commands whose help costs no imports."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import LazyLoader, find_spec, module_from_spec
from pkgutil import iter_modules
from typing import Any

import click
from click.shell_completion import CompletionItem
from typing_extensions import override


def postpone(*names: str) -> None:
    """Have these modules, and all modules of packages among them, run when something of theirs is
    first used, not when they are imported: ``from mixminion import api`` in a command costs its
    help nothing.

    ``from mixminion.api import Client`` does use something.
    """
    for name in names:
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            folders = spec.submodule_search_locations
            postpone(*(each.name for each in iter_modules(folders, f"{name}.")))
        elif spec is not None and spec.loader is not None and name not in sys.modules:
            spec.loader = LazyLoader(spec.loader)
            module = sys.modules[name] = module_from_spec(spec)
            spec.loader.exec_module(module)
            package, _, last = name.rpartition(".")
            setattr(import_module(package), last, module)


class LazyGroup(click.Group):
    """Commands named in a table, each imported when it is called.

    *table* has one line of help by name; the command NAME is ``command`` in the module
    *prefix* + NAME, with ``_`` for ``-``.
    """

    def __init__(self, *, table: Mapping[str, str], prefix: str, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.table = table
        self._prefix = prefix

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module = import_module(self._prefix + cmd_name.replace("-", "_"))
        command: click.Command = module.command
        return command

    @override
    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Without an import of every command."""
        own = click.Command.shell_complete(self, ctx, incomplete)
        words = (
            CompletionItem(name, help=line)
            for name, line in self.table.items()
            if name.startswith(incomplete)
        )
        return [*words, *own]

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.table.items()))

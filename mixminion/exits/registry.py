"""Exit modules: found as plugins, run because the configuration names them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from twisted.plugin import IPlugin, getPlugins
from zope.interface import implementer

from mixminion.config import BadValue, Config
from mixminion.exits.section import ExitSection
from mixminion.interfaces import ExitEnvironment, IExit, IExitModule

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)

Resolver = Callable[[str, str, Mapping[str, str]], type]


@implementer(IPlugin, IExitModule)
class LazyModule:
    """A plugin for a module with a class ``Section`` and a function ``make``, which is
    imported only when a configuration names it."""

    def __init__(self, name: str, module: str) -> None:
        self.name = name
        self._module = module

    @property
    def section(self) -> type:
        """The class of its ``[Exit NAME]`` section."""
        section: type = import_module(self._module).Section
        return section

    def make(self, name: str, section: Any, environment: ExitEnvironment) -> IExit:
        """See :class:`IExitModule`."""
        exit: IExit = import_module(self._module).make(name, section, environment)
        return exit


def discover() -> Mapping[str, IExitModule]:
    """Every module that is installed, by name.  Discovered is not enabled."""
    return {module.name: module for module in getPlugins(IExitModule)}


def resolver(modules: Mapping[str, IExitModule]) -> Resolver:
    """For :func:`mixminion.config.parse`: each ``[Exit NAME]`` is read by the class of the
    module that it names."""

    def resolve(kind: str, name: str, texts: Mapping[str, str]) -> type:
        if not _NAME.fullmatch(name):
            raise BadValue("an exit's name is 1 to 32 small letters, digits and -, a letter first")
        module = texts.get("module")
        if module is None:
            return ExitSection
        if module not in modules:
            raise BadValue(f"no such module: installed are {_words(modules)}", key="module")
        section: type = modules[module].section
        return section

    return resolve


def load(
    config: Config,
    environment: ExitEnvironment,
    modules: Mapping[str, IExitModule],
    guard: Callable[[IExit], IExit] = lambda exit: exit,
) -> dict[str, IExit]:
    """The exits that *config* names, by delivery name, not started; each as *guard* gives it.

    A module may raise :class:`~mixminion.errors.OperatorError` for what is wrong outside the
    configuration file.
    """
    return {
        name: guard(modules[section.module].make(name, section, environment))
        for name, section in config.named(ExitSection).items()
    }


def _words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"

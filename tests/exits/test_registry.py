"""Exit modules: found as plugins, enabled by name, their sections as strict as ours."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from twisted.plugin import IPlugin
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mixminion.config import ConfigErrors, option, section, values
from mixminion.exits import registry
from mixminion.exits.drop import DropExit
from mixminion.exits.section import ExitSection
from mixminion.interfaces import DeliveryPolicy, ExitEnvironment, IExit, IExitModule
from mixminion.testing.cases import SyncTestCase
from tests.exits import kit


@section("Exit", named=True)
class OwnSection(ExitSection):
    """A section of somebody else's module."""

    colour: str = option(values.choice("red", "blue"), doc="Which.")


@implementer(IPlugin, IExitModule)
class OwnModule:
    name = "own"
    section = OwnSection

    def make(self, name: str, section: Any, environment: ExitEnvironment) -> IExit:
        exit: IExit = kit.ScriptedExit(name=f"{name}-{section.colour}")
        return exit


MODULES = {**kit.MODULES, "own": OwnModule()}


class RegistryTests(SyncTestCase):
    def test_discovered(self) -> None:
        """The modules that come with Mixminion are found as plugins."""
        found = registry.discover()
        self.assertLessEqual({"drop", "smtp"}, found.keys())
        for module in found.values():
            verifyObject(IExitModule, module)

    def test_enabled_by_name(self) -> None:
        """Only what sections name runs; one module may run under several names."""
        self.assertEqual(self.load(""), {})
        text = "[Exit void]\nmodule = drop\n[Exit pit]\nmodule = drop\nconcurrency = 7\n"
        exits = self.load(text + "[Exit one]\nmodule = own\ncolour = red\n")
        self.assertEqual([exits[name].name for name in exits], ["void", "pit", "one-red"])
        self.assertIsInstance(exits["pit"], DropExit)
        self.assertEqual(exits["pit"].policy.concurrency, 7)

    def test_policy(self) -> None:
        """Every exit has concurrency, pauses and expiry, from its section."""
        [exit] = self.load(
            "[Exit d]\nmodule = drop\nretry-first = 1 min\nretry-longest = 1 hour\nexpiry = 1 day\n"
        ).values()
        self.assertEqual(exit.policy, DeliveryPolicy(4, 60.0, 3600.0, 86_400.0))

    def test_wrong(self) -> None:
        """Unknown modules, names and keys and wrong values: each with its key."""
        for text, key, word in (
            ("[Exit a]\n", "module", "missing"),
            ("[Exit a]\nmodule = nope\n", "module", "drop, mbox, nntp, own, smtp"),
            ("[Exit A]\nmodule = drop\n", "[Exit A]", "small letters"),
            ("[Exit a]\nmodule = own\n", "colour", "missing"),
            ("[Exit a]\nmodule = own\ncolour = green\n", "colour", "red or blue"),
            ("[Exit a]\nmodule = drop\ncolour = red\n", "colour", "unknown key"),
            ("[Exit a]\nmodule = own\ncolour = red\nexpiry = 5\n", "expiry", "a time such as"),
        ):
            with self.assertRaises(ConfigErrors) as caught:
                self.load(text)
            [problem] = caught.exception.problems
            self.assertIn(key, problem.key)
            self.assertIn(word, problem.expected)

    def test_lazy(self) -> None:
        """Finding the plugins imports no exit, no mail protocol and no reactor."""
        script = (
            "import sys; from mixminion.exits import registry; registry.discover(); "
            "print([name for name in ('twisted.internet.reactor', 'twisted.mail.smtp', "
            "'mixminion.exits.smtp', 'mixminion.exits.drop') if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        self.assertEqual(done.stdout.strip(), "[]")

    def load(self, text: str) -> dict[str, IExit]:
        return registry.load(kit.config(text, MODULES), kit.Environment(None), MODULES)

"""The example of the guide for authors of exit modules runs as it stands there."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType

from twisted.internet.defer import ensureDeferred
from zope.interface.verify import verifyObject

from mixminion.counters import Counters
from mixminion.crypto.rng import SeededRandom
from mixminion.exits import registry
from mixminion.exits.delivery import Delivery
from mixminion.interfaces import Accepted, IExit, IExitModule
from mixminion.payload import frame, message
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.exits import kit

GUIDE = Path(__file__).parents[2] / "doc" / "develop" / "exit-modules.rst"


class ExampleTests(SyncTestCase):
    def test_runs(self) -> None:
        """Its module is found, configured, and puts a message into a file."""
        blocks = re.findall(
            r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", GUIDE.read_text("utf-8")
        )
        source, plugin = map(textwrap.dedent, blocks)
        module = ModuleType("example_shelf")
        sys.modules["example_shelf"] = module
        self.addCleanup(sys.modules.pop, "example_shelf")
        exec(compile(source, GUIDE.name, "exec", dont_inherit=True), module.__dict__)
        names: dict[str, IExitModule] = {}
        exec(plugin, names)
        folder = Path(self.mktemp()).absolute()
        text = f"[Exit shelf]\nmodule = shelf\nfolder = {folder}\n"
        modules = {"shelf": names["shelf"]}
        verifyObject(IExitModule, modules["shelf"])
        exits = registry.load(kit.config(text, modules), kit.Environment(None), modules)
        verifyObject(IExit, exits["shelf"])
        random = SeededRandom(b"example")
        store = kit.MemoryStore()
        delivery = Delivery(exits, store, HeapClock(), random, Counters(), "mix.test")
        self.successResultOf(ensureDeferred(delivery.start()))
        octets = message.encode("shelf", [], b"hello")
        body = frame.encode(frame.Kind.MESSAGE, octets, 500, random)
        accepted = delivery.accept(body, 0.0)
        assert isinstance(accepted, Accepted)
        delivery.offer(store.put(accepted.record), accepted.destination, 0.0)
        [path] = folder.iterdir()
        self.assertEqual(path.read_bytes(), b"hello")
        self.successResultOf(ensureDeferred(delivery.stop()))

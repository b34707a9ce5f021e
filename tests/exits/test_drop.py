"""The exit that throws away."""

from twisted.internet.defer import ensureDeferred
from zope.interface.verify import verifyObject

from mixminion.exits import registry
from mixminion.interfaces import IExit, Message, Outcome, OutcomeKind
from mixminion.testing.cases import SyncTestCase
from tests.exits import kit


class DropTests(SyncTestCase):
    def test_drop(self) -> None:
        """Anything of a sane size is taken, with any recipients, and is delivered at once."""
        config = kit.config("[Exit void]\nmodule = drop\n")
        exit = registry.load(config, kit.Environment(None), kit.MODULES)["void"]
        verifyObject(IExit, exit)
        self.assertIsNone(exit.check([], b"\xff", False))
        self.assertIsNone(exit.check([], bytes(1 << 20), False))
        message = Message("void", (), b"x", None, "<0a@mix.test>", 0)

        async def deliver() -> Outcome:
            return await exit.deliver(message)

        outcome = self.successResultOf(ensureDeferred(deliver()))
        self.assertEqual(outcome.kind, OutcomeKind.DELIVERED)
        self.assertEqual(exit.describe()["module"], "drop")

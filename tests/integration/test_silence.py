"""The search of :mod:`tests.silence` at every other level, each with a network of its own."""

from tests.silence.test_network import SilenceCase


class InfoTests(SilenceCase):
    level = "info"

    async def test_info(self) -> None:
        """What servers write unless told otherwise: a hundred mails."""
        await self.run_and_search(100)


class WarnTests(SilenceCase):
    level = "warn"

    async def test_warn(self) -> None:
        """What goes wrong: a hundred mails."""
        await self.run_and_search(100)


class ErrorTests(SilenceCase):
    level = "error"

    async def test_error(self) -> None:
        """What the operator has to see: a hundred mails."""
        await self.run_and_search(100)

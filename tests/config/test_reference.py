"""The reference of keys."""

from __future__ import annotations

from mixminion.config import option, section, values
from mixminion.config.reference import reference
from mixminion.testing.cases import SyncTestCase


@section("Thing", named=True)
class ThingSection:
    """What a thing is."""

    name: str = option(values.nickname, doc="Who.")
    size: int = option(values.size, default=2048, doc="How large.")
    friend: str | None = option(values.text, default=None, doc="With whom.")
    places: tuple[str, ...] = option(values.list_of(values.text), default=(), doc="Where.")


class ReferenceTests(SyncTestCase):
    def test_all(self):
        """Every key is there with type, default as it would be written, and meaning."""
        text = reference(ThingSection)
        for part in [
            "[Thing NAME]\n------------\n\nWhat a thing is.\n",
            "``name``\n    Type: a nickname:",
            "Required.\n\n    Who.",
            "Default: ``2 KiB``.\n\n    How large.",
            "No default.\n\n    With whom.",
            "Default: empty.\n\n    Where.",
        ]:
            self.assertIn(part, text)

    def test_less(self):
        """Keys can be left out and the title replaced."""
        text = reference(ThingSection, title="Things", without={"name"})
        self.assertTrue(text.startswith("Things\n------\n"))
        self.assertNotIn("``name``", text)

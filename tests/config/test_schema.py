"""Sections as dataclasses."""

from __future__ import annotations

from mixminion.config import BadValue, option, section, values
from mixminion.config.schema import info
from mixminion.testing.cases import SyncTestCase


class SchemaTests(SyncTestCase):
    def test_info(self):
        """The decorator notes all that the reference page needs."""

        @section("Thing")
        class ThingSection:
            """What a thing
            is."""

            max_size: int = option(values.size, default="1 KiB", doc="How\n   large.")
            name: str = option(values.nickname, doc="Who.")

        found = info(ThingSection)
        self.assertEqual((found.kind, found.named, found.doc), ("Thing", False, "What a thing is."))
        size, name = found.options.values()
        self.assertEqual((size.key, size.default, size.doc), ("max-size", 1024, "How large."))
        self.assertFalse(size.required)
        self.assertTrue(name.required)

    def test_inherited(self):
        """A section may extend another one."""

        @section("Base", named=True)
        class BaseSection:
            module: str = option(values.text, doc="Which.")

        @section("Base", named=True)
        class MoreSection(BaseSection):
            limit: int = option(values.integer(), default=3, doc="How many.")

        self.assertEqual(list(info(MoreSection).options), ["module", "limit"])
        self.assertEqual(MoreSection(module="x").limit, 3)

    def test_bad_default(self):
        """A default that its own type refuses is found when the module is imported."""
        self.assertRaises(BadValue, option, values.size, default="12 parsecs", doc="No.")

    def test_other_class(self):
        """A class without the decorator is refused, also one that inherits from a section."""

        @section("Base")
        class BaseSection:
            pass

        class Plain(BaseSection):
            pass

        self.assertRaises(TypeError, info, Plain)
        self.assertRaises(TypeError, info, int)

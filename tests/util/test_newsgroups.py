from mixminion.testing.cases import SyncTestCase
from mixminion.util.newsgroups import among


class AmongTests(SyncTestCase):
    def test_patterns(self) -> None:
        """A group, all below one, all there are."""
        for group, patterns, expected in (
            ("misc.test", ["misc.test"], True),
            ("misc.test.more", ["misc.test"], False),
            ("comp.lang.c", ["misc.test", "comp.*"], True),
            ("comp", ["comp.*"], False),
            ("company.x", ["comp.*"], False),
            ("any.group", ["*"], True),
            ("any.group", [], False),
        ):
            self.assertEqual(among(group, patterns), expected, (group, patterns))

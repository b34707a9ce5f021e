from mixminion.client.addresses import Address
from mixminion.client.errors import BadAddress
from mixminion.client.recipients import Recipients, gather
from mixminion.testing.cases import SyncTestCase


class RecipientsTests(SyncTestCase):
    """Several addresses become one exit's recipients, and it is known which are shown."""

    def test_one(self):
        """One address is what it was; only mail has somebody to show."""
        bob = Address("smtp", ("bob@x.org",), mail=True)
        self.assertEqual(gather(["bob@x.org"]), Recipients(bob, ("bob@x.org",)))
        self.assertEqual(gather(["drop"]), Recipients(Address("drop", (), mail=False)))
        self.assertEqual(gather(["shelf:a"]), Recipients(Address("shelf", ("a",), mail=False)))

    def test_several(self):
        """All are in the envelope, once; blind copies are nowhere else."""
        found = gather(
            ["a@x.org", "b@X.org", "a@x.org"], ["smtp:c@x.org", "b@x.org"], ["d@x.org", "c@x.org"]
        )
        everybody = ("a@x.org", "b@x.org", "c@x.org", "d@x.org")
        self.assertEqual(
            found,
            Recipients(Address("smtp", everybody, mail=True), ("a@x.org", "b@x.org"), ("c@x.org",)),
        )
        blind = gather([], [], ["d@x.org"])
        self.assertEqual((blind.address.recipients, blind.to, blind.cc), (("d@x.org",), (), ()))

    def test_refused(self):
        """Two exits, something that is no mail beside others or in a copy, and what is no
        address."""
        refused: tuple[tuple[list[str], list[str], list[str]], ...] = (
            (["a@x.org", "other:b@x.org"], [], []),
            (["drop", "drop"], [], []),
            (["a@x.org", "shelf:a"], [], []),
            ([], ["drop"], []),
            (["a@x.org"], [], ["bob"]),
        )
        for written in refused:
            with self.assertRaises(BadAddress):
                gather(*written)

from mixminion import __version__
from mixminion.client import notices
from mixminion.client.chain import Chain, chain
from mixminion.crypto import kdf
from mixminion.directory.parameters import Parameters
from mixminion.directory.vote import Recommended
from mixminion.dirhttp.documents import Known
from mixminion.dirhttp.evidence import Evidence
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import NOW, consensus

HOUR = 3600
REAL = Parameters.default()
NEW, OLD, OTHER = (kdf.sha256(word) for word in (b"new", b"old", b"other"))


def known(digest, valid_after):
    return Known(digest, valid_after, ())


class NoticeTests(SyncTestCase):
    """What is said at each use of a directory."""

    def codes(self, document, held=(), evidence=(), now=NOW):
        return [each.code for each in notices.of_directory(document, held, evidence, now)]

    def test_nothing(self):
        """Of one that is as it should be."""
        document = consensus(parameters=REAL, previous=OLD)
        held = [known(NEW, NOW), known(OLD, NOW - HOUR)]
        self.assertEqual(self.codes(document, held), [])

    def test_overdue(self):
        """From the moment it expires for a day, with what is left."""
        document = consensus(parameters=REAL)
        self.assertEqual(self.codes(document, now=NOW + 3 * HOUR - 1), [])
        (found,) = notices.of_age(document, NOW + 4 * HOUR)
        self.assertEqual(found.code, "directory-overdue")
        self.assertIn("1 hour ago, and is used for another 23 hours;", found.sentence)
        self.assertEqual(self.codes(document, now=NOW + 27 * HOUR), [])

    def test_evidence(self):
        """As long as the files are there."""
        found = self.codes(consensus(), evidence=[Evidence(NOW, (NEW, OTHER))] * 2)
        self.assertEqual(found, ["two-directories", "two-directories"])

    def test_release(self):
        """This release, unless it is recommended or nothing is said of any."""
        for clients, said in (((), None), ((__version__, "9"), None), (("8", "9"), "8 or 9;")):
            document = consensus(recommended=Recommended(clients=clients))
            found = list(notices.of_release(document))
            self.assertEqual(len(found), 0 if said is None else 1)
            if said is not None:
                self.assertIn(said, found[0].sentence)
                self.assertIn(__version__, found[0].sentence)

    def test_chain(self):
        """A successor of another consensus than the one that is held."""
        held = [known(NEW, NOW), known(OLD, NOW - HOUR), known(OTHER, NOW - 2 * HOUR)]
        for found, changes in (
            (Chain.HELD, {"previous": OLD}),
            (Chain.HELD, {"previous": OTHER}),  # a consensus was left out
            (Chain.BROKEN, {"previous": kdf.sha256(b"stranger")}),
            (Chain.FIRST, {}),
            (Chain.GAP, {"gap": True}),
        ):
            document = consensus(parameters=REAL, **changes)
            self.assertIs(chain(document, held), found)
            said = ["directory-chain"] if found is Chain.BROKEN else []
            self.assertEqual(self.codes(document, held), said)
        missed = consensus(parameters=REAL, previous=kdf.sha256(b"stranger"))
        self.assertIs(
            chain(missed, [known(NEW, NOW), known(OTHER, NOW - 2 * HOUR)]), Chain.NOT_HELD
        )

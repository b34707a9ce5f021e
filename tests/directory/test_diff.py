"""Differences between documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto import kdf
from mixminion.directory import canonical, diff
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.consensus import Consensus, Server
from mixminion.directory.envelope import Signer
from mixminion.directory.errors import BadDocument, NewerDocument, WrongDigest
from mixminion.directory.keydoc import KeyDocument
from mixminion.directory.parts import Exit
from mixminion.directory.vote import Recommended
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import NOW, PERIOD, authorities, consensus, keys, packet_key, server

PRIVATE, PUBLIC = authorities(3)
NAMES = ("alice", "bob", "carol", "dave", "erin", "frank")


def signed(document: Consensus, signers: Sequence[bytes] = PRIVATE) -> bytes:
    """In its envelope."""
    return document.sign([Signer.of(each) for each in signers])


def servers(*names: str, **changes: Any) -> list[Server]:
    """Entries, all with *changes*."""
    return [server(name, NAMES.index(name) + 1, **changes) for name in names]


def altered(difference: bytes, **changes: Any) -> bytes:
    """A difference with other members."""
    return canonical.encode(canonical.decode(difference) | changes)


class ConsensusTests(SyncTestCase):
    """From one consensus to another."""

    def lead(self, old: bytes, new: bytes) -> bytes:
        """The difference, which leads to the signed octets."""
        difference = diff.between_consensuses(old, new)
        found = diff.apply_to_consensus(difference, old)
        self.assertEqual(found, new)
        SignedConsensus.verify(found, PUBLIC, NOW)
        return difference

    def test_members(self):
        """Times, previous, recommendations that come and go."""
        first = consensus(servers("alice", "bob"))
        digest = kdf.sha256(first.encode())
        second = consensus(
            servers("alice", "bob"),
            valid_after=NOW + 60,
            previous=digest,
            recommended=Recommended(servers=("0.1",)),
        )
        third = consensus(servers("alice", "bob"), valid_after=NOW + 120, gap=True)
        difference = self.lead(signed(first), signed(second))
        self.assertLess(len(difference), len(signed(second)))
        self.lead(signed(second), signed(third))
        self.lead(signed(third), signed(first))

    def test_servers(self):
        """Servers that come, go and change, the first and the last included."""
        for before in ((), NAMES, NAMES[:3], NAMES[1:], NAMES[::2]):
            for after in ((), NAMES, NAMES[2:], NAMES[:-1], NAMES[1::2]):
                old, new = consensus(servers(*before)), consensus(servers(*after))
                self.lead(signed(old), signed(new))

    def test_changed(self):
        """A server's members that change, come and go; only they are sent."""
        others = servers("alice", "carol", "dave")
        (bob,) = servers("bob", family="f")
        (changed,) = servers("bob", reliability=900, exits=())
        difference = self.lead(
            signed(consensus([*others, bob])), signed(consensus([*others, changed]))
        )
        found = canonical.decode(difference)
        self.assertEqual(found["changes"], [{"reliability": 900}])
        self.assertEqual(found["dropped"], [["exits", "family"]])
        self.assertNotIn("added", found)

    def test_signatures(self):
        """The same consensus with more signatures is a difference of signatures alone."""
        document = consensus(servers("alice", "bob"))
        few, many = signed(document, PRIVATE[:2]), signed(document)
        found = canonical.decode(self.lead(few, many))
        self.assertEqual(set(found), {"version", "from", "to", "signatures"})
        self.assertEqual(found["from"], found["to"])

    def test_true_is_not_one(self):
        """Values that Python takes for equal are told apart."""
        ((alice,), (other,)) = (
            servers("alice", exits=(Exit("x", "x", 9, {"a": [value]}),)) for value in (True, 1)
        )
        self.lead(signed(consensus([alice])), signed(consensus([other])))

    def test_deep(self):
        """A policy as deep as documents may be, and names beyond the BMP."""
        deep: Any = 7
        policies = ({"\uffff": 1, "\U0001f600": [[deep]]}, {"\uffff": 2, "\U0001f600": [[8]]})
        ((alice,), (other,)) = (
            servers("alice", exits=(Exit("x", "x", 9, policy),)) for policy in policies
        )
        self.lead(signed(consensus([alice])), signed(consensus([other])))
        self.lead(signed(consensus()), signed(consensus([other])))

    @given(
        st.lists(st.sampled_from(NAMES), unique=True),
        st.lists(st.sampled_from(NAMES), unique=True),
        st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3)),
    )
    @settings(max_examples=100, deadline=None)
    def test_any(self, before, after, figures):
        """Whatever came, went and changed."""
        old = consensus(servers(*before))
        entries = [
            each
            for name in after
            for each in servers(
                name, reliability=figures.get(name), family=name[: figures.get(name, 0)]
            )
        ]
        self.lead(signed(old), signed(consensus(entries)))


class RefusedTests(SyncTestCase):
    """What is no difference, or of something else."""

    def setUp(self):
        self.old = signed(consensus(servers("alice", "bob", "carol")))
        self.new = signed(consensus(servers("bob", "carol", "dave"), gap=True))
        self.difference = diff.between_consensuses(self.old, self.new)
        (gone,) = canonical.decode(self.difference)["removed"]
        self.stays = (gone + 1) % 3

    def refused(self, octets: bytes, kind: type[Exception] = BadDocument) -> Any:
        return self.assertRaises(kind, diff.apply_to_consensus, octets, self.old)

    def test_of_another(self):
        """One that begins elsewhere."""
        other = diff.between_consensuses(self.new, self.old)
        self.assertIn("of another document", self.refused(other).fields["problem"])

    def test_form(self):
        """Octets that are no difference."""
        for octets in (b"", b"{}", b"[]", self.difference[:-1], b" " + self.difference):
            self.refused(octets)
        self.refused(altered(self.difference, version=2), NewerDocument)
        for changes in (
            {"removed": [1, 0]},
            {"removed": [0, 0]},
            {"removed": [-1]},
            {"changed": [0]},
            {"changed": [0], "changes": [{}], "removed": [0]},
            {"changed": [0], "changes": [{}], "dropped": [[], []]},
            {"added": [1]},
            {"from": "AAAA"},
        ):
            self.refused(altered(self.difference, **changes))

    def test_does_not_fit(self):
        """Places and names that the document held does not have."""
        every: list[dict[str, Any]] = [
            {"removed": [9]},
            {"changed": [9], "changes": [{}]},
            {"changed": [self.stays], "changes": [{}], "dropped": [["nothing"]]},
            {"unset": ["nothing"]},
            {"added": [{}]},
            {"added": [{"identity": 7}]},
            {"added": [{"identity": "?"}]},
        ]
        for changes in every:
            with self.subTest(changes):
                error = self.refused(altered(self.difference, **changes))
                self.assertIn("does not fit", error.fields["problem"])

    def test_leads_elsewhere(self):
        """A result other than the one that was promised, whatever was changed."""
        every: list[dict[str, Any]] = [
            {"set": {}},
            {"set": {"gap": True, "servers": []}},
            {"removed": []},
            {"added": []},
            {"to": canonical.decode(self.difference)["from"]},
            {"changed": [self.stays], "changes": [{"family": "f"}]},
        ]
        for changes in every:
            self.refused(altered(self.difference, **changes), WrongDigest)

    def test_bounded(self):
        """A result longer than any consensus may be."""
        long = {"x": "y" * (17 * 2**20)}
        self.assertIn("octets", self.refused(altered(self.difference, set=long)).fields["problem"])


class KeysTests(SyncTestCase):
    """From one key document to another."""

    def test_a_server_joins(self):
        """Only its key is sent."""
        before = keys(servers(*NAMES[:-1]), PERIOD).encode()
        after = keys(servers(*NAMES), PERIOD).encode()
        difference = diff.between_keys(before, after)
        self.assertEqual(diff.apply_to_keys(difference, before), after)
        self.assertLess(len(difference), 2200)
        back = diff.between_keys(after, before)
        self.assertEqual(diff.apply_to_keys(back, after), before)
        self.assertLess(len(back), 250)

    def test_a_key_changes(self):
        """A server that had to make new ones; the others stay."""
        before = keys(servers(*NAMES), PERIOD)
        first, *rest = before.keys
        other = type(first)(identity=first.identity, key=packet_key("other", PERIOD))
        after = KeyDocument(period=PERIOD, suite="xwing", keys=(other, *rest))
        difference = diff.between_keys(before.encode(), after.encode())
        found = diff.apply_to_keys(difference, before.encode())
        self.assertEqual(KeyDocument.read(found, kdf.sha256(after.encode())), after)
        self.assertNotIn("added", canonical.decode(difference))

    def test_none_and_all(self):
        """An empty network's document and a full one."""
        empty, full = (keys(servers(*names), PERIOD).encode() for names in ((), NAMES))
        for one, other in ((empty, full), (full, empty), (full, full)):
            self.assertEqual(diff.apply_to_keys(diff.between_keys(one, other), one), other)

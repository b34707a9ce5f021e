"""Answers in unusual cases: another suite, and a machine that is lost while its owner waits."""

from __future__ import annotations

import shutil

from mixminion import api
from mixminion.client.identity_errors import PassphraseNeeded
from mixminion.sphinx import geometry
from tests.client.conversations import ConversationCase


class SuiteTests(ConversationCase):
    """The other suite, whose slots have less room."""

    sizes = geometry.default("x25519")

    def test_answer(self) -> None:
        """Blocks of a third of the length, opened as others are."""
        blocks = self.blocks(self.alice)
        self.assertEqual([len(each) for each in blocks], [self.sizes.surb])
        self.answer(self.bob, blocks, b"Yes.")
        [opened] = self.read(self.alice)
        self.assertEqual(opened.content, b"Yes.")


class RestoredTests(ConversationCase):
    def lose(self) -> None:
        """Alice's home is gone; she has a new machine."""
        self.do(self.alice.close())
        shutil.rmtree(self.network.folder / "alice")
        self.alice = self.network.client("alice")

    def test_answer(self) -> None:
        """Alice writes, exports, and loses everything; Bob's answer lies in her mailbox, and she
        reads it with the export and two passphrases."""
        self.do(self.alice.identities.create("work", passphrase=b"her own"))
        box = self.do(self.bob.create_mailbox())
        self.do(self.alice.send(box.address, b"Well?", reply_blocks=1, identity="work"))
        exported = self.do(self.alice.identities.export(b"of the file"))
        self.lose()
        self.network.clock.advance(60)
        [opened] = self.read(self.bob)
        self.answer(self.bob, opened.blocks, b"Yes.")
        self.assertEqual(self.read(self.alice), [])

        self.do(self.alice.identities.restore(exported, b"of the file"))
        self.fetch(self.alice)
        [locked] = self.unread(self.alice)
        self.assertIsInstance(locked.error, PassphraseNeeded)
        [opened] = self.read(self.alice, passphrase=b"her own")
        self.assertEqual(
            (opened.kind, opened.content, opened.identity), (api.Kind.REPLY, b"Yes.", "work")
        )

    def test_nothing_kept(self) -> None:
        """Without an export nobody reads it; not even the mailbox is there."""
        box = self.do(self.bob.create_mailbox())
        self.do(self.alice.send(box.address, b"Well?", reply_blocks=1))
        self.lose()
        self.network.clock.advance(60)
        [opened] = self.read(self.bob)
        self.answer(self.bob, opened.blocks, b"Yes.")
        self.assertEqual(self.do(self.alice.mailboxes()), [])

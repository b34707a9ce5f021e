"""Identities on another machine: what was handed out before is answered and read there."""

from __future__ import annotations

import shutil

from mixminion.client import copying
from mixminion.client.exporting import PURPOSE, Restored
from mixminion.client.identity_errors import (
    CopyOfAnother,
    NoSuchIdentity,
    NotACopy,
    NotAnExport,
    PassphraseNeeded,
    WrongExportPassphrase,
)
from mixminion.crypto.passphrase import Passphrase
from mixminion.crypto.rng import SystemRandom
from mixminion.disk.errors import WriteFailed
from tests.client.test_reply_blocks import WEEK, BlocksCase


class ExportCase(BlocksCase):
    def export(self, *names: str) -> bytes:
        return bytes(self.ask(self.client.identities.export(b"file", names)))

    def restore(self, octets: bytes, passphrase: bytes = b"file") -> Restored:
        restored: Restored = self.ask(self.client.identities.restore(octets, passphrase))
        return restored

    def lose(self) -> None:
        """The machine is gone with everything on it; there is a new one."""
        self.ask(self.client.close())
        shutil.rmtree(self.folder / "state")
        self.client = self.make_client()


class RestoreTests(ExportCase):
    def test_lost_machine(self) -> None:
        """The home is deleted after blocks were handed out and exported: their answers are read
        on a new machine, where the mailbox is, too."""
        self.ask(self.client.identities.create("bob", passphrase=b"secret"))
        blocks = [*self.make(2), *self.make(identity="bob")]
        self.ask(self.client.create_mailbox())
        boxes = self.ask(self.client.mailboxes())
        known = self.ask(self.client.identities.all())
        exported = self.export()
        self.lose()
        self.assertEqual(self.ask(self.blocks.all()), [])
        self.assertEqual(self.restore(exported), Restored(("bob", "default"), 3, 6))
        self.assertEqual(self.ask(self.client.identities.all()), known)
        self.assertEqual(
            {b.address for b in self.ask(self.client.mailboxes())}, {b.address for b in boxes}
        )
        for block in blocks[:4]:
            self.assertEqual(self.read(self.answer(block)[1]), b"yes")
        _, found = self.answer(blocks[4])
        self.assertRaises(PassphraseNeeded, self.read, found)
        self.assertEqual(self.read(found, b"secret"), b"yes")

    def test_made_later(self) -> None:
        """Blocks that were made after the export are lost with the machine; a newer export has
        them."""
        self.make()
        old = self.export()
        later = self.make()[0]
        new = self.export()
        self.lose()
        self.restore(old)
        found = self.answer(later)[1]
        self.assertIsNone(self.ask(self.blocks.lookup(found.surb_id)))
        self.assertEqual(self.restore(new), Restored((), 0, 2))
        self.assertEqual(self.read(found), b"yes")

    def test_twice(self) -> None:
        """Taken over where everything is, nothing changes, also not what was used meanwhile."""
        self.make()
        exported = self.export()
        [first, _] = self.ask(self.blocks.all())
        self.ask(self.blocks.mark_used(first.surb_id))
        before = self.ask(self.blocks.all())
        self.assertEqual(self.restore(exported), Restored((), 0, 0))
        self.assertEqual(self.ask(self.blocks.all()), before)

    def test_name_taken(self) -> None:
        """A new machine's own default identity stays what it is."""
        self.make()
        old = self.ask(self.client.identities.get())
        exported = self.export()
        self.lose()
        new = self.ask(self.client.identities.get())
        self.assertEqual(self.restore(exported).identities, ("default-2",))
        self.assertEqual(self.ask(self.client.identities.get("default")), new)
        self.assertEqual(self.ask(self.client.identities.get("default-2")).public, old.public)

    def test_one(self) -> None:
        """Of one identity alone nothing of the others is in the file."""
        self.ask(self.client.identities.create("bob"))
        self.make()
        self.make(identity="bob")
        exported = self.export("bob")
        self.lose()
        self.assertEqual(self.restore(exported), Restored(("bob",), 1, 2))
        self.assertRaises(NoSuchIdentity, self.export, "alice")


class CopiesTests(ExportCase):
    """Blocks that were made after the export."""

    def setUp(self) -> None:
        super().setUp()
        self.place = self.folder / "stick"
        self.place.mkdir()
        self.copying()

    def copying(self, more: str = "") -> None:
        self.new_client(f"[ReplyBlocks]\ncopies = {self.place}\n{more}")

    def copies(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in copying.files(self.place)}

    def test_lost_machine(self) -> None:
        """The identity was exported before any block was made: with the copies all answers are
        read, also at mailboxes that were made later."""
        self.ask(self.client.identities.create("bob", passphrase=b"secret"))
        self.ask(self.client.identities.get())
        exported = self.export()
        mine, bobs = self.make()[0], self.make(identity="bob")[0]
        addresses = [each.address for each in self.ask(self.client.mailboxes())]
        self.lose()
        self.assertRaises(CopyOfAnother, self.take)
        self.restore(exported)
        self.assertRaises(PassphraseNeeded, self.take)
        self.assertEqual(self.ask(self.blocks.all()), [])
        self.assertEqual(self.take(b"secret"), Restored((), 2, 4))
        self.assertEqual(self.take(b"secret"), Restored((), 0, 0))
        self.assertEqual(
            sorted(each.address for each in self.ask(self.client.mailboxes())), sorted(addresses)
        )
        self.assertEqual(self.read(self.answer(mine)[1]), b"yes")
        self.assertEqual(self.read(self.answer(bobs)[1], b"secret"), b"yes")

    def take(self, passphrase: bytes | None = None) -> Restored:
        restored: Restored = self.ask(self.blocks.restore(self.copies(), passphrase))
        return restored

    def test_before_they_are_handed_out(self) -> None:
        """Where no copy can be written no block is handed out, and none is remembered."""
        self.place.rmdir()
        self.assertRaises(WriteFailed, self.make)
        self.assertEqual(self.ask(self.blocks.all()), [])
        self.assertFalse(self.place.exists())

    def test_sealed(self) -> None:
        """A copy is private, and says nothing of addresses."""
        self.make(address="bob@example.org")
        [path] = self.place.iterdir()
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(b"example", path.read_bytes())
        self.assertRegex(path.name, r"^2027-07-08-[0-9a-f]{16}\.mixcopy$")

    def test_old(self) -> None:
        """Copies go when the blocks in them are forgotten, too; other files stay."""
        self.copying("wait-for-answers = 3 days\n")
        self.make()
        other = self.place / "2001-01-01.txt"
        other.write_bytes(b"")
        [first] = self.copies()
        self.clock.advance(WEEK)
        self.network.sign()
        self.ask(self.client.update())
        self.make()
        self.assertEqual(len(self.copies()), 2)
        self.clock.advance(WEEK)
        self.network.sign()
        self.ask(self.client.update())
        self.make()
        self.assertEqual(len(self.copies()), 2)
        self.assertNotIn(first, self.copies())
        self.assertTrue(other.exists())

    def test_wrong(self) -> None:
        """Files that are none, or were changed, are refused, and nothing of the others is taken."""
        self.make()
        [(name, octets)] = self.copies().items()
        self.ask(self.blocks.delete([1, 2]))
        for wrong in (b"", b"Hello", octets[:50], octets[:-1], octets[:-1] + b"x"):
            work = self.blocks.restore({name: octets, "wrong": wrong})
            self.assertRaises(NotACopy, self.ask, work)
        self.assertEqual(self.ask(self.blocks.all()), [])


class WrongTests(ExportCase):
    def test_passphrase(self) -> None:
        """Another passphrase, and a file that was changed."""
        exported = self.export()
        self.assertRaises(WrongExportPassphrase, self.restore, exported, b"other")
        changed = exported[:-1] + bytes((exported[-1] ^ 1,))
        self.assertRaises(WrongExportPassphrase, self.restore, changed)

    def test_not_one(self) -> None:
        """Other files, other versions, and keys that were sealed as something else."""
        sealing = Passphrase(b"file", SystemRandom())
        for octets in (
            b"",
            b"Hello\n" * 100,
            sealing.seal(b"{}", PURPOSE),
            sealing.seal(b'{"version":2,"identities":[],"mailboxes":[],"blocks":[]}', PURPOSE),
            sealing.seal(
                b'{"version":1,"identities":[],"mailboxes":[],"blocks":[],"x":1}', PURPOSE
            ),
        ):
            self.assertRaises(NotAnExport, self.restore, octets)
        self.assertRaises(WrongExportPassphrase, self.restore, sealing.seal(b"{}", b"other"))

    def test_nothing_readable(self) -> None:
        """Nothing in the file can be read without its passphrase."""
        self.ask(self.client.identities.create("bob"))
        self.make(identity="bob", address="bob@example.org")
        exported = self.export()
        for part in (b"bob", b"example", b"default", b"identities"):
            self.assertNotIn(part, exported)

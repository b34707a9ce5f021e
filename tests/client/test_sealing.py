"""Encrypted messages on their way: what the exit sees of them, and what their recipient opens."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from mixminion import api
from mixminion.client import blocks_text, opening, sealing
from mixminion.client.addresses import parse
from mixminion.client.compose import Composed
from mixminion.client.identity_errors import PassphraseNeeded, WrongIdentityPassphrase
from mixminion.client.key_errors import EncryptedToSeveral, NoKey, NotForUs
from mixminion.client.progress import Encrypted
from mixminion.crypto import kem
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.parts import Exit
from mixminion.mail import fields
from mixminion.payload import public_key, sealed
from mixminion.payload.errors import BadKey, BadPayload
from mixminion.payload.fragments import Fragment
from mixminion.util import armor
from mixminion.util.armor import BadArmor
from tests.client.network import VirtualCase

ALICE = "alice@example.org"
BOX = "mailbox:" + "A" * 43 + "@mix5"
SEED, PUBLIC = kem.generate()
EXITS = tuple(
    Exit(name=name, module=name, max_message=2**24, policy={"fragments": 432_000})
    for name in ("smtp", "mailbox", "mbox", "news", "drop")
)


def noise(length: int) -> bytes:
    """Octets that do not deflate."""
    return SeededRandom(b"noise").octets(length)


class SealingCase(VirtualCase):
    def setUp(self) -> None:
        super().setUp()
        for mix in self.network.mixes[-2:]:
            mix.exits = EXITS
        self.network.sign()

    def send(self, address: Any, content: bytes, **options: Any) -> api.Sent:
        sent: api.Sent = self.ask(self.client.send(address, content, **options))
        return sent

    def arrived(self) -> tuple[str, tuple[str, ...], bytes]:
        """The message in the one packet that came since."""
        [packet] = self.network.arrived
        _, _, found = self.network.open(packet)
        for mix in self.network.mixes:
            mix.intake.packets.clear()
        assert not isinstance(found, Fragment)
        exit, recipients, content = found
        return exit, recipients, content

    def refused(self, error: type[Exception], address: Any, **options: Any) -> Any:
        caught = self.assertRaises(error, self.send, address, b"x", **options)
        self.assertEqual(self.network.arrived, [])
        self.assertEqual(self.ask(self.client.waiting()), [])
        return caught

    def trust(self, address: str, public: bytes = PUBLIC) -> None:
        self.ask(self.client.keys.add(public_key.encode(public), address))


class SendTests(SealingCase):
    def test_mail(self) -> None:
        """Outside stand the recipient and the same words as in every one; all else is inside."""
        self.trust(ALICE)
        text = "Gr\xfc\xdfe\n".encode()
        self.send(
            ALICE, text, subject="A secret", name="Bob", reply_to="bob@example.org", encrypt=True
        )
        exit, recipients, content = self.arrived()
        self.assertEqual((exit, recipients), ("smtp", (ALICE,)))
        header, body = fields.split(content)
        self.assertEqual(
            [(field.name, field.value) for field in header],
            [
                ("To", ALICE),
                ("Subject", "Encrypted message"),
                ("MIME-Version", "1.0"),
                ("Content-Type", "text/plain; charset=us-ascii"),
                ("Content-Transfer-Encoding", "7bit"),
            ],
        )
        self.assertNotIn(b"ecret", content)
        [octets] = opening.find(content)
        opened = sealed.open(SEED, octets)
        self.assertEqual(opened.kind, sealed.Kind.MAIL)
        header, body = fields.split(opened.content)
        inside = {field.name: field.value for field in header}
        self.assertEqual((inside["Subject"], inside["To"]), ("A secret", ALICE))
        self.assertEqual(inside["Reply-To"], "bob@example.org")
        self.assertIn("Bob", inside["From"])
        self.assertEqual(body, text.replace(b"\n", b"\r\n"))

    def test_whole(self) -> None:
        """A whole mail goes inside, with what of its header may leave."""
        self.trust(ALICE)
        mail = b"From: me@home.example\r\nSubject: x\r\nUser-Agent: y\r\n\r\nHello\r\n"
        events: list[api.Event] = []
        self.send(ALICE, mail, whole=True, encrypt=True, progress=events.append)
        [octets] = opening.find(self.arrived()[2])
        content = sealed.open(SEED, octets).content
        self.assertEqual(content, b"Subject: x\r\n\r\nHello\r\n")
        self.assertIn(api.LeftOut(("From", "User-Agent")), events)

    def test_mailbox(self) -> None:
        """To a mailbox it goes as octets, and so does what is in it."""
        self.trust(BOX)
        self.send(BOX, b"\0\xff", encrypt=True)
        exit, _, content = self.arrived()
        self.assertEqual(exit, "mailbox")
        self.assertEqual(sealed.open(SEED, content), sealed.Opened(sealed.Kind.OCTETS, b"\0\xff"))

    def test_to_a_key(self) -> None:
        """A key that is given takes no trust, and no address."""
        events: list[api.Event] = []
        for address in (ALICE, "news:alt.anonymous.messages,misc.test", "mbox:bob", "drop"):
            self.send(address, b"Hello", encrypt_to=PUBLIC, progress=events.append)
            [octets] = opening.find(self.arrived()[2])
            self.assertIn(b"Hello", sealed.open(SEED, octets).content)
        [told, *_] = [event for event in events if isinstance(event, Encrypted)]
        self.assertEqual((told.address, told.verified, told.changed), (None, False, False))
        self.refused(BadKey, ALICE, encrypt_to=PUBLIC[:-32] + bytes(32))
        self.refused(BadKey, ALICE, encrypt_to=PUBLIC[:-1])

    def test_told(self) -> None:
        """To which key, and whether another one came for the address, which is not taken."""
        self.trust(ALICE)
        self.assertRaises(api.MixminionError, self.trust, ALICE, kem.generate()[1])
        events: list[api.Event] = []
        self.send(ALICE, b"Hello", encrypt=True, progress=events.append)
        key = self.ask(self.client.keys.get(ALICE))
        self.assertEqual(events[0], Encrypted(ALICE, key.fingerprint, verified=False, changed=True))
        [octets] = opening.find(self.arrived()[2])
        sealed.open(SEED, octets)

    def test_refused(self) -> None:
        """Without a key, and to several, nothing leaves: neither packet nor question."""
        error = self.refused(NoKey, ALICE, encrypt=True)
        self.assertEqual(error.fields["address"], ALICE)
        self.trust(ALICE)
        self.refused(EncryptedToSeveral, [ALICE, "bob@example.org"], encrypt=True)
        self.refused(EncryptedToSeveral, ALICE, bcc=["bob@example.org"], encrypt=True)
        self.refused(EncryptedToSeveral, [ALICE, "bob@example.org"], encrypt_to=PUBLIC)
        self.assertEqual(self.network.shelf.asked, 0)


class LengthTests(SealingCase):
    """What whoever sees an encrypted message sees of its length."""

    def content(self, address: str, content: bytes, **options: Any) -> bytes:
        self.send(address, content, encrypt_to=PUBLIC, **options)
        return self.arrived()[2]

    def longest(self, address: str, step: int = 1) -> int:
        """The longest text that goes in one packet, by what would be sent."""
        view = self.ask(self.client.view())
        low, high = 0, 40_000
        one = len(sealing.seal(view, parse(address), Composed((b"",)), PUBLIC).content)
        while high - low > 1:
            middle = (low + high) // 2
            made = sealing.seal(view, parse(address), Composed((noise(middle),)), PUBLIC)
            low, high = (middle, high) if len(made.content) == one else (low, middle)
        return low

    def test_one_packet(self) -> None:
        """All that fits one packet has one length, to the octet, and what is longer takes more."""
        for address, room in ((ALICE, 23_138), (BOX, 25_538)):
            most = self.longest(address)
            self.assertEqual(most, room)
            lengths = set()
            for length in (0, 1, 100, 10_000, most - 1500):
                for text in (noise(length), b"line\n" * length):
                    if address == ALICE:
                        text = text.hex().encode()
                    lengths.add(len(self.content(address, text[:length])))
            if address == BOX:
                lengths.add(len(self.content(BOX, noise(most))))
            self.assertEqual(len(lengths), 1, lengths)
        subjects = (None, "", "A long subject, which is inside, whatever it has in it")
        lengths = {len(self.content(ALICE, b"x", subject=subject)) for subject in subjects}
        self.assertEqual(len(lengths), 1)

    def test_more(self) -> None:
        """Longer ones have the few lengths that are specified, and need just those packets."""
        view = self.ask(self.client.view())
        for address in (ALICE, BOX):
            to = parse(address)
            seen = []
            for length in range(0, 700_000, 29_000):
                made = sealing.seal(view, to, Composed((noise(length),)), PUBLIC)
                seen.append(len(made.content))
                [octets] = opening.find(made.content)
                self.assertEqual(sealed.open(SEED, octets).content, noise(length))
            self.assertEqual(seen, sorted(seen))
            self.assertLessEqual(len(set(seen)), 18)
        events: list[api.Event] = []
        for address, step in ((ALICE, 3), (BOX, 3), (BOX, 10)):
            if address == BOX:
                text = noise((step - 1) * 26_700)
            else:
                text = b64encode(noise((step - 1) * 24_600))
            self.send(address, text, encrypt_to=PUBLIC, progress=events.append)
        needed = [event.needed for event in events if isinstance(event, api.InFragments)]
        self.assertEqual(needed, [3, 3, 10])

    def test_copies(self) -> None:
        """What is sent in copies takes one piece, not two."""
        events: list[api.Event] = []
        for address in (ALICE, BOX):
            self.send(address, b"x", encrypt_to=PUBLIC, copies=2, progress=events.append)
        needed = [event.needed for event in events if isinstance(event, api.InFragments)]
        self.assertEqual(needed, [1, 1])

    def test_always_one_packet(self) -> None:
        """Random octets in armor deflate into the packet every time."""
        for _ in range(40):
            self.content(ALICE, b"x")


class OpenTests(SealingCase):
    """What is encrypted to an identity, whichever of several."""

    def identity(self, name: str, passphrase: bytes | None = None) -> api.Identity:
        made: api.Identity = self.ask(self.client.identities.create(name, passphrase=passphrase))
        return made

    def open(self, octets: bytes, **options: Any) -> opening.OpenedMessage:
        found: opening.OpenedMessage = self.ask(
            opening.open(self.client.identities, octets, **options)
        )
        return found

    def sealed(self, identity: api.Identity, content: bytes = b"text") -> bytes:
        return sealed.seal(identity.public, content, [2000])

    def test_identities(self) -> None:
        """The one that it is for is found, or taken where it is named."""
        self.assertRaises(NotForUs, self.open, sealed.seal(PUBLIC, b"", [2000]))
        one, two = self.identity("one"), self.identity("two")
        for each in (one, two):
            found = self.open(self.sealed(each))
            self.assertEqual(found, opening.OpenedMessage(each, False, b"text"))
        self.assertEqual(self.open(self.sealed(two), identity="two").identity, two)
        self.assertRaises(NotForUs, self.open, self.sealed(two), identity="one")
        mail = sealed.seal(one.public, b"\r\ntext", [2000], sealed.Kind.MAIL)
        self.assertTrue(self.open(mail).mail)

    def test_protected(self) -> None:
        """A passphrase is asked for only when no open identity is the right one."""
        locked, free = self.identity("locked", b"secret"), self.identity("free")
        other = self.identity("other", b"another")
        self.assertEqual(self.open(self.sealed(free)).identity, free)
        self.assertRaises(PassphraseNeeded, self.open, self.sealed(locked))
        for each, word in ((locked, b"secret"), (other, b"another")):
            self.assertEqual(self.open(self.sealed(each), passphrase=word).identity, each)
            self.assertRaises(
                WrongIdentityPassphrase, self.open, self.sealed(each), passphrase=b"wrong"
            )
        self.assertRaises(
            WrongIdentityPassphrase,
            self.open,
            self.sealed(locked),
            identity="locked",
            passphrase=b"another",
        )

    def test_changed(self) -> None:
        """Damaged, cut off, of another version, or larger than is wanted."""
        one = self.identity("one")
        octets = self.sealed(one, b"text" * 40)
        self.assertRaises(NotForUs, self.open, octets[:-1])
        self.assertRaises(NotForUs, self.open, octets[:900] + b"x" + octets[901:])
        self.assertRaises(NotForUs, self.open, octets + b"x")
        self.assertRaises(BadPayload, self.open, octets[:7] + b"\2" + octets[8:])
        self.assertRaises(BadPayload, self.open, octets, limit=159)
        self.assertEqual(self.open(octets, limit=160).content, b"text" * 40)

    def test_reply_blocks(self) -> None:
        """They are inside, seen by nobody on the way, and who decodes the message finds them."""
        own = self.ask(self.client.identities.get(None))
        for address in (ALICE, BOX):
            self.send(address, b"Answer me\n", encrypt_to=own.public, reply_blocks=1)
            content = self.arrived()[2]
            self.assertEqual(blocks_text.find(content), [])
            [found] = self.ask(self.client.inbox.decode(content))
            self.assertIs(found.kind, api.Kind.ENCRYPTED)
            self.assertEqual((found.identity, len(found.blocks)), ("default", 2))
            self.assertIn(b"Answer me", found.content)

    def test_find(self) -> None:
        """In octets, in texts with others round it, quoted, in parts of a mail whose encoding
        changed on the way; nothing; and damaged ones."""
        view = self.ask(self.client.view())
        made = sealing.seal(view, parse(ALICE), Composed((b"hello",)), PUBLIC)
        body = made.parts[1]
        [octets] = opening.find(made.content)
        self.assertEqual(sealed.open(SEED, octets).content, b"hello")
        self.assertEqual(opening.find(octets), [octets])
        quoted = b"".join(b"> " + line + b"\n" for line in body.splitlines())
        for text in (
            body.replace(b"\r\n", b"\n"),
            b"Hello\n\n" + body + b"\nbye\n" + body,
            quoted,
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
            + body
            + b"\r\n--b\r\n\r\nA footer\r\n--b--\r\n",
        ):
            self.assertEqual(opening.find(text), [octets])
        simple = sealed.seal(PUBLIC, b"x", [1200])
        armored = armor.encode(sealed.ARMOR, {}, simple).encode().replace(b"=", b"=3D")
        mail = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        self.assertEqual(opening.find(mail + armored), [simple])
        self.assertEqual(opening.find(b"no message\n"), [])
        self.assertRaises(BadArmor, opening.find, body[:2000])
        self.assertRaises(BadArmor, opening.find, body[:300] + b"!" + body[301:])

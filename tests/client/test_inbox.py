"""What comes back is opened: from mailboxes and from mails, whole and in parts."""

from __future__ import annotations

from collections.abc import Sequence

from mixminion import api
from mixminion.client.identity_errors import PassphraseNeeded, WrongIdentityPassphrase
from mixminion.client.key_errors import NotForUs
from mixminion.client.reply_errors import (
    DamagedReply,
    NoSuchReply,
    OfAnotherIdentity,
    PartsLacking,
    TooMuch,
    Undecodable,
    UnknownBlock,
)
from mixminion.client.reply_parts import EXPIRY
from mixminion.crypto import rng
from mixminion.exits.mbox_forms import compose_for
from mixminion.exits.mbox_users import MIME, TEXT
from mixminion.interfaces import Message
from mixminion.mail.policy import Policy
from mixminion.payload import fragments, reply
from mixminion.payload import sealed as payload_sealed
from mixminion.payload.fragments import Coding, Whole
from mixminion.payload.frame import Frame
from mixminion.payload.frame import Kind as FrameKind
from mixminion.sphinx import crossover, payload
from mixminion.sphinx.surb import Surb
from mixminion.util import armor
from tests.client.conversations import ConversationCase

RANDOM = rng.SeededRandom(b"inbox")
TEXT_OF_100_KB = RANDOM.octets(50_000).hex().encode()


class ConversationTests(ConversationCase):
    def test_ten_messages(self) -> None:
        """Alice writes to Bob's mailbox; each answers by a reply block in what the other wrote,
        and puts one of his own into it."""
        box = self.do(self.bob.create_mailbox())
        self.do(self.alice.send(box.address, b"message 1", reply_blocks=1))
        self.network.clock.advance(60)
        for number in range(2, 11):
            writer = self.alice if number % 2 else self.bob
            [opened] = self.read(writer)
            self.assertEqual(opened.content.partition(b"\n")[0], b"message %d" % (number - 1))
            self.assertEqual(opened.kind, api.Kind.MESSAGE if number == 2 else api.Kind.REPLY)
            self.assertEqual(len(opened.blocks), 2)
            self.do(writer.reply(opened.content, b"message %d" % number, reply_blocks=1))
            self.network.clock.advance(60)
        [opened] = self.read(self.alice)
        self.assertTrue(opened.content.startswith(b"message 10"))
        self.assertEqual(opened.identity, "default")

    def test_large(self) -> None:
        """An answer of 100 kB that does not shrink, over several blocks."""
        content = RANDOM.octets(100_000)
        sent = self.answer(self.bob, self.blocks(self.alice, 9), content)
        self.assertEqual(sent.packets, fragments.enough(5))
        self.fetch(self.alice, 16)
        for _ in range(2):  # until it is marked as read
            opened = self.unread(self.alice)
            [whole] = [each for each in opened if each.kind is api.Kind.REPLY]
            self.assertEqual((whole.content, len(opened)), (content, sent.packets))
        self.assertEqual({each.kind for each in opened}, {api.Kind.REPLY, api.Kind.AGAIN})
        self.do(self.alice.inbox.mark_read(opened))
        self.assertEqual(self.read(self.alice), [])
        self.assertEqual(self.do(self.alice.inbox.fragments()), [])

    def test_read_once(self) -> None:
        """A block whose answer was read is used; before that it is not."""
        self.answer(self.bob, self.blocks(self.alice), b"an answer")
        self.fetch(self.alice)
        [opened] = self.unread(self.alice)
        self.assertEqual((opened.content, opened.readable), (b"an answer", True))
        self.assertEqual([each.used for each in self.do_all_blocks()], [None, None])
        self.do(self.alice.inbox.mark_read([opened]))
        self.assertEqual(self.unread(self.alice), [])
        self.assertEqual([each.used is None for each in self.do_all_blocks()], [False, True])

    def do_all_blocks(self) -> list[api.ReplyBlock]:
        async def all() -> list[api.ReplyBlock]:
            return await self.alice.reply_blocks.all()

        return self.do(all())

    def test_killed(self) -> None:
        """Nothing is lost when the client dies after a visit, or after something was shown."""
        self.answer(self.bob, self.blocks(self.alice), b"an answer")
        self.fetch(self.alice)
        for _ in range(2):
            self.do(self.alice.close())
            self.alice = self.network.client("alice")
            [opened] = self.unread(self.alice)
            self.assertEqual(opened.content, b"an answer")


class OpeningCase(ConversationCase):
    """Alice has got an answer, sealed; Bob is not needed any more."""

    def arrive(self, content: bytes = b"an answer", identity: str | None = None) -> api.Fetched:
        self.answer(self.bob, self.blocks(self.alice, identity=identity), content)
        self.fetch(self.alice)
        *_, raw = self.raw(self.alice)
        return raw

    def decode(self, octets: bytes, **options: object) -> list[api.Opened]:
        return self.do(self.alice.inbox.decode(octets, **options))  # type: ignore[arg-type]

    def closed(self, octets: bytes, error: type[Exception], **options: object) -> None:
        [opened] = self.decode(octets, **options)
        self.assertEqual((opened.kind, opened.content), (api.Kind.CLOSED, b""))
        self.assertIsInstance(opened.error, error)


class OpeningTests(OpeningCase):
    def test_handle(self) -> None:
        """A sealed payload from a file opens by its handle, and by no other."""
        raw = self.arrive()
        [opened] = self.decode(raw.content, handle=raw.handle)
        self.assertEqual((opened.content, opened.handle), (b"an answer", raw.handle))
        self.closed(raw.content, UnknownBlock, handle=bytes(16))

    def test_damaged(self) -> None:
        """A changed octet, or one more or less."""
        raw = self.arrive()
        changed = bytes((raw.content[0] ^ 1,)) + raw.content[1:]
        for octets in (changed, raw.content[:-1], raw.content + b"x", b""):
            self.closed(octets, DamagedReply, handle=raw.handle)

    def test_identities(self) -> None:
        """An answer is opened by the identity that it is for."""
        self.do(self.alice.identities.create("work"))
        self.do(self.alice.identities.create("other"))
        raw = self.arrive(identity="work")
        [opened] = self.decode(raw.content, handle=raw.handle)
        self.assertEqual(opened.identity, "work")
        [opened] = self.decode(raw.content, handle=raw.handle, identity="work")
        self.assertEqual(opened.content, b"an answer")
        self.closed(raw.content, OfAnotherIdentity, handle=raw.handle, identity="other")

    def test_passphrase(self) -> None:
        """Reading takes the passphrase, if there is one; without it nothing is lost."""
        self.do(self.alice.identities.create("safe", passphrase=b"secret"))
        raw = self.arrive(identity="safe")
        self.closed(raw.content, PassphraseNeeded, handle=raw.handle)
        self.closed(raw.content, WrongIdentityPassphrase, handle=raw.handle, passphrase=b"guess")
        [opened] = self.read(self.alice)
        self.assertIsInstance(opened.error, PassphraseNeeded)
        [opened] = self.read(self.alice, passphrase=b"secret")
        self.assertEqual(opened.content, b"an answer")
        self.assertEqual(self.read(self.alice), [])

    def test_bomb(self) -> None:
        """Nothing is made that is larger than the limit, by one octet."""
        text = TEXT_OF_100_KB[:30_000]
        raw = self.arrive(text)
        self.closed(raw.content, TooMuch, handle=raw.handle, max_size=29_999)
        [opened] = self.decode(raw.content, handle=raw.handle, max_size=30_000)
        self.assertEqual(opened.content, text)

    def test_again(self) -> None:
        """A second copy is known for one: in the same file, and after the first was read."""
        raw = self.arrive()
        first = self.decode(mbox([raw, raw]))
        kinds = [api.Kind.REPLY, api.Kind.AGAIN]
        self.assertEqual([each.kind for each in first], kinds)
        self.assertEqual([each.content for each in first], [b"an answer", b""])
        self.do(self.alice.inbox.mark_read(first))
        [opened] = self.decode(raw.content, handle=raw.handle)
        self.assertEqual((opened.kind, opened.content), (api.Kind.AGAIN, b""))
        [opened] = self.decode(raw.content, handle=raw.handle, again=True)
        self.assertEqual((opened.kind, opened.content), (api.Kind.REPLY, b"an answer"))

    def test_encrypted(self) -> None:
        """Messages that were encrypted to one of our keys, from a mailbox and armored; replies that
        are encrypted besides are replies."""
        me = self.do(self.alice.identities.get(None))
        sealed = payload_sealed.seal(me.public, b"secret", [4000])
        text = b"look:\n" + armor.encode(payload_sealed.ARMOR, {}, sealed).encode()
        for octets in (sealed, text):
            [opened] = self.decode(octets)
            self.assertEqual((opened.kind, opened.content), (api.Kind.ENCRYPTED, b"secret"))
            self.assertEqual(opened.identity, "default")
        self.closed(sealed, TooMuch, max_size=3999)
        self.closed(sealed[:-1] + b"x", NotForUs)
        raw = self.arrive(sealed)
        [opened] = self.decode(raw.content, handle=raw.handle)
        self.assertEqual((opened.kind, opened.content), (api.Kind.REPLY, b"secret"))
        [opened] = self.decode(text[:-100])
        self.assertEqual(opened.kind, api.Kind.MESSAGE)


def mail(raw: api.Fetched, form: str) -> bytes:
    """A mail as the exit to local users makes it."""
    message = Message("mbox", ("alice",), raw.content, raw.handle, "<1@example>", 1_800_000_000)
    made = compose_for(
        message, form, sender="Exit <x@example>", recipient="alice@example", policy=Policy()
    )
    return made.octets()


def mbox(raws: Sequence[api.Fetched]) -> bytes:
    """A folder of mails in both forms."""
    forms = (TEXT, MIME)
    mails = [mail(raw, forms[n % 2]) for n, raw in enumerate(raws)]
    return b"\n".join(
        b"From x@example Thu Jan  1 00:00:00 2026\n" + each.replace(b"\r\n", b"\n")
        for each in mails
    )


class MailTests(OpeningCase):
    """Replies as exits to mail deliver them."""

    def test_forms(self) -> None:
        """Armored, and as an attachment; with the ends of lines that a system has."""
        raw = self.arrive()
        for form in (TEXT, MIME):
            for octets in (mail(raw, form), mail(raw, form).replace(b"\r\n", b"\n")):
                [opened] = self.decode(octets)
                self.assertEqual((opened.kind, opened.content), (api.Kind.REPLY, b"an answer"))
                self.assertEqual((opened.date, opened.handle), (1_800_000_000, raw.handle))

    def test_saved_by_hand(self) -> None:
        """The armored text alone, and with more fields and text around it."""
        raw = self.arrive()
        whole = mail(raw, TEXT)
        armored = whole[whole.index(b"-----BEGIN") :]
        for octets in (armored, b"see below\r\n\r\n" + armored + b"\r\n-- \r\nadvertisement\r\n"):
            [opened] = self.decode(octets)
            self.assertEqual(opened.content, b"an answer")

    def test_folder(self) -> None:
        """A folder of mails; one that is damaged keeps nobody from the others."""
        raw = self.arrive()
        self.answer(self.bob, self.blocks(self.alice), b"another")
        self.fetch(self.alice)
        other = self.raw(self.alice)[-1]
        octets = mbox([raw, other])
        [first, second] = self.decode(octets)
        self.assertEqual((first.content, second.content), (b"an answer", b"another"))
        at = octets.index(b"SURB-ID: ") + 9
        damaged = octets[:at] + b"0123" + octets[at + 32 :]
        [first, second] = self.decode(damaged)
        self.assertIsInstance(first.error, Undecodable)
        self.assertEqual(second.content, b"another")
        [first] = self.decode(octets[: octets.index(b"-----END")])
        self.assertIsInstance(first.error, Undecodable)

    def test_messages(self) -> None:
        """Messages, armored by an exit or as they are, are shown as they were sent; their reply
        blocks are counted."""
        text = b"Subject: Hi\r\n\r\nHello\r\n"
        raw = api.Fetched(1, None, 0, text)
        [opened] = self.decode(mail(raw, TEXT))
        self.assertEqual((opened.kind, opened.content), (api.Kind.MESSAGE, text))
        [opened] = self.decode(mail(raw, MIME))
        self.assertEqual(opened.kind, api.Kind.MESSAGE)
        self.assertIn(b"Hello", opened.content)
        [opened] = self.decode(text)
        self.assertEqual((opened.content, opened.blocks), (text, ()))
        self.assertEqual(self.decode(b"")[0].content, b"")


def _named(identity: str) -> str | None:
    """The default identity is made when nobody names one."""
    return None if identity == "default" else identity


class PartsCase(OpeningCase):
    """Parts of a reply as they arrive, sealed by hand."""

    def setUp(self) -> None:
        super().setUp()
        self.content = RANDOM.octets(50_000)
        self.geometry = self.network.geometry

    def parts(self, content: bytes | None = None, name: bytes = b"n" * 16) -> list[Frame]:
        """A reply's fragments, with two for repair."""
        octets = self.content if content is None else content
        whole = Whole(name, Coding.PLAIN, len(octets), reply.piece_length(self.geometry))
        numbers = range(whole.data(0) + 2)
        made = fragments.pieces(whole, 0, octets, numbers)
        return [Frame(FrameKind.FRAGMENT, each.encode()) for each in made]

    def sealed(self, inside: Frame, identity: str = "default") -> tuple[bytes, bytes]:
        """What arrives: handle and payload."""
        [octets] = self.blocks(self.alice, identity=_named(identity))
        block = Surb.decode(self.geometry, octets)

        async def key() -> tuple[bytes, tuple[bytes, ...]]:
            known = await self.alice.reply_blocks.recognise(octets)
            assert known is not None
            unlocked = await self.alice.identities.unlock(
                await self.alice.identities.get(_named(identity)), None
            )
            found = await self.alice.reply_blocks.key(known.surb_id, unlocked)
            assert found is not None
            return known.surb_id, found.hops

        handle, hops = self.do(key())
        body = reply.seal(self.geometry, block, inside, RANDOM)
        crossed = crossover.cross(self.geometry, body)
        assert crossed is not None
        arrived = crossed[1][self.geometry.header :]
        for secret in hops:
            arrived = payload.decrypt(self.geometry.suite, secret, arrived)
        return handle, arrived

    def take(self, inside: Frame, identity: str = "default") -> api.Opened:
        handle, octets = self.sealed(inside, identity)
        [opened] = self.decode(octets, handle=handle)
        return opened


class PartsTests(PartsCase):
    def test_any_order(self) -> None:
        """Any of the parts in any order, some twice, over restarts."""
        a, b, c, d, e = self.parts()
        for have, part in ((1, e), (2, a), (2, e)):
            opened = self.take(part)
            self.assertEqual((opened.kind, opened.have), (api.Kind.PART, have))
            self.assertEqual(opened.lacking, 3 - have)
            self.do(self.alice.inbox.mark_read([opened]))
            self.do(self.alice.close())
            self.network.clock.advance(60)
            self.alice = self.network.client("alice")
        handle, octets = self.sealed(c)
        for _ in range(2):  # not marked as read, and so once more
            [opened] = self.decode(octets, handle=handle)
            self.assertEqual((opened.kind, opened.content), (api.Kind.REPLY, self.content))
        self.do(self.alice.inbox.mark_read([opened]))
        self.assertEqual(self.do(self.alice.inbox.fragments()), [])
        for part in (b, d):  # what comes later is not needed
            self.assertEqual(self.take(part).kind, api.Kind.AGAIN)
        self.assertEqual(self.do(self.alice.inbox.fragments()), [])

    def test_identities(self) -> None:
        """Parts that came to different identities are never joined."""
        self.do(self.alice.identities.create("work"))
        a, b, c, *_ = self.parts()
        for part, identity in ((a, "default"), (b, "work"), (c, "default")):
            self.assertEqual(self.take(part, identity).kind, api.Kind.PART)
        listed = self.do(self.alice.inbox.fragments())
        self.assertEqual(
            [(each.identity, each.have, each.lacking) for each in listed],
            [("default", 2, 1), ("work", 1, 2)],
        )
        self.assertEqual(self.take(b, "default").content, self.content)

    def test_other_wholes(self) -> None:
        """Nor are parts whose fragments say different things."""
        first = self.parts()
        self.take(first[0])
        self.take(first[1])
        for other in (self.parts(name=b"m" * 16), self.parts(self.content + b"x")):
            self.assertEqual(self.take(other[2]).kind, api.Kind.PART)
        self.assertEqual(self.take(first[2]).content, self.content)

    def test_sealed_at_rest(self) -> None:
        """What waits can be read by nobody without the identity's key."""
        self.take(self.parts()[0])
        state = (self.network.folder / "alice").rglob("client.sqlite*")
        held = b"".join(path.read_bytes() for path in state)
        self.assertNotIn(self.content[:64], held)

    def test_assemble(self) -> None:
        """By hand: not before it is complete, not beyond the limit, once."""
        inbox = self.alice.inbox
        opened = [self.take(part) for part in self.parts()[:2]]
        [listed] = self.do(inbox.fragments())
        self.assertFalse(listed.complete)
        error = self.fails(inbox.assemble(listed.number), PartsLacking)
        self.assertEqual(error.fields["lacking"], 1)
        handle, octets = self.sealed(self.parts()[3])
        self.closed(octets, TooMuch, handle=handle, max_size=49_999)
        self.do(inbox.mark_read(opened))
        [listed] = self.do(inbox.fragments())
        self.assertTrue(listed.complete)
        self.fails(inbox.assemble(listed.number, max_size=49_999), TooMuch)
        whole = self.do(inbox.assemble(listed.number))
        self.assertEqual((whole.content, whole.identity), (self.content, "default"))
        self.do(inbox.mark_read([whole]))
        self.fails(inbox.assemble(listed.number), NoSuchReply)

    def fails(self, work: object, error: type[api.MixminionError]) -> api.MixminionError:
        return self.assertRaises(error, self.do, work)  # type: ignore[no-any-return]

    def test_purge(self) -> None:
        """By number, and after a time."""
        inbox = self.alice.inbox
        self.take(self.parts()[0])
        [listed] = self.do(inbox.fragments())
        self.assertEqual(self.do(inbox.purge([listed.number])), 1)
        self.take(self.parts()[0])
        self.network.stop()  # months of mixing take their time
        self.network.clock.advance(EXPIRY - 7200)
        self.assertEqual(self.do(inbox.purge()), 0)
        self.network.clock.advance(7200 + 3600)
        self.assertEqual(self.do(inbox.purge()), 1)
        self.assertEqual(self.do(inbox.fragments()), [])

    def test_passphrase(self) -> None:
        """Putting together takes the passphrase."""
        self.do(self.alice.identities.create("other"))
        for part in self.parts()[:3]:
            opened = self.take(part, "other")
        self.assertEqual(opened.content, self.content)
        self.do(self.alice.identities.change_passphrase("other", None, b"secret"))
        [listed] = self.do(self.alice.inbox.fragments())
        self.fails(self.alice.inbox.assemble(listed.number), PassphraseNeeded)
        whole = self.do(self.alice.inbox.assemble(listed.number, passphrase=b"secret"))
        self.assertEqual(whole.content, self.content)

    def test_broken(self) -> None:
        """A part that is none is closed."""
        handle, octets = self.sealed(Frame(FrameKind.FRAGMENT, b"x" * 100))
        self.closed(octets, Undecodable, handle=handle)

"""What people and other programs write: mails, addresses, armor, paths."""

from __future__ import annotations

import contextlib
import re

from mixminion.client import addresses, blocks_text, compose
from mixminion.client.errors import BadAddress as BadClientAddress
from mixminion.client.errors import BadSubject, NoHeader, NotText
from mixminion.counters import Counters
from mixminion.crypto.rng import SeededRandom
from mixminion.dirhttp.errors import BadSource
from mixminion.dirhttp.sources import Source
from mixminion.exits.delivery import Delivery
from mixminion.exits.section import ExitSection
from mixminion.interfaces import Accepted
from mixminion.mail import address, data, footer, lists, mime, transfer
from mixminion.mail import compose as mail_compose
from mixminion.mail import fields as mail_fields
from mixminion.mail.errors import BadAddress, MailError
from mixminion.mail.policy import Policy
from mixminion.paths import language
from mixminion.paths.errors import BadPath
from mixminion.payload import capability, deflate, frame, message
from mixminion.payload.errors import BadCapability
from mixminion.sphinx import suites
from mixminion.sphinx.errors import BadSurb
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.surb import Surb
from mixminion.testing.clock import HeapClock
from mixminion.util import armor, times
from mixminion.util.hostport import HostPort
from tests.exits import kit
from tests.fuzz import mutators
from tests.fuzz.driver import Subject, Target

_MAILS = [
    b"To: bob@example.org\r\nSubject: hello\r\n\r\nSome words.\r\n.\r\nMore.\r\n",
    b"\r\nonly a body\r\n",
    b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
    b"X-Mailer: x\nSubject: =?utf-8?q?=C3=A9?=\n folded\n\n\xc3\xa9\n",
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nx\r\n--b--\r\n",
    b"Subject: long\r\n\r\n" + b"x" * 1200 + b"\r\n",
    b"Content-Transfer-Encoding: base64\r\nContent-ID: <a@b>\r\n\r\nAAAA\r\n",
    b"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.net>\nReply-To: a@b.example\nCc: c@d.example\n"
    b"References: <a@b><c@d>\nIn-Reply-To: <c@d>\nNewsgroups: a.b, c.d\nFollowup-To: a.b\n\nx\n",
    b'Content-Type: multipart/mixed; boundary="a b"\n\n'
    b"--a b\nContent-Type: multipart/signed;\n boundary=c\n\n"
    b"--c\n\nx\n--c\nContent-Type: application/pgp-signature\n\ny\n--c--\n"
    b"--a b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n"
    b"Subject: x\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A4=\n\xc3\xa4\n"
    b'--a b\nContent-Disposition: attachment;\n filename="\xc3\xa4"\n'
    b"Content-Transfer-Encoding: binary\n\n\xff\n--a b--\nend\n",
]
_FOOTER = "This came through a remailer."
_MAIL_WORDS = (
    b"To: ", b"Subject: ", b"Bcc: eve@example.org\r\n", b"Content-Type: ", b"multipart/", b"\0",
    b"From: ", b"content-transfer-encoding: 8bit\r\n", b"\r\n\r\n", b"\r\n.\r\n", b"\r\n ", b"=?",
    b"\xff\xfe", b"\xe2\x80\xa8", b":", b"Received:", b"MIME-Version: 1.0\r\n", b"\r\r\n", b"\x85",
)  # fmt: skip
_MIME_WORDS = (
    b"boundary=", b"--a b", b"--a b--", b"--c\r\n", b"message/rfc822", b"signed", b";", b'"', b"*=",
    b"=\r\n", b"quoted-printable", b"base64", b"binary", b"multipart/mixed; boundary=c\r\n\r\n",
)  # fmt: skip
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_MAY_LEAVE = {name.lower() for name in lists.ORDER} - {"comments", "list-unsubscribe"}


def _check_mail(mail: mail_compose.Mail) -> None:
    """What no mail that leaves may have."""
    octets = mail.octets()
    assert _BARE.search(octets) is None
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    names = [field.name.lower() for field in mail.fields]
    assert len(set(names)) == len(names) and {"from", "date", "message-id", "to"} <= set(names)
    assert _MAY_LEAVE.issuperset(names)
    again, body = mail_fields.split(octets)
    assert [field.name for field in again] == [field.name for field in mail.fields]
    assert body == mail.body
    encoded = data.encode(octets)
    assert b"\r\n.\r\n" not in encoded and data.decode(encoded) == octets


def _outgoing(policy: Policy = mail_compose.STRICT) -> Subject:
    def run(octets: bytes) -> object:
        mail = mail_compose.outgoing(
            octets,
            sender="Anonymous <anonymous@mix.example>",
            recipients=["bob@example.org", "eve@example.org"][: 1 + len(octets) % 2],
            message_id="<x@mix.example>",
            date=0,
            policy=policy,
        )
        _check_mail(mail)
        if mail.eight_bit:
            seven = mail.seven_bit()
            _check_mail(seven)
            assert seven.octets().isascii()
        return mail.eight_bit, len(mail.fields)

    return Subject(run, _MAILS)


def _outgoing_by_policy() -> Subject:
    """The same with all that an operator can allow and add."""
    return _outgoing(Policy(True, True, "nobody@mix.example", "Grüße", _FOOTER))


def _parts() -> Subject:
    """The walk over MIME parts, and what is done by it: nothing outside a changed part differs,
    and a second time nothing is left to do."""

    def run(octets: bytes) -> object:
        header, body = mail_fields.split(octets)
        root = mime.walk(header, body)
        _check_spans(root)
        sealed = [body[p.head : p.stop] for p in root.all() if p.closed]
        fitted, seven = transfer.fit(header, body, seven_bit=True)
        assert seven.isascii() and not transfer.must_encode(seven)
        assert all(octets in seven for octets in sealed)
        assert transfer.fit(fitted, seven, seven_bit=True) == (fitted, seven)
        shape = [p.content_type for p in root.all()]
        again = [p.content_type for p in mime.walk(fitted, seven).all()]
        assert shape == again
        below, written = footer.add(header, body, _FOOTER, "=_x")
        assert body in written or transfer.value(header, "content-transfer-encoding") == "base64"
        assert _FOOTER.encode() in written or b"\r\n--=_x" not in written
        return len(shape), len(sealed), len(below)

    return Subject(run, [mail for mail in _MAILS if b"=?" not in mail])


def _check_spans(part: mime.Part) -> None:
    at = part.start
    for child in part.children:
        assert at <= child.head <= child.head_end <= child.start <= child.stop <= part.stop
        _check_spans(child)
        at = child.stop
    assert not (part.closed and part.children)


def _reply() -> Subject:
    def run(octets: bytes) -> object:
        mail = mail_compose.reply(
            octets,
            bytes(16),
            sender="anonymous@mix.example",
            recipient="bob@example.org",
            message_id="<x@mix.example>",
            date=0,
        )
        _check_mail(mail)
        [block] = armor.decode(mail.body.decode("ascii"))
        assert block.octets == octets and block.headers == {"SURB-ID": bytes(16).hex()}
        return len(octets) % 3

    return Subject(run, [bytes(100), b"", b"-----BEGIN MIXMINION REPLY-----\n"])


def _data() -> Subject:
    def run(octets: bytes) -> object:
        encoded = data.encode(octets)
        assert _BARE.search(encoded.replace(b"\0", b"")) is None
        assert not f"\r\n{encoded.decode('latin-1')}".count("\r\n.\r\n")
        assert data.decode(encoded) == data.canonical(octets)
        return encoded.endswith(b"\r\n")

    return Subject(run, [*_MAILS, b".", b".\r\n.", b"..\r\n", b"\r\n.\r\n.\r\n"])


def _accepting() -> Subject:
    """A delivered body at its exit, through the frame, the message and the exit's checks."""
    section = "[Exit smtp]\nmodule = smtp\ndomain = mix.example\nrelay = 127.0.0.1:25\n"
    made = {
        name: kit.MODULES[each.module].make(name, each, kit.Environment(HeapClock()))
        for name, each in kit.config(section).named(ExitSection).items()
    }
    exits = {**made, "test": kit.ScriptedExit()}
    delivery = Delivery(
        exits, kit.MemoryStore(), HeapClock(), SeededRandom(b"exits"), Counters(), "mix.example"
    )
    random = SeededRandom(b"bodies")
    corpus = [
        frame.encode(frame.Kind.MESSAGE, message.encode(exit, names, content), 700, random)
        for content in (*_MAILS[:3], *_MAILS[5:])
        for exit, names in (("smtp", ["bob@example.org"]), ("test", ["a", "b"]))
    ]
    inside = message.encode("test", [], b"line after line\r\n" * 20)
    corpus += [
        frame.encode(kind, content, 700, random)
        for kind, content in (
            (frame.Kind.DEFLATED, b"".join(deflate.deflate([inside], len(inside)))),
            (frame.Kind.FRAGMENT, bytes(16) + b"\1\0\0\4\0\0\0\3" + bytes(300)),
        )
    ]

    def run(octets: bytes) -> object:
        accepted = delivery.accept(octets, 1e9)
        if isinstance(accepted, Accepted):
            return accepted.destination
        assert re.fullmatch(r"[a-z0-9-]{1,40}", accepted), accepted
        return accepted

    return Subject(run, corpus)


def _capabilities() -> Subject:
    corpus = [capability.to_text(bytes((n,)) * 32).encode() for n in (0, 7, 255)]

    def run(octets: bytes) -> object:
        text = octets.decode("latin-1")
        assert capability.to_text(capability.parse(text)) == text
        return True

    return Subject(run, corpus)


def _mail_addresses() -> Subject:
    corpus = [b"bob@example.org", b"a.b+c=d@x-1.example.co", b"-x@y.z", b"a@1.2.3.4"]

    def run(octets: bytes) -> object:
        found = address.parse(octets.decode("latin-1"))
        assert address.parse(str(found)) == found
        assert not set(' \r\n\0<>|%!/"\\,;:') & set(str(found)) and str(found).isascii()
        return found.local_part.count(".")

    return Subject(run, corpus)


def _mailboxes() -> Subject:
    corpus = [b"Anonymous <anonymous@mix.example>", b'"A, B" <a@b.example>', b"a@b.example (c)"]

    def run(octets: bytes) -> object:
        found = address.parse_mailbox(octets.decode("latin-1"))
        assert address.parse_mailbox(str(found)).address == found.address
        assert "\n" not in str(found)
        return bool(found.name)

    return Subject(run, corpus)


def _client_addresses() -> Subject:
    corpus = [
        b"bob@example.org",
        b"drop",
        b"smtp:bob@example.org",
        b"news:alt.test",
        "x:ü".encode(),
    ]

    def run(octets: bytes) -> object:
        found = addresses.parse(octets.decode("utf-8", "surrogateescape"))
        message.encode(found.exit, found.recipients, b"")
        return found.mail, len(found.recipients)

    return Subject(run, corpus)


def _composing() -> Subject:
    """Plain text and a subject as they are typed; the subject is the first line."""
    bob = addresses.parse("bob@example.org")
    corpus = [
        b"\nHello\n",
        "Ärger =?\nGrüße\n.\n".encode(),
        b"subject\n" + b"x" * 1100,
        ("ö" * 90).encode() + b"\n" + bytes(20),
    ]

    def run(octets: bytes) -> object:
        first, _, body = octets.partition(b"\n")
        subject = first.decode("utf-8", "surrogateescape") if first else None
        made = compose.from_text(bob, body, subject)
        mail = mail_compose.outgoing(
            made.content,
            sender="a@b.example",
            recipients=["bob@example.org"],
            message_id="<x@y>",
            date=0,
        )
        _check_mail(mail)
        return mail.eight_bit, len(mail.fields)

    return Subject(run, corpus)


def _whole_mails() -> Subject:
    bob = addresses.parse("bob@example.org")

    def run(octets: bytes) -> object:
        made = compose.from_message(bob, octets)
        assert not any(name.lower() in ("to", "subject") for name in made.left_out)
        again = compose.from_message(bob, made.content)
        assert (again.content, again.left_out) == (made.content, ())
        return len(made.left_out)

    return Subject(run, _MAILS)


def _armor() -> Subject:
    text = armor.encode("MIXMINION REPLY", {"SURB-ID": "00", "Version": "1"}, bytes(100))
    corpus = [
        text.encode(),
        b"Hello,\r\n> " + text.replace("\n", " \r\n").encode() + b"-- \r\n" + text.encode(),
        armor.encode("A", {}, b"").encode(),
    ]

    def run(octets: bytes) -> object:
        blocks = armor.decode(octets.decode("latin-1"))
        for block in blocks:
            assert len(block.octets) <= len(octets)
        return len(blocks)

    return Subject(run, corpus)


def _reply_blocks() -> Subject:
    """Files in which reply blocks are looked for."""
    sizes = Geometry(suites.X25519, 3, 96, 1024)
    random = SeededRandom(b"reply blocks")
    header = sizes.suite.ad + random.octets(sizes.header - 2)
    made = [
        Surb(sizes, n, n + 9, header, random.octets(32), random.octets(64)).encode() for n in (1, 2)
    ]
    text = blocks_text.encode(made).encode()
    quoted = b"\n".join(b"> " + line for line in text.split(b"\n"))
    mails = [
        b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
        + transfer.encode(text, "base64"),
        b"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n"
        + transfer.encode(text, "quoted-printable"),
        b'Content-Type: multipart/signed; boundary="a b"\n\n--a b\n\n' + text + b"--a b--\n",
    ]

    def run(octets: bytes) -> object:
        found = blocks_text.find(octets)
        good = []
        for block in found:
            with contextlib.suppress(BadSurb):
                blocks_text.head(block)
                good.append(block)
        if good:
            assert blocks_text.find(blocks_text.encode(good).encode()) == good
        return len(found), len(good)

    return Subject(run, [b"".join(made), text, b"Hello,\n" + quoted, *mails])


def _host_ports() -> Subject:
    corpus = [b"192.0.2.1:48099", b"[::1]:80", b"mx.example:25", b"[2001:db8::ffff:1.2.3.4]:1"]

    def run(octets: bytes) -> object:
        found = HostPort.parse(octets.decode("latin-1"), default_port=7)
        assert HostPort.parse(str(found)) == found
        return found.address is None, ":" in found.host

    return Subject(run, corpus)


def _sources() -> Subject:
    def run(octets: bytes) -> object:
        found = Source.parse(octets.decode("utf-8", "surrogateescape"))
        assert Source.parse(str(found)) == found
        found.url(b"/x")
        return found.tls

    return Subject(run, [b"https://192.0.2.1:48099/", b"http://a.example/", b"https://[::1]:1"])


def _times() -> Subject:
    def run(octets: bytes) -> object:
        seconds = times.from_text(octets.decode("latin-1"))
        assert times.to_text(seconds).encode() == octets
        return seconds > 0

    return Subject(run, [b"2026-11-23T08:00:00Z", b"0001-01-01T00:00:00Z", b"9999-12-31T23:59:59Z"])


def _paths() -> Subject:
    def run(octets: bytes) -> object:
        found = language.parse(octets.decode("utf-8", "surrogateescape"))
        for element in found.elements:
            if isinstance(element, language.Some):
                assert 1 <= element.count <= language.GREATEST
        assert language.parse(str(found)) == found
        return tuple(type(element) for element in found.elements[:4])

    return Subject(run, [b"alice,?,*2,~3", b"?", b" bob , carol ", b"*255", b"a|b|./c,'d,e'|f"])


_ARMOR_WORDS = (
    b"-----BEGIN ", b"-----END ", b"MIXMINION REPLY-----\n", b"-----\n", b"====", b"\n\n", b": ",
    b"\t \t", b"-----BEGIN A-----\n", b"-----END A-----\n", b"\r", b" ",
)  # fmt: skip
_PLACE_WORDS = (
    b"::", b"[", b"]", b":0", b":65535", b":65536", b"%eth0", b"::ffff:1.2.3.4", b"https://", b"/",
    b"http://", b"xn--", b".", b"1.2.3.4", b"@", b"-", b"_", b"smtp:", b"drop", b"\xc3\xa9",
    b"\xd9\xa1",
)  # fmt: skip

LINES, SHORT = mutators.LINES, mutators.SHORT

TARGETS = [
    Target("mail-outgoing", _outgoing, (MailError,), LINES, _MAIL_WORDS, 32_768),
    Target("mail-by-policy", _outgoing_by_policy, (MailError,), LINES, _MAIL_WORDS, 32_768),
    Target("mail-parts", _parts, (MailError,), LINES, (*_MAIL_WORDS, *_MIME_WORDS), 16_384),
    Target("mail-reply", _reply, (), longest=8192),
    Target("mail-data", _data, (), LINES, _MAIL_WORDS, 20_000),
    Target("exit-accept", _accepting, (), (*LINES, *mutators.OCTETS), _MAIL_WORDS, 4096),
    Target("mail-address", _mail_addresses, (BadAddress,), SHORT, _PLACE_WORDS, 400),
    Target("mailbox", _mailboxes, (BadAddress,), SHORT, (*_PLACE_WORDS, b"<", b'"', b"(", b"\\")),
    Target("capability", _capabilities, (BadCapability,), SHORT, (b"=", b"-", b"_"), 100),
    Target("client-address", _client_addresses, (BadClientAddress,), SHORT, _PLACE_WORDS, 1500),
    Target(
        "compose-text", _composing, (BadSubject, NotText, NoHeader, MailError), LINES, _MAIL_WORDS
    ),
    Target("compose-mail", _whole_mails, (MailError, NoHeader), LINES, _MAIL_WORDS, 32_768),
    Target("armor", _armor, (armor.BadArmor,), LINES, _ARMOR_WORDS, 32_768),
    Target(
        "reply-blocks",
        _reply_blocks,
        (armor.BadArmor,),
        (*LINES, *mutators.OCTETS),
        (*_ARMOR_WORDS, *_MIME_WORDS, b"> ", b"\2\2", b"\1\2"),
        16_384,
    ),
    Target("host-port", _host_ports, (ValueError,), SHORT, _PLACE_WORDS, 400),
    Target("source", _sources, (BadSource,), SHORT, _PLACE_WORDS, 400),
    Target("time", _times, (ValueError,), SHORT, (b"+00:00", b"24:00:00", b"-02-29"), 64),
    Target(
        "path",
        _paths,
        (BadPath,),
        SHORT,
        (b"*", b"~", b"?", b",", b"|", b"'", b'"', b"/", b"alice"),
        4096,
    ),
]

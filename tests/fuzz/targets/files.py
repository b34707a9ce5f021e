"""Files of users and operators, what processes of one machine tell each other, and records."""

from __future__ import annotations

import atexit
import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mixminion.client import configuration as client_configuration
from mixminion.config import ConfigErrors, parse, values
from mixminion.config.errors import BadValue
from mixminion.control import client, wire
from mixminion.control.errors import NoAnswer, RemoteError
from mixminion.control.server import _SessionFactory
from mixminion.directory import bootstrap
from mixminion.directory.errors import BadBootstrap
from mixminion.errors import UserError, render
from mixminion.exits import record
from mixminion.exits.registry import resolver
from mixminion.exits.section import ExitSection, FragmentsSection
from mixminion.interfaces import Message
from mixminion.mix import batches
from mixminion.mix.config import SECTIONS
from mixminion.mix.keys import DamagedKey, PacketKeys
from mixminion.payload import deflate, message
from mixminion.sphinx.unwrap import Deliver, Relay, Reply
from mixminion.testing.clock import HeapClock
from tests.exits import kit
from tests.fuzz import mutators
from tests.fuzz.driver import Subject, Target
from tests.fuzz.targets.links import chance
from tests.fuzz.targets.packets import X25519
from tests.fuzz.targets.wire import Wire, talk

_SAMPLE = Path(__file__).parents[3] / "contrib" / "initd" / "mixminiond.conf"


def _whole_sample() -> bytes:
    """The sample configuration, its comments taken for keys."""
    return re.sub(rb"(?m)^#(?=\[|[a-z-]+ = )", b"", _SAMPLE.read_bytes())


def _configured(sections: Sequence[type], corpus: list[bytes], **options: Any) -> Subject:
    def run(octets: bytes) -> object:
        text = octets.decode("utf-8", "replace")
        try:
            config = parse(text, filename="/home/mix/conf", sections=sections, **options)
        except ConfigErrors as errors:
            assert errors.problems and render(errors)
            for problem in errors.problems:
                assert 0 <= problem.position.line <= text.count("\n") + 1
                assert str(problem).isprintable()
            raise
        return str(config.home)[:3]

    return Subject(run, corpus)


def _server_configuration() -> Subject:
    corpus = [_SAMPLE.read_bytes(), _whole_sample()]
    sections = (*SECTIONS, FragmentsSection, ExitSection)
    return _configured(sections, corpus, named_resolver=resolver(kit.MODULES))


def _client_configuration() -> Subject:
    keys = ", ".join(f"{n:064x}" for n in range(3))
    text = f"""[Client]
home = state
[Directory]
authorities = {keys}
sources = 192.0.2.1:48099,
    http://[::1]:80/, https://a.example:1/
[Paths]
default-path = *4
deny = bob, family:evil, country:de, 192.0.2.0/24, 2001:db8::/32
allow-exit = alice
"""
    return _configured(client_configuration.SECTIONS, [text.encode()])


def _bootstrap() -> Subject:
    """A file that says which network to join; what it says is written and read again."""
    text = f"""# Compare the keys.
[Network]
format = 1
name = example net
[Authority moria]
identity = {1:064x}
url = http://192.0.2.1:8080/
[Authority tor26]
identity = {2:064x}
[Sources]
urls = https://a.example/,
    http://[::1]:80
"""

    def run(octets: bytes) -> object:
        try:
            found = bootstrap.Bootstrap.read(octets, "net.conf")
        except BadBootstrap as error:
            assert render(error).replace("\n", "").isprintable()
            raise
        assert bootstrap.Bootstrap.read(found.text().encode(), "again") == found
        return len(found.authorities), len(found.sources)

    return Subject(run, [text.encode()])


_VALUES: tuple[tuple[values.Value[Any], Sequence[bytes]], ...] = (
    (values.duration, (b"1.5 hours", b"30 s", b"7 days")),
    (values.size, (b"1.5 GiB", b"500 MB", b"1 TiB")),
    (values.boolean, (b"yes", b"no")),
    (values.integer(0, 99), (b"7",)),
    (values.path, (b"/var/x", b"log/y")),
    (values.list_of(values.listener), (b"0.0.0.0:1, [::]:2",)),
    (values.host_port, (b"mx.example:25",)),
    (values.hex_key(), (b"0a" * 32,)),
    (values.mail_domain, (b"a.example",)),
    (values.url, (b"http://[::1]:80/x",)),
    (values.nickname, (b"Alice",)),
    (bootstrap.authority, (b"moria " + b"0a" * 32 + b" http://a.example:80/",)),
)


def _values() -> Subject:
    """An octet that chooses a type, and the text of a value; what is read is written and read
    again."""
    corpus = [bytes((n,)) + text for n, (_, texts) in enumerate(_VALUES) for text in texts]

    def run(octets: bytes) -> object:
        number = (octets or b"\0")[0] % len(_VALUES)
        kind, text = _VALUES[number][0], octets[1:].decode("latin-1")
        found = kind.read(text)
        if not isinstance(found, float):  # 3 microseconds are written as 3e-06
            assert kind.read(kind.render(found)) == found, kind.render(found)
        return number, text[-3:] if text[-3:].isalpha() else ""

    return Subject(run, corpus)


def _control_requests() -> Subject:
    """What somebody says to a running server's socket."""
    clock = HeapClock()

    def fail(arguments: object) -> dict[str, Any]:
        raise UserError(problem="no")

    commands: Any = {"status": lambda arguments: {"got": arguments}, "stop": fail}
    corpus = [
        wire.encode({"command": "status", "arguments": {"a": [1, "ö", None]}}),
        wire.encode({"command": "stop", "arguments": {}}),
        wire.encode({"command": "what", "arguments": {}}),
        b'{"version":1,"command":"status","arguments":' + b'{"a":' * 50 + b"1" + b"}" * 51 + b"\n",
    ]

    def run(octets: bytes) -> object:
        session = _SessionFactory(commands, clock).buildProtocol(None)
        end = Wire()
        session.makeConnection(end)
        for _ in talk(session, end, octets, chance(octets)):
            clock.advance()
        clock.advance(60)
        assert not clock.getDelayedCalls()
        answers = end.value().splitlines()
        assert len(answers) <= 1
        return [wire.decode(each).keys() == {"version", "answer"} for each in answers] == [True]

    return Subject(run, corpus)


class _Connection:
    """As much of a socket as the asking side reads from."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def recv(self, most: int) -> bytes:
        piece, self._octets = self._octets[:100], self._octets[100:]
        return piece


def _control_answers() -> Subject:
    """What somebody who sits at the socket's place answers to a command."""
    path = Path("/home/mix/control")
    error = {"code": "no", "sentence": "No {such} %s thing.", "exit-code": 64}
    corpus = [
        wire.encode({"answer": {"state": "running", "queues": {"a": 1}}}),
        wire.encode({"error": error}),
    ]

    def run(octets: bytes) -> object:
        connection: Any = _Connection(octets)
        try:
            fields = wire.decode(client._line(connection))
        except (ValueError, ConnectionResetError):
            return None
        try:
            return len(client._answer(path, fields))
        except (NoAnswer, RemoteError) as error:
            assert isinstance(render(error), str)
            return error.code

    return Subject(run, corpus)


def _packet_keys() -> Subject:
    """The file of a packet key, damaged."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    PacketKeys(folder, bytes(32)).make(batches.Wanted(7, X25519))
    path = folder / "packet-7.key"
    good = path.read_bytes()
    fields = json.loads(good)
    first = {name: fields[name] for name in ("period", "private", "suite")} | {"version": 1}
    others = [first, fields | {"version": 3}, fields | {"suite": "xwing"}]
    corpus = [good, *(json.dumps(each).encode() for each in others), b"[" * 3000, b"{}"]

    def run(octets: bytes) -> object:
        path.write_bytes(octets)
        opener = PacketKeys(folder, bytes(32)).unwrapper(7)
        assert opener is not None
        return True

    return Subject(run, corpus)


def _batches() -> Subject:
    """What a worker answers: first the octets of its slots, then the records."""
    size = X25519.packet + 32
    results: list[batches.Answer | batches.Drop] = [
        batches.Answer(7, Relay(bytes(16), bytes(32), 5, bytes(90))),
        batches.Answer(7, Deliver(bytes(16), 5, bytes(80))),
        batches.Answer(7, Reply(bytes(16), 5, bytes(16), "smtp", "ö@example", bytes(60))),
        batches.Drop("mac"),
    ]
    corpus = []
    for result in results:
        row, pieces = batches.encode_answer(result)
        corpus.append(b"".join(pieces).ljust(100, b"\0") + row * 2)
    made = [batches.Made(period, "x25519", bytes(32)) for period in (1, 2**64 - 1)]
    corpus.append(bytes(100) + batches.encode_made(made))

    def run(octets: bytes) -> object:
        memory = memoryview(octets[:100].ljust(size, b"\0"))

        def slot(number: int, length: int) -> memoryview:
            if length > size:
                raise ValueError(length)
            return memory[:length]

        ways: list[object] = []
        with suppress(batches.BrokenAnswer):
            answers = batches.parse_answers(octets[100:], slot)
            ways += [type(getattr(each, "result", each)) for each in answers[:2]]
        with suppress(batches.BrokenAnswer):
            ways.append(len(batches.parse_made(octets[100:])))
        return tuple(ways)

    return Subject(run, corpus)


def _records() -> Subject:
    """A stored message."""
    text = b"a line, and " * 50
    inside = message.encode("drop", (), text)
    packed = b"".join(deflate.deflate([inside], len(inside)))
    names = ("bob@example.org", "ö@example.org")
    corpus = [
        record.encode(Message("smtp", names, b"Hello", None, "<1@mix.example>", 1_800_000_000)),
        record.encode(Message("mbox", names[1:], bytes(90), bytes(16), "<2@x>", 0)),
        record.encode(Message("drop", (), b"", None, "", 2**64 - 1)),
        record.encode(Message("drop", (), text, None, "<3@x>", 1), packed),
    ]

    def run(octets: bytes) -> object:
        found = record.decode(octets)
        assert record.decode(record.encode(found)) == found
        return found.surb_id is None, len(found.recipients)

    return Subject(run, corpus)


_CONFIG_WORDS = (
    b"[Server]", b"[Exit x]", b"[Exit smtp]", b"[Exit ", b"]", b"module = smtp", b"module = drop",
    b"= ", b"#", b"\t", b"  ", b"yes", b"4 minutes", b"1e9 s", b"0.5 B", b"1 TiB", b"[::]:1",
    b"0.0.0.0:65536", b"\xef\xbb\xbf", b"\x00", b"home = ..", b"home = ~", b"nickname = x",
    b"\xe2\x80\xa8", b"999999999999999 weeks", b"-1",
)  # fmt: skip
_JSON_WORDS = (
    b'{"version":1,', b'"command":', b'"status"', b'"arguments":{}', b"NaN", b"Infinity", b"1e999",
    b"[" * 2000, b'{"a":' * 1200, b"null", b'"\\ud800"', b"\xff\xfe{\x00", b"\xef\xbb\xbf", b"}\n",
    b"9" * 5000, b'"exit-code":true', b'"answer":{}', b'"error":{}', b"\n",
)  # fmt: skip

TARGETS = [
    Target(
        "server-config", _server_configuration, (ConfigErrors,), mutators.LINES, _CONFIG_WORDS, 8192
    ),
    Target(
        "client-config", _client_configuration, (ConfigErrors,), mutators.LINES, _CONFIG_WORDS, 8192
    ),
    Target(
        "config-value", _values, (BadValue,), (*mutators.OCTETS, mutators.digits), _CONFIG_WORDS
    ),
    Target("bootstrap", _bootstrap, (BadBootstrap,), mutators.LINES, _CONFIG_WORDS, 8192),
    Target("control-request", _control_requests, (), mutators.JSON, _JSON_WORDS, 70_000),
    Target("control-answer", _control_answers, (), mutators.JSON, _JSON_WORDS, 16_384),
    Target("packet-key", _packet_keys, (DamagedKey,), mutators.JSON, _JSON_WORDS, 16_384),
    Target("batches", _batches, (), longest=512),
    Target("record", _records, (record.BadRecord,), longest=1024),
]

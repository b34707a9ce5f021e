"""What an authority reads: its configuration, pingers' figures, and requests of anybody."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from mixminion.app import authority_configuration
from mixminion.authority import figures
from mixminion.authority.config import NetworkSection
from mixminion.authority.errors import UnusableFigures
from mixminion.authority.intake import Intake
from mixminion.authority.receipts import Receipts
from mixminion.authority.register import Register
from mixminion.authority.site import Allowances, AuthoritySite
from mixminion.authority.web import AuthorityResource
from mixminion.config import ConfigErrors
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.resource import resource
from mixminion.disk.database import InlineExecutor
from mixminion.errors import render
from mixminion.testing.clock import HeapClock
from tests.authority.kit import NOW, identity, published, settings, signer
from tests.authority.test_web import FakeExchange
from tests.dirhttp.kit import PUBLIC
from tests.fuzz import mutators
from tests.fuzz.driver import Subject, Target
from tests.fuzz.targets.files import _CONFIG_WORDS, _JSON_WORDS
from tests.fuzz.targets.links import chance
from tests.fuzz.targets.wire import Wire, talk

_SAMPLE = Path(__file__).parents[3] / "contrib" / "initd" / "authority.conf"


def _configuration() -> Subject:
    text = _SAMPLE.read_bytes()

    def run(octets: bytes) -> object:
        try:
            config = authority_configuration.read(octets.decode("utf-8", "replace"), Path("/x/y"))
        except ConfigErrors as errors:
            assert errors.problems and render(errors)
            raise
        network = config[NetworkSection]
        assert network.geometry(0).hops >= network.parameters().hops
        return network.profile, network.suite

    return Subject(run, [text, text.replace(b"##", b"").replace(b"\n#", b"\n")])


def _figures() -> Subject:
    value = {"operator": "x", "figures": {identity("alice").hex(): 987, "0b" * 32: 0}}

    def run(octets: bytes) -> object:
        report = figures.read(octets, Path("figures.json"))
        assert all(0 <= figure <= 1000 for figure in report.figures.values())
        return len(report.figures)

    return Subject(run, [json.dumps(value).encode(), b'{"operator": "y", "figures": {}}'])


def _requests() -> Subject:
    """Anybody who asks an authority, publishes, or sends votes."""
    clock = HeapClock(NOW)
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    register = Register(folder / "register.sqlite", InlineExecutor(), clock)
    clock.result_of(Deferred.fromCoroutine(register.load()))
    chosen, exchange = settings(), FakeExchange()
    intake = Intake(clock, register, lambda: chosen)
    receipts = Receipts(
        clock=clock,
        identity=identity("authority 0"),
        signer=signer,
        intake=intake,
        listed=lambda identity: False,
    )
    tree = AuthorityResource(
        clock=clock,
        documents=resource(DocumentCache(PUBLIC), clock),
        intake=intake,
        receipts=receipts,
        descriptors=register.get,
        exchange=lambda: exchange,
    )
    alice, who = published("alice"), identity("alice").hex().encode()
    head = b"POST /mixminion/2/%b HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b"
    corpus = [
        head % (b"descriptor", len(alice), alice),
        head % (b"vote", 2, b"{}") + head % (b"signatures", 2, b"{}"),
        b"GET /mixminion/2/standing/%b HTTP/1.1\r\n\r\n" % who,
        b"HEAD /mixminion/2/votes/%d/%b HTTP/1.0\r\n\r\n" % (NOW, who),
        b"GET /mixminion/2/evidence/%d/%b HTTP/1.1\r\nHost: a\r\n\r\n" % (NOW, who),
        b"GET /mixminion/2/signatures/%d?x=%%zz HTTP/1.1\r\n\r\n" % NOW,
        b"GET /mixminion/2/descriptors/%b HTTP/1.1\r\n\r\n" % who,
        head % (b"descriptor", 70_000, b"x"),
        b"POST /mixminion/2/vote HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ]

    def run(octets: bytes) -> object:
        random = chance(octets)
        site = AuthoritySite(tree, clock, Allowances.of(clock, 3, 3, 10.0))
        channel: Any = site.buildProtocol(None)
        wire = Wire()
        channel.makeConnection(wire)
        for _ in talk(channel, wire, octets, random):
            clock.advance()
        clock.advance(2000)
        assert not clock.getDelayedCalls()
        said = wire.value()
        assert not said or said.startswith(b"HTTP/1.")
        exchange.votes.clear()
        exchange.detached.clear()
        return said[9:12], said.count(b"HTTP/1.")

    return Subject(run, corpus)


_HTTP_WORDS = (b"POST ", b"GET ", b"/mixminion/2/", b"Content-Length: ", b"standing/", b"votes/")

TARGETS = [
    Target(
        "authority-config", _configuration, (ConfigErrors,), mutators.LINES, _CONFIG_WORDS, 16_384
    ),
    Target("figures", _figures, (UnusableFigures,), mutators.JSON, _JSON_WORDS, 4096),
    Target("authority-request", _requests, (), mutators.LINES, _HTTP_WORDS, 16_384),
]

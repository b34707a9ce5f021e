"""Directory documents: their form, what they say, and what is made of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from mixminion.client import packets
from mixminion.crypto import kdf, x25519
from mixminion.crypto.rng import SeededRandom
from mixminion.directory import canonical, certificate, checks, detached, diff, documents, tally
from mixminion.directory.certificate import KeyCertificate, Role
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.consensus import Consensus, KeyPeriod, Server
from mixminion.directory.descriptor import Descriptor
from mixminion.directory.detached import Detached
from mixminion.directory.diff import Difference
from mixminion.directory.documents import Document
from mixminion.directory.envelope import Envelope, PayloadType, Signer, sign
from mixminion.directory.errors import (
    BadDocument,
    BadSignature,
    DirectoryEarly,
    DirectoryExpired,
    NewerDocument,
    NoKeyPeriod,
    NotEnoughSignatures,
    UnknownSuite,
    WrongDigest,
)
from mixminion.directory.keydoc import KeyDocument, ServerKey
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.parts import Exit, Rule, allowed
from mixminion.directory.receipt import Receipt, State
from mixminion.directory.tally import NoConsensus
from mixminion.directory.view import View
from mixminion.directory.vote import Recommended, Vote
from mixminion.errors import MixminionError
from mixminion.testing.directory import server_signer
from mixminion.util import times
from tests.directory import network, votes
from tests.directory.network import NOW
from tests.fuzz import mutators
from tests.fuzz.driver import Subject, Target

_VECTORS = Path(__file__).parents[2] / "vectors" / "directory"
_PRIVATE, _PUBLIC = network.authorities(3)


def _descriptor() -> bytes:
    rules = (Rule(allow=False, network="192.0.2.0/24"), Rule(allow=True, network="2001:db8::/32"))
    exits = (network.SMTP, Exit("news", "nntp", 9, {"groups": ["alt.test"], "tls": True}))
    more = {"accepts": rules, "dials": rules[:1], "exits": exits, "family": "f", "contact": "ö"}
    return network.published("alice", 1, **more)


def _consensus() -> Consensus:
    servers = [network.server("alice"), network.server("bob", 2, family="f", jurisdiction="de")]
    return network.consensus(servers, previous=bytes(32))


def _payload(octets: bytes) -> bytes:
    return base64.b64decode(json.loads(octets)["payload"])


def _frozen(name: str) -> bytes:
    """A document of the frozen vectors, as it is published."""
    return (_VECTORS / f"{name}.json").read_bytes().rstrip(b"\n")


def _canonical() -> Subject:
    corpus = [
        b'{"a":[1,2,{"b":true}],"c":"\xc3\xa9\\n","d":-9007199254740991}',
        b"[[[[[[[[]]]]]]]]",
        b'{"\xef\xbf\xbf":1,"\xf0\x9f\x98\x80":2}',
        b'"\\u0000\\u001f\\"\\\\"',
        _payload(_descriptor()),
    ]

    def run(octets: bytes) -> object:
        value = canonical.decode(octets)
        assert canonical.encode(value) == octets
        assert json.loads(octets) == value
        return type(value)

    return Subject(run, corpus)


def _envelope(kind: PayloadType) -> Subject:
    signers = [Signer.of(key) for key in _PRIVATE]
    corpus = [
        sign(kind, b'{"version":1}', signers).encode(),
        sign(kind, b"", [server_signer(network.private_key("alice"), now=NOW)]).encode(),
    ]

    def run(octets: bytes) -> object:
        envelope = Envelope.decode(octets, kind, limit=4096)
        assert envelope.encode() == octets
        return len(envelope.signatures)

    return Subject(run, corpus)


def _signed(kind: PayloadType, verify: Callable[[bytes], object], corpus: list[bytes]) -> Subject:
    """Payloads of *kind*, signed by whom *verify* believes."""
    signer = server_signer(network.private_key("alice"), bytes(32), now=NOW)

    def run(octets: bytes) -> object:
        return verify(sign(kind, octets, [signer]).encode())

    return Subject(run, [_payload(each) for each in corpus])


def _descriptors() -> Subject:
    """What a server says of itself, and the consensus that lists it."""

    def run(octets: bytes) -> object:
        found = _check_document(Descriptor, octets, "descriptor")
        assert isinstance(found, Descriptor)
        listed = Server.listed(found, bytes(32), usable_from=NOW)
        _check_document(Consensus, network.consensus([listed]).encode(), "consensus")
        return len(found.exits)

    return Subject(run, [_payload(_descriptor()), _payload(_frozen("descriptor"))])


def _check_document(kind: type[Document], octets: bytes, name: str) -> Document:
    """Read it, write it, read it again."""
    found = documents.decode(kind, octets, name=name, version=1, limit=2**16)
    assert documents.decode(kind, found.encode(), name=name, version=1, limit=2**17) == found
    return found


def _verified_descriptors() -> Subject:
    def verify(octets: bytes) -> object:
        return Descriptor.verify(octets, NOW).nickname

    return _signed(PayloadType.DESCRIPTOR, verify, [_descriptor()])


def _raw_descriptors() -> Subject:
    return Subject(lambda octets: Descriptor.verify(octets, NOW).nickname, [_descriptor()])


def _certificates() -> Subject:
    """Key certificates in the signature of an authority."""
    identity = network.private_key("authority 0")
    key = network.identity("other")
    made = certificate.certify(
        Role.AUTHORITY, identity, key, valid_after=NOW - 9, valid_until=NOW + 9
    )

    def run(octets: bytes) -> object:
        envelope = sign(PayloadType.KEY_CERTIFICATE, octets, [Signer.of(identity)])
        signer = Signer(key, lambda octets: bytes(64), envelope)
        signature = sign(PayloadType.CONSENSUS, b"", [signer]).signatures[0]
        if certificate.claims(signature, network.identity("authority 0")):
            certificate.signing_key(signature, Role.AUTHORITY, _PUBLIC[0], NOW)
        return _check_document(KeyCertificate, octets, "key certificate") is not None

    return Subject(run, [made.payload, _payload(_frozen("key-certificate"))])


def _consensuses() -> Subject:
    """What a majority of the authorities might sign, and what a client makes of it."""

    def run(octets: bytes) -> object:
        found = _check_document(Consensus, octets, "consensus")
        assert isinstance(found, Consensus)
        for now in (0, NOW, 2**33):
            with suppress(DirectoryEarly, DirectoryExpired):
                checks.check_dates(found, now)
        view = View(found, [])
        with suppress(UnknownSuite, NoKeyPeriod):
            view.geometry_of(view.current_period(NOW))
        for server in view.servers:
            assert view.by_node(server.node_id) is server
            assert view.by_name(server.nickname.upper()) is server
            for place in server.addresses:
                allowed(server.accepts, place)
        return len(view.servers), view.periods

    return Subject(run, [_consensus().encode(), _far().encode(), _payload(_frozen("consensus"))])


def _far() -> Consensus:
    """A consensus of the last days that can be written."""
    last = times.LAST
    return network.consensus(
        valid_after=last - 9,
        fresh_until=last - 8,
        valid_until=last,
        key_periods=(
            KeyPeriod(
                number=9,
                begins=last - 9,
                ends=last - 8,
                geometry=PacketGeometry.make(),
                keys=bytes(32),
            ),
        ),
    )


def _packets() -> Subject:
    """A packet made from what a majority of the authorities might sign."""
    sizes = PacketGeometry.make("x25519", 2, 96, 720)
    servers = [network.server(name, i) for i, name in enumerate(("alice", "bob", "carol"), 1)]
    small = Parameters(hops=2, mean_delay_ms=500, delay_cap_ms=5000)
    period = KeyPeriod(number=1, begins=NOW - 9, ends=NOW + 9000, geometry=sizes, keys=bytes(32))
    real = network.consensus(servers, parameters=small, key_periods=(period,))
    keys = KeyDocument(
        period=1,
        suite="x25519",
        keys=tuple(
            ServerKey(identity=each.identity, key=x25519.public(bytes(32))) for each in real.servers
        ),
    )

    def run(octets: bytes) -> object:
        found = documents.decode(Consensus, octets, name="consensus", version=1, limit=2**16)
        random = SeededRandom(octets)
        letter = packets.Letter("smtp", ("bob@example.org",), (b"x",), random.below(2) * "bob,?")
        built = packets.make(View(found, [keys]), letter, NOW, random)
        assert len(built.packet.octets) == found.key_periods[0].geometry.packet
        return len(built.path), len(built.warnings)

    return Subject(run, [real.encode()])


def _raw_consensuses() -> Subject:
    """A consensus in its envelope, from a server, with signatures that count or not."""
    corpus = [
        _consensus().sign([Signer.of(key) for key in _PRIVATE]),
        _consensus().sign([Signer.of(_PRIVATE[0])]),
    ]

    def run(octets: bytes) -> object:
        return SignedConsensus.verify(octets, _PUBLIC, NOW).tally.signed

    return Subject(run, corpus)


def _key_documents() -> Subject:
    consensus = network.consensus([network.server("alice"), network.server("bob", 2)])
    real = [network.keys(consensus.servers, period.number) for period in consensus.key_periods]
    short = KeyDocument(period=network.PERIOD, suite="x", keys=())

    def run(octets: bytes) -> object:
        found = KeyDocument.read(octets, kdf.sha256(octets))
        assert KeyDocument.read(found.encode(), kdf.sha256(found.encode())) == found
        view = View(consensus, [found])
        return len(view.usable(NOW, found.period))

    return Subject(run, [*(each.encode() for each in real[:1]), short.encode(), _frozen("keys")])


def _differences() -> Subject:
    """What a source says turns the consensus and the key document held into others."""
    signers = [Signer.of(key) for key in _PRIVATE]
    old = _consensus()
    new = network.consensus([network.server("bob", 2), network.server("carol", 3)], gap=True)
    held = old.sign(signers)
    keys = [network.keys(each.servers, network.PERIOD).encode() for each in (old, new)]
    corpus = [
        diff.between_consensuses(held, new.sign(signers)),
        diff.between_consensuses(held, held),
        diff.between_keys(*keys),
    ]

    def run(octets: bytes) -> object:
        found = documents.decode(Difference, octets, name="difference", version=1, limit=2**16)
        if found.from_ == kdf.sha256(keys[0]):
            result = diff.apply_to_keys(octets, keys[0])
            assert kdf.sha256(result) == found.to
        else:
            result = diff.apply_to_consensus(octets, held)
            payload = Envelope.decode(result, PayloadType.CONSENSUS, limit=2**16).payload
            assert kdf.sha256(payload) == found.to
        return len(found.added), len(found.changed), len(found.removed)

    return Subject(run, corpus)


def _votes() -> Subject:
    """What an authority says, and what becomes of it with two votes of others."""
    others = [votes.vote(n) for n in (1, 2)]
    first = votes.vote(0, recommended=Recommended(clients=("1",)), reveal=bytes(32))

    def run(octets: bytes) -> object:
        found = _check_document(Vote, octets, "vote")
        assert isinstance(found, Vote)
        three = [msgspec.structs.replace(found, authority=votes.AUTHORITIES[0]), *others]
        if found.valid_after != NOW:
            return len(found.servers)
        descriptors = {
            each.descriptor: votes.DESCRIPTORS.get(each.descriptor, b"")
            for vote in three
            for each in vote.servers
        }
        made = tally.tally(three, votes.AUTHORITIES[:3], descriptors, None)
        assert made.consensus.encode() == made.payload
        return len(made.consensus.servers), made.consensus.key_periods[0].number

    corpus = [first.encode(), _payload(_frozen("voting/second-vote-1"))]
    return Subject(run, corpus)


def _raw_votes() -> Subject:
    """A vote in its envelope, with countersignatures."""
    signers = [Signer.of(key) for key in _PRIVATE]
    small = votes.vote(0, [])

    def run(octets: bytes) -> object:
        found, envelope = Vote.open(octets)
        signed = [detached.signer(envelope, s, _PUBLIC, NOW) for s in envelope.signatures]
        return len(found.servers), len(signed) - signed.count(None)

    corpus = [sign(PayloadType.VOTE, small.encode(), signers).encode()]
    return Subject(run, [*corpus, _frozen("voting/first-vote-2")])


def _detached() -> Subject:
    """Signatures on a consensus, from another authority."""
    payload = network.consensus().encode()
    own, *rest = (Signer.of(key) for key in _PRIVATE)
    certified = server_signer(_PRIVATE[1], bytes(32), now=NOW)  # of another role
    envelope = sign(PayloadType.CONSENSUS, payload, [own])
    corpus = [
        Detached(
            valid_after=NOW,
            digest=kdf.sha256(payload),
            signatures=sign(PayloadType.CONSENSUS, payload, signers).signatures,
        ).encode()
        for signers in (rest, [*rest, certified], [own])
    ]

    def run(octets: bytes) -> object:
        found = Detached.read(octets)
        assert found.encode() == octets or Detached.read(found.encode()) == found
        merged = detached.merge(envelope, found.signatures, _PUBLIC, NOW)
        assert Envelope.decode(merged.encode(), PayloadType.CONSENSUS, limit=2**20) == merged
        return checks.count(merged, _PUBLIC, NOW).signed

    return Subject(run, corpus)


def _receipts() -> Subject:
    """What an authority answers, to the octet and signed by it."""
    made = Receipt(
        authority=_PUBLIC[0],
        time=NOW,
        identity=network.identity("alice"),
        digest=bytes(32),
        state=State.WAITING,
        listed=True,
        reason="Wait.",
    )
    signer = Signer.of(_PRIVATE[0])
    authority = _PUBLIC[0]

    def run(octets: bytes) -> object:
        sealed = sign(PayloadType.RECEIPT, octets, [signer]).encode()
        found = Receipt.verify(sealed, authority, NOW)
        assert Receipt.verify(found.sign(signer), authority, NOW) == found
        return found.state, found.listed

    return Subject(run, [made.encode()])


_WORDS = (
    b'{"version":1}', b'"version":1,', b"true", b"false", b"null", b'""', b"[]", b"{}", b"-1",
    b"9007199254740991", b"9007199254740992", b"1e9", b"0.5", b"[[[[[[[[[", b'"\\ud800"',
    b"\\u00e9", b'{"a":', b'"smtp"', b'"127.0.0.1:1"', b'"::1/128"', b'"xwing"', b'"x25519"',
    b"\xf0\x9f\x98\x80", b'"\\udfff\\ud800"',
)  # fmt: skip
_REFUSES = (BadDocument, NewerDocument)


def _target(
    name: str, build: Callable[[], Subject], *refuses: type[Exception], longest: int = 16_384
) -> Target:
    return Target(name, build, (*_REFUSES, *refuses), mutators.JSON, words=_WORDS, longest=longest)


TARGETS = [
    _target("canonical", _canonical, longest=4096),
    _target("envelope", lambda: _envelope(PayloadType.CONSENSUS), longest=4096),
    _target("descriptor", _descriptors),
    _target("descriptor-raw", _raw_descriptors, BadSignature),
    _target("descriptor-signed", _verified_descriptors, BadSignature),
    _target("certificate", _certificates, BadSignature, longest=4096),
    _target("consensus", _consensuses),
    _target("client-packet", _packets, MixminionError),
    _target("consensus-raw", _raw_consensuses, NotEnoughSignatures),
    _target("keys", _key_documents),
    _target("difference", _differences, WrongDigest),
    _target("vote", _votes, NoConsensus),
    _target("vote-raw", _raw_votes),
    _target("detached", _detached),
    _target("receipt", _receipts, BadSignature),
]

"""Authorities that take descriptors and sign receipts, and do with both what a test says."""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Request
from typing_extensions import override

from mixminion.crypto import kdf, sign
from mixminion.directory import certificate, descriptor, documents
from mixminion.directory.bootstrap import Authority
from mixminion.directory.certificate import Role
from mixminion.directory.descriptor import Descriptor
from mixminion.directory.envelope import Envelope, PayloadType, Signer
from mixminion.directory.receipt import Receipt, State
from mixminion.dirhttp.resource import PREFIX
from mixminion.dirhttp.site import QuietSite
from mixminion.testing.clock import HeapClock
from mixminion.testing.wire import MemoryNetwork

DAY = 86_400


class FakeAuthority(Resource):
    """One authority, at ``http://HOST/``.  ``state`` and ``reason`` are what it says, ``wrong`` the
    seconds by which its clock is ahead, ``code`` what it answers instead of 200."""

    isLeaf = True

    def __init__(self, clock: HeapClock, network: MemoryNetwork, number: int) -> None:
        super().__init__()
        self.clock = clock
        self.host = f"192.0.2.{number}"
        self._private, self.identity = sign.generate()
        self.certify(clock.seconds())
        self.name = f"authority{number}"
        self.state = State.WAITING
        self.reason = "Its operator has not looked at it yet."
        self.listed = False
        self.wrong = 0.0
        self.code = 200
        self.about: bytes | None = None
        self.uploads: list[tuple[float, bytes]] = []
        self.asked: list[float] = []
        self.held: dict[bytes, bytes] = {}
        self._network = network
        self._port: Any = clock.result_of(
            network.server(self.host, 80).listen(QuietSite(self, clock, longest_upload=100_000))
        )

    def certify(self, now: float) -> None:
        """A new signing key, good for a month from *now* on."""
        signing, public = sign.generate()
        begins = int(now) - DAY
        statement = certificate.certify(
            Role.AUTHORITY,
            self._private,
            public,
            valid_after=begins,
            valid_until=begins + 31 * DAY,
        )
        self.signer = Signer.of(signing, statement)

    @property
    def entry(self) -> Authority:
        """As a configuration names it."""
        return Authority(self.identity, self.name, f"http://{self.host}:80/")

    def vanish(self) -> None:
        """Nobody listens any more."""
        self.clock.result_of(self._port.stopListening())

    def appear(self) -> None:
        """It is there again."""
        self._port.startListening()

    @override
    def render(self, request: Request) -> bytes:
        path: bytes = request.path
        name = path.removeprefix(PREFIX).decode()
        if request.method == b"POST" and name == "descriptor":
            content: Any = request.content
            octets: bytes = content.read()
            self.uploads.append((self.clock.seconds(), octets))
            payload = Envelope.decode(
                octets, PayloadType.DESCRIPTOR, limit=descriptor.LIMIT
            ).payload
            said = documents.decode(
                Descriptor, payload, name="descriptor", version=1, limit=descriptor.LIMIT
            )
            identity = said.identity
            if self.code == 200 and self.state not in (State.REFUSED, State.BANNED):
                self.held[identity] = kdf.sha256(payload)
        else:
            kind, _, text = name.partition("/")
            assert kind == "standing", name
            self.asked.append(self.clock.seconds())
            identity = bytes.fromhex(text)
        request.setResponseCode(self.code)
        return b"no such luck\x1b[31m" if self.code != 200 else self.receipt(identity)

    def receipt(self, identity: bytes) -> bytes:
        """What it says of a server."""
        known = identity in self.held or self.state in (State.REFUSED, State.BANNED)
        return Receipt(
            authority=self.identity,
            time=int(self.clock.seconds() + self.wrong),
            identity=self.about or identity,
            digest=self.held.get(identity),
            state=self.state if known else State.UNKNOWN,
            listed=self.listed,
            reason=self.reason,
        ).sign(self.signer)

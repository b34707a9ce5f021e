"""An authority for real servers: HTTP on loopback, and what it says is up to the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mixminion.crypto import kdf, sign
from mixminion.directory import descriptor, documents
from mixminion.directory.descriptor import Descriptor
from mixminion.directory.envelope import Envelope, PayloadType, Signer
from mixminion.directory.parameters import Parameters
from mixminion.directory.receipt import Receipt, State
from mixminion.testing.directory import SignedDirectory, sign_directory

PREFIX = "/mixminion/2/"
PARAMETERS = Parameters(
    mean_delay_ms=500,
    delay_cap_ms=5_000,
    tick_ms=50,
    consensus_interval=8,
    consensus_fresh=8,
    consensus_valid=86_400,
    key_period=3_600,
    mix_loops_per_hour=0,
)


class LocalAuthority:
    """Serves ``directory``, if there is one, and takes descriptors; ``state``, ``reason`` and
    ``wrong`` (seconds its clock is ahead) are what its receipts say."""

    def __init__(self) -> None:
        self._private, self.identity = sign.generate()
        self.directory: SignedDirectory | None = None
        self.state = State.WAITING
        self.reason = "It waits for the approval of this authority's operator: tell him of it."
        self.wrong = 0.0
        self.uploads: list[bytes] = []
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(authority.get(self.path.removeprefix(PREFIX)))

            def do_POST(self) -> None:
                octets = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(authority.post(octets))

            def answer(self, octets: bytes | None) -> None:
                self.send_response(404 if octets is None else 200)
                self.send_header("Content-Length", str(len(octets or b"")))
                self.end_headers()
                self.wfile.write(octets or b"")

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A server that is stopped leaves its requests.
        self._server.handle_error = lambda request, address: None  # type: ignore[assignment]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    @property
    def entry(self) -> str:
        """As a configuration names it."""
        return f"north {self.identity.hex()} {self.url}"

    def sign(self, descriptors: Sequence[bytes]) -> None:
        """Make a directory of these servers."""
        self.directory = sign_directory(
            descriptors, [self._private], now=time.time() - 1, parameters=PARAMETERS
        )

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def get(self, name: str) -> bytes | None:
        kind, _, text = name.partition("/")
        if kind == "standing":
            return self.receipt(bytes.fromhex(text))
        if self.directory is None:
            return None
        if name == "consensus":
            return self.directory.consensus
        return self.directory.keys.get(bytes.fromhex(text)) if kind == "keys" else None

    def post(self, octets: bytes) -> bytes:
        self.uploads.append(octets)
        payload = Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=descriptor.LIMIT).payload
        said = documents.decode(Descriptor, payload, name="", version=1, limit=descriptor.LIMIT)
        return self.receipt(said.identity)

    def receipt(self, identity: bytes) -> bytes:
        digest = None
        if self.uploads:
            envelope = Envelope.decode(
                self.uploads[-1], PayloadType.DESCRIPTOR, limit=descriptor.LIMIT
            )
            digest = kdf.sha256(envelope.payload)
        return Receipt(
            authority=self.identity,
            time=int(time.time() + self.wrong),
            identity=identity,
            digest=digest,
            state=self.state if digest else State.UNKNOWN,
            reason=self.reason,
        ).sign(Signer.of(self._private))

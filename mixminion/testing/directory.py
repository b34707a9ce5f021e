"""Directories signed by hand: for tests, and for networks too small for authorities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mixminion.crypto import kdf
from mixminion.crypto import sign as ed25519
from mixminion.directory import certificate
from mixminion.directory.certificate import Role
from mixminion.directory.consensus import METHOD, Consensus, KeyPeriod, Server
from mixminion.directory.descriptor import LIMIT, Descriptor
from mixminion.directory.envelope import Envelope, PayloadType, Signer
from mixminion.directory.keydoc import KeyDocument, ServerKey
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.view import View
from mixminion.disk import private
from mixminion.errors import UserError

PERIODS = 3
"""Key periods a consensus lists: the current one and two ahead."""


class NothingToSign(UserError):
    """The descriptors do not make a network."""

    code = "nothing-to-sign"
    sentence = "There is no directory to sign: {problem}."


Schedule = Callable[[int], PacketGeometry]
"""The geometry of each key period, by its number."""


@dataclass(frozen=True, slots=True)
class SignedDirectory:
    """A signed consensus and its key documents, as octets ready to be served."""

    consensus: bytes
    keys: Mapping[bytes, bytes]  #: key documents by digest

    def view(self) -> View:
        """What a program that believed all this would see."""
        consensus, _ = Consensus.open(self.consensus)
        return View(
            consensus,
            [KeyDocument.read(octets, digest) for digest, octets in self.keys.items()],
        )

    def write(self, folder: Path) -> None:
        """Write the files of a document cache into *folder*."""
        private.make_folder(folder)
        for digest, octets in self.keys.items():
            private.write(folder / f"keys-{digest.hex()}", octets)
        private.write(folder / "consensus", self.consensus)


def sign_directory(
    descriptors: Sequence[bytes],
    authorities: Sequence[bytes],
    *,
    now: float,
    parameters: Parameters | None = None,
    geometry: PacketGeometry | None = None,
    schedule: Schedule | None = None,
    test_network: bool = True,
    previous: bytes | None = None,
    usable_from: Mapping[bytes, int] | None = None,
) -> SignedDirectory:
    """Sign a directory of all servers in *descriptors* (in their envelopes).

    *authorities* are raw Ed25519 private keys; each signs directly.  *now* becomes
    valid-after, and *parameters* (:meth:`Parameters.local_demo` unless given) say how long the
    consensus and the key periods last.  With a *schedule* of geometries all key periods are
    listed, as authorities do; without one all have *geometry*, and they end where nobody has a
    key any more.  Every server is usable at once, but for those (by identity) of whom
    *usable_from* says since when.  Without descriptors it is a new network's first directory,
    which lists nobody.

    :raises NothingToSign: a descriptor is not valid, two have one name, or none has a key
        for the current key period and there is no *schedule*.
    """
    network = Parameters.local_demo() if parameters is None else parameters
    sizes = PacketGeometry.make() if geometry is None else geometry
    valid_after = int(now)
    since = usable_from or {}
    read = [_read(octets, now) for octets in descriptors]
    read.sort(key=lambda pair: pair[0].identity)
    every = schedule is not None or not read
    keys, periods = _keys(
        [each for each, _ in read],
        valid_after,
        network.key_period,
        schedule or (lambda number: sizes),
        every=every,
    )
    try:
        consensus = Consensus(
            method=METHOD,
            test_network=test_network,
            valid_after=valid_after,
            fresh_until=valid_after + network.consensus_fresh,
            valid_until=valid_after + network.consensus_valid,
            previous=previous,
            parameters=network,
            key_periods=periods,
            servers=tuple(
                Server.listed(
                    descriptor, digest, usable_from=since.get(descriptor.identity, valid_after)
                )
                for descriptor, digest in read
            ),
        )
    except ValueError as error:
        raise NothingToSign(problem=str(error)) from None
    return SignedDirectory(consensus.sign([Signer.of(key) for key in authorities]), keys)


def _read(octets: bytes, now: float) -> tuple[Descriptor, bytes]:
    envelope = Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=LIMIT)
    return Descriptor.verify(octets, now), kdf.sha256(envelope.payload)


def _keys(
    descriptors: Sequence[Descriptor],
    valid_after: int,
    length: int,
    schedule: Schedule,
    *,
    every: bool,
) -> tuple[dict[bytes, bytes], tuple[KeyPeriod, ...]]:
    """Key documents by digest, and the key periods that name them, for *every* period ahead, or
    for those for which anybody has a key."""
    documents: dict[bytes, bytes] = {}
    periods: list[KeyPeriod] = []
    current = valid_after // length
    for number in range(current, current + PERIODS):
        geometry = schedule(number)
        keys = tuple(
            ServerKey(identity=descriptor.identity, key=key.key)
            for descriptor in descriptors
            for key in descriptor.packet_keys
            if (key.period, key.suite) == (number, geometry.suite)
        )
        if not keys and not every:
            break
        document = KeyDocument(period=number, suite=geometry.suite, keys=keys).encode()
        digest = kdf.sha256(document)
        documents[digest] = document
        periods.append(
            KeyPeriod(
                number=number,
                begins=number * length,
                ends=(number + 1) * length,
                geometry=geometry,
                keys=digest,
            )
        )
    if not periods:
        raise NothingToSign(
            problem=f"no server has a packet key of suite {schedule(current).suite} for period"
            f" {current}"
        )
    return documents, tuple(periods)


def server_signer(
    identity_private: bytes,
    signing_private: bytes | None = None,
    *,
    now: float,
    days: int = 60,
) -> Signer:
    """A server's signing key with its certificate, as ``Descriptor.sign`` wants it; a new key
    unless one is given."""
    private_key = ed25519.generate()[0] if signing_private is None else signing_private
    return Signer.of(
        private_key,
        certificate.certify(
            Role.SERVER,
            identity_private,
            ed25519.public(private_key),
            valid_after=int(now) - 3600,
            valid_until=int(now) + days * 86_400,
        ),
    )

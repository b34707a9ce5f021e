"""Messages: an exit, its recipients, and octets for them."""

from __future__ import annotations

from collections.abc import Sequence

from mixminion.interfaces import Random
from mixminion.payload import deflate, frame
from mixminion.payload.errors import BadPayload, Problem, TooLarge
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.text import is_address, is_exit_name


def _envelope(exit: str, recipients: Sequence[str]) -> bytes:
    name = exit.encode()
    addresses = [recipient.encode() for recipient in recipients]
    if not is_exit_name(name):
        raise ValueError("an exit name has 1 to 255 printable ASCII characters")
    if len(addresses) > 0xFF:
        raise ValueError("a message has at most 255 recipients")
    if not all(address and is_address(address) for address in addresses):
        raise ValueError("a recipient is a text of 1 to 65,535 octets without control characters")
    parts = [bytes((len(name),)), name, bytes((len(addresses),))]
    for address in addresses:
        parts += (len(address).to_bytes(2), address)
    return b"".join(parts)


def encode(exit: str, recipients: Sequence[str], content: bytes) -> bytes:
    """The content of a message frame; ValueError for names that cannot be sent."""
    return _envelope(exit, recipients) + content


def parse(octets: bytes) -> tuple[str, tuple[str, ...], bytes]:
    """Exit, recipients and content; BadPayload when it is not a message."""
    exit, recipients, length = envelope(octets)
    return exit, recipients, octets[length:]


def envelope(octets: bytes) -> tuple[str, tuple[str, ...], int]:
    """Exit and recipients of a message that begins with *octets*, and where its content begins.

    BadPayload when it is not a message; with Problem.SHORT more octets may make it one.
    """
    reader = _Reader(octets)
    name = _exit(reader)
    recipients = []
    for _ in range(reader.number(1)):
        address = reader.take(reader.number(2))
        if not address or not is_address(address):
            raise BadPayload(Problem.RECIPIENT)
        recipients.append(address.decode())
    return name, tuple(recipients), reader.at


def exit_of(octets: bytes) -> str:
    """The exit of a message that begins with *octets*; BadPayload when there is none."""
    return _exit(_Reader(octets))


def _exit(reader: _Reader) -> str:
    name = reader.take(reader.number(1))
    if not is_exit_name(name):
        raise BadPayload(Problem.EXIT)
    return name.decode()


class _Reader:
    """Octets from the left; Problem.SHORT when there are not enough."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.at = 0

    def take(self, n: int) -> bytes:
        taken = self._octets[self.at : self.at + n]
        if len(taken) < n:
            raise BadPayload(Problem.SHORT)
        self.at += n
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))


def capacity(geometry: Geometry, exit: str, recipients: Sequence[str]) -> int:
    """The most octets of content that one packet carries to them as they are; below zero when
    the recipients alone are too many."""
    return geometry.body - frame.HEAD - len(_envelope(exit, recipients))


def to_body(
    geometry: Geometry, exit: str, recipients: Sequence[str], content: bytes, random: Random
) -> bytes:
    """A body for :func:`mixminion.sphinx.build.forward`, deflated if it takes that to fit;
    TooLarge with the sizes."""
    octets = encode(exit, recipients, content)
    room = geometry.body - frame.HEAD
    if len(octets) <= room:
        return frame.encode(frame.Kind.MESSAGE, octets, geometry.body, random)
    if len(octets) <= deflate.RATIO * room:
        size = deflate.deflated_size([octets], len(octets))
        if size is not None and size <= room:
            packed = b"".join(deflate.deflate([octets], len(octets)))
            return frame.encode(frame.Kind.DEFLATED, packed, geometry.body, random)
    raise TooLarge(size=len(content), limit=max(0, room - len(octets) + len(content)))


def expand(packed: bytes) -> bytes:
    """The octets of a message from the content of a deflated frame; BadPayload when it is none."""
    limit = deflate.RATIO * len(packed)
    return b"".join(deflate.inflate([packed], len(packed), limit))

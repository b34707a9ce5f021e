"""Local delivery over LMTP (RFC 2033): a mail is answered for each of its recipients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint

from mixminion.config import BadValue, values
from mixminion.config.values import Value
from mixminion.exits.dialogue import Away, Dialogue, Dialogues
from mixminion.interfaces import Clock
from mixminion.mail import data
from mixminion.mail.compose import Mail
from mixminion.util.hostport import HostPort

CONNECT_TIMEOUT = 30.0
CLOSING = 421
SUCCESS = range(200, 300)
UNIX = "unix:"

Place = HostPort | Path


def _place(text: str) -> Place:
    if not text.startswith(UNIX):
        return values.host_port.read(text)
    path = text.removeprefix(UNIX)
    if not path:
        raise BadValue(f"expected {place.expected}")
    return values.path.read(path)


def _under(value: Place, home: Path) -> Place:
    return values.path.place(value, home) if isinstance(value, Path) else value


place: Value[Place] = Value(
    "a host and a port such as 127.0.0.1:24, or unix:PATH",
    _place,
    lambda value: f"{UNIX}{value}" if isinstance(value, Path) else str(value),
    _under,
)


def endpoint(reactor: Any, where: Place) -> IStreamClientEndpoint:
    """What reaches the server at *where*."""
    made: IStreamClientEndpoint
    if isinstance(where, Path):
        made = UNIXClientEndpoint(reactor, str(where), timeout=CONNECT_TIMEOUT)
    else:
        made = HostnameEndpoint(reactor, where.host, where.port, timeout=CONNECT_TIMEOUT)
    return made


class Lmtp:
    """One server for local delivery; a connection for each mail."""

    def __init__(
        self, clock: Clock, endpoint: IStreamClientEndpoint, hello: str, timeout: float
    ) -> None:
        self._dialogues = Dialogues(clock, endpoint, timeout)
        self._hello = hello
        self._timeout = timeout

    async def send(self, sender: str, recipients: Sequence[str], mail: Mail) -> Mapping[str, int]:
        """The server's code for each of *recipients*, all different; *sender* may be empty.

        :raises Away: there was no complete answer.
        :raises EightBit: the server takes 7-bit mail only and this one cannot be made so.
        """
        dialogue = await self._dialogues.open()
        try:
            return await self._send(dialogue, sender, recipients, mail)
        finally:
            dialogue.leave()

    async def _send(
        self, dialogue: Dialogue, sender: str, recipients: Sequence[str], mail: Mail
    ) -> Mapping[str, int]:
        await _expect(dialogue.answer(), 220)
        hello = await _expect(dialogue.ask(f"LHLO {self._hello}"), 250)
        offered = {text.partition(" ")[0].upper() for text in hello[1:]}
        if "8BITMIME" not in offered:
            mail = mail.seven_bit()
        body = " BODY=8BITMIME" if mail.eight_bit else ""
        answer = await dialogue.ask(f"MAIL FROM:<{sender}>{body}")
        if answer.code not in SUCCESS:
            return dict.fromkeys(recipients, _told(answer.code))
        codes: dict[str, int] = {}
        for recipient in recipients:
            codes[recipient] = _told((await dialogue.ask(f"RCPT TO:<{recipient}>")).code)
        taken = [recipient for recipient in recipients if codes[recipient] in SUCCESS]
        if not taken:
            return codes
        answer = await dialogue.ask("DATA")
        if answer.code != 354:
            return codes | dict.fromkeys(taken, _told(answer.code, expected=False))
        answer = await dialogue.hand_over(data.encode(mail.octets()), self._timeout)
        codes[taken[0]] = _told(answer.code)
        for recipient in taken[1:]:
            codes[recipient] = _told((await dialogue.answer(self._timeout)).code)
        return codes

    async def stop(self) -> None:
        """Let mails under way end."""
        await self._dialogues.stop()


async def _expect(answer: Any, code: int) -> tuple[str, ...]:
    got = await answer
    if got.code != code:
        raise Away(f"lmtp-{got.code}")
    texts: tuple[str, ...] = got.texts
    return texts


def _told(code: int, *, expected: bool = True) -> int:
    """*code* where it can be an answer to what was asked."""
    if code == CLOSING or not (400 <= code < 600 or (expected and code in SUCCESS)):
        raise Away(f"lmtp-{code}")
    return code

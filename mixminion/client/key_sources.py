"""Named sources of other people's keys: folders, and places of the web that are asked by address.

The name under which a source has a key is a digest of the address (doc/spec/sealed.rst), so that
the same files serve a folder and a web server, and a request does not carry the address itself.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import override

from mixminion.client import addresses, pages
from mixminion.client.addresses import DROP_EXIT, MAIL_EXIT, NEWS_EXIT
from mixminion.client.database import Executor
from mixminion.client.errors import BadPage, PageNotRead
from mixminion.client.key_errors import BadKeyFile, NoKeyForThat, SourceFailed
from mixminion.client.pages import Connect, Page
from mixminion.config import option, section, values
from mixminion.crypto.kdf import sha256
from mixminion.dirhttp.proxies import Proxies
from mixminion.interfaces import Clock
from mixminion.payload import public_key
from mixminion.payload.errors import BadKey
from mixminion.util.armor import BadArmor

SUFFIX = ".key"

_LABEL = b"mixminion2 key of\0"
_FORM = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,19})=(\S.*)", re.ASCII)
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_ABSENT = (404, 410)


@dataclass(frozen=True, slots=True)
class KeySource:
    """A folder, or an address of the web in which ``{hash}`` stands for the key's name, and
    ``{domain}`` for what is behind the @ of a mail address."""

    name: str
    where: Path | str

    @property
    def tells(self) -> bool:
        """Whether somebody else learns that the key is looked for."""
        return isinstance(self.where, str)

    @override
    def __str__(self) -> str:
        return f"{self.name}={self.where}"


def _parse(text: str) -> KeySource:
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError
    name, where = found.groups()
    if not where.startswith(("http://", "https://")):
        return KeySource(name, values.path.read(where))
    placeholders = _PLACEHOLDER.findall(where)
    if "hash" not in placeholders or not {"hash", "domain"}.issuperset(placeholders):
        raise ValueError
    try:
        Page.parse(where.format(hash="x", domain="example.org"))
    except (BadPage, ValueError, IndexError, KeyError):
        raise ValueError from None
    return KeySource(name, where)


def _place(source: KeySource, home: Path) -> KeySource:
    return KeySource(source.name, home / source.where) if not source.tells else source


key_source: values.Value[KeySource] = values.Value(
    "NAME=FOLDER, or NAME=https://... with {hash} in it", _parse, str, _place
)


@section("Keys")
class KeysSection:
    """Where other people's keys are looked for."""

    sources: tuple[KeySource, ...] = option(
        values.list_of(key_source),
        default=(),
        doc="""Who is asked for keys by `mixminion key find`: NAME=FOLDER, with a file ADDRESS.key
        or HASH.key for each, or NAME=https://keys.example.org/{hash}.key; {hash} is a digest of
        the address, {domain} what is behind its @.  Whoever runs such a server learns whose key
        is looked for.""",
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """Two of one name."""
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names) or "file" in names:
            yield "sources", "expected different names, none of them file"


def canonical(address: str) -> str:
    """The one form of all texts for the same recipient.

    :raises BadAddress: it is no address.
    :raises NoKeyForThat: of nobody in particular.
    """
    found = addresses.parse(address)
    if found.exit in (DROP_EXIT, NEWS_EXIT) or len(found.recipients) != 1:
        raise NoKeyForThat(address=address)
    [recipient] = found.recipients
    if found.exit == MAIL_EXIT and found.mail:
        return recipient.lower()
    server = f"@{found.server.lower()}" if found.server else ""
    return f"{found.exit}:{recipient}{server}"


def name_of(address: str) -> str:
    """Under which name a key for the *canonical* address is kept, 52 characters."""
    digest = sha256(_LABEL + address.encode())
    return base64.b32encode(digest).decode("ascii").rstrip("=").lower()


def read(octets: bytes, name: str) -> tuple[bytes, str | None]:
    """The one key in a file of that *name*, and the address beside it.

    :raises BadKeyFile: there is none, or more than one.
    :raises UserError: it is damaged (BadKey, BadArmor).
    """
    if len(octets) > public_key.LONGEST:
        raise BadKeyFile(name=name, found="more than any key has")
    found = public_key.find(octets)
    if len({public for public, _ in found}) != 1:
        raise BadKeyFile(name=name, found=f"{len(found)} keys" if found else "no key")
    return found[0]


class Lookup(Protocol):
    """Asks a source."""

    async def ask(self, source: KeySource, address: str) -> bytes | None:
        """The public key that it has for a canonical address; None when it has none.

        :raises SourceFailed: it gave no answer that can be used.
        """


class Asking:
    """The real one.  *connect* gives endpoints, *executor* reads files, *trust* are the roots of
    certificates where they are not the machine's."""

    def __init__(
        self,
        clock: Clock,
        connect: Connect,
        proxies: Proxies,
        executor: Executor,
        trust: Any = None,
    ) -> None:
        self._clock = clock
        self._connect = connect
        self._proxies = proxies
        self._executor = executor
        self.trust = trust

    async def ask(self, source: KeySource, address: str) -> bytes | None:
        """See :class:`Lookup`."""
        if isinstance(source.where, str):
            octets = await self._page(source.name, source.where, address)
        else:
            try:
                octets = await self._executor.run(_in_folder, source.where, address)
            except OSError as error:
                raise SourceFailed(source=source.name, why=error.strerror) from None
        if octets is None:
            return None
        try:
            return read(octets, "its answer")[0]
        except (BadKey, BadArmor) as error:
            raise SourceFailed(source=source.name, why=error.fields["why"]) from None
        except BadKeyFile as error:
            why = f"there is {error.fields['found']} in its answer"
            raise SourceFailed(source=source.name, why=why) from None

    async def _page(self, name: str, template: str, address: str) -> bytes | None:
        domain = address.rpartition("@")[2] if ":" not in address else ""
        if "{domain}" in template and not domain:
            return None
        try:
            return await pages.read(
                template.format(hash=name_of(address), domain=domain),
                public_key.LONGEST,
                clock=self._clock,
                connect=self._connect,
                proxies=self._proxies,
                trust=self.trust,
            )
        except PageNotRead as error:
            if error.fields["answered"] in _ABSENT:
                return None
            raise SourceFailed(source=name, why=error.fields["why"]) from None


def _in_folder(folder: Path, address: str) -> bytes | None:
    names = [name_of(address)]
    if "/" not in address and "\\" not in address and not address.startswith("."):
        names.append(address)
    if not folder.is_dir():
        raise NotADirectoryError(0, "there is no such folder")
    for name in names:
        path = folder / (name + SUFFIX)
        if path.exists():
            with path.open("rb") as file:
                return file.read(public_key.LONGEST + 1)
    return None

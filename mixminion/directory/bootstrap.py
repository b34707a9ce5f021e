"""Bootstrap files: who a network's authorities are and where to ask, for those who join it.

One strict INI file, made to be read and compared by people (``doc/spec/directory.rst``)::

    [Network]
    name = example

    [Authority moria]
    identity = 77aa01bc...
    url = http://192.0.2.1:8080/

    [Sources]
    urls = https://198.51.100.7:48099/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from mixminion.config import ConfigErrors, Problem, option, parse, section, values
from mixminion.config.values import Value
from mixminion.directory.errors import BadBootstrap
from mixminion.util.hostport import HostPort

FORMAT = 1
LIMIT = 65_536
"""Octets of a bootstrap file."""
MOST_AUTHORITIES = 64


@dataclass(frozen=True, slots=True)
class Authority:
    """Whom to believe: the raw Ed25519 identity key, what people call it, and where it serves
    the directory (as :data:`place` writes it); the last two may be empty."""

    identity: bytes
    nickname: str = ""
    url: str = ""

    @property
    def fingerprint(self) -> str:
        """The key in eight groups of eight hexadecimal digits, to be compared by people."""
        digits = self.identity.hex()
        return " ".join(digits[i : i + 8] for i in range(0, len(digits), 8))


def _place(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme not in ("http", "https"):
        raise ValueError
    place = HostPort.parse(rest.removesuffix("/"), default_port=80 if scheme == "http" else 443)
    if place.port == 0:
        raise ValueError
    return f"{scheme}://{place}/"


place: Value[str] = Value(
    "http://HOST:PORT/, or https://HOST:PORT/ for a server's own port", _place
)
"""Where documents are served, with its port written out."""


def _authority(text: str) -> Authority:
    words = text.split()
    url = place.read(words.pop()) if "://" in text else ""
    *names, key = words
    if len(names) > 1:
        raise ValueError
    identity = values.hex_key().read(key)
    return Authority(identity, values.nickname.read(names[0]) if names else "", url)


authority: Value[Authority] = Value(
    "[NICKNAME] KEY [URL]: an Ed25519 public key in 64 hexadecimal digits, what you call its"
    " owner, and http://HOST:PORT/ where he serves the directory",
    _authority,
    lambda value: " ".join(filter(None, (value.nickname, value.identity.hex(), value.url))),
)
"""One of a list of authorities, in configurations."""


@section("Network")
class NetworkSection:
    """Which network this is."""

    format: int = option(
        values.integer(FORMAT, FORMAT), default=FORMAT, doc="The version of this format."
    )
    name: str = option(values.text_up_to(64), doc="What people call the network.")


@section("Authority", named=True)
class AuthoritySection:
    """One directory authority, by its nickname."""

    identity: bytes = option(values.hex_key(), doc="Its Ed25519 identity key.")
    url: str | None = option(place, default=None, doc="Where it serves the directory.")


@section("Sources")
class SourcesSection:
    """Others who serve the directory."""

    urls: tuple[str, ...] = option(
        values.list_of(place), default=(), doc="They need not be trusted."
    )


_SECTIONS = (NetworkSection, AuthoritySection, SourcesSection)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What a bootstrap file says.  ``others`` are sources besides the authorities."""

    name: str
    authorities: tuple[Authority, ...]
    others: tuple[str, ...] = ()

    @classmethod
    def read(cls, octets: bytes, name: str) -> Self:
        """Read a bootstrap file; *name* is the file's or address', for sentences.

        :raises BadBootstrap: with everything that is wrong in it.
        """
        try:
            text = octets[: LIMIT + 1].decode("utf-8")
        except UnicodeDecodeError:
            raise BadBootstrap(name=name, listing="  it is not text in UTF-8") from None
        if len(octets) > LIMIT:
            raise BadBootstrap(name=name, listing=f"  it is longer than {LIMIT} octets")
        try:
            config = parse(text, filename=name, sections=_SECTIONS, named_resolver=_resolver)
        except ConfigErrors as errors:
            raise BadBootstrap(name=name, listing=_listing(errors.problems)) from None
        sections: Mapping[str, AuthoritySection] = config.named(AuthoritySection)
        others = config[SourcesSection].urls
        problems = [
            config.problem(AuthoritySection, key, expected, found)
            for found, key, expected in _together(sections)
        ]
        if not sections:
            problems.append(config.problem(NetworkSection, "", "expected an [Authority NICKNAME]"))
        elif not others and all(each.url is None for each in sections.values()):
            expected = "expected the url of an authority, or [Sources] urls"
            problems.append(config.problem(NetworkSection, "", expected))
        if problems:
            raise BadBootstrap(name=name, listing=_listing(problems))
        authorities = (
            Authority(each.identity, found, each.url or "") for found, each in sections.items()
        )
        return cls(config[NetworkSection].name, tuple(authorities), others)

    @property
    def sources(self) -> tuple[str, ...]:
        """Everywhere the directory is served, the authorities first, none twice."""
        urls = (each.url for each in self.authorities if each.url)
        return tuple(dict.fromkeys((*urls, *self.others)))

    @property
    def needed(self) -> int:
        """How many of the authorities have to sign a directory."""
        return len(self.authorities) // 2 + 1

    def text(self) -> str:
        """The file that says all this."""
        lines = ["[Network]", f"name = {self.name}", ""]
        for each in self.authorities:
            lines += [f"[Authority {each.nickname}]", f"identity = {each.identity.hex()}"]
            lines += [f"url = {each.url}", ""] if each.url else [""]
        if self.others:
            lines += ["[Sources]", "urls =", *(f"  {url}" for url in self.others), ""]
        return "\n".join(lines)


def _resolver(kind: str, name: str, texts: Mapping[str, str]) -> type:
    values.nickname.read(name)
    return AuthoritySection


def _together(sections: Mapping[str, AuthoritySection]) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the authorities beside each other: name, key, expectation."""
    names: dict[str, str] = {}
    keys: dict[bytes, str] = {}
    for name, each in sections.items():
        if names.setdefault(name.lower(), name) != name:
            yield name, "", f"{names[name.lower()]} has this nickname already"
        if keys.setdefault(each.identity, name) != name:
            yield name, "identity", f"{keys[each.identity]} has this key already"
    for name in list(sections)[MOST_AUTHORITIES:]:
        yield name, "", f"expected at most {MOST_AUTHORITIES} authorities"


def _listing(problems: Iterable[Problem]) -> str:
    return "\n".join(f"  {problem}" for problem in sorted(problems))

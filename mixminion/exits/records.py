"""What an exit needs in the DNS so that its mail is believed, and what comes back arrives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from mixminion.exits.dkim import Key
from mixminion.util.hostport import is_name

IPAddress = IPv4Address | IPv6Address

_PART = 255
"""Characters of one string of a TXT record."""


@dataclass(frozen=True, slots=True)
class Exit:
    """What the records are made of."""

    name: str  #: the delivery name
    domain: str
    host: str  #: the name that its mail server says in EHLO
    addresses: tuple[IPAddress, ...]  #: from which mail leaves
    keys: tuple[Key, ...]  #: for DKIM
    direct: bool = False  #: whether mail leaves without a relay


@dataclass(frozen=True, slots=True)
class Record:
    """One record; names without the dot at the end."""

    name: str
    type: str
    text: str
    why: str

    @property
    def zone_line(self) -> str:
        """It as a line of a zone file."""
        text = self.text
        if self.type == "TXT":
            parts = [text[at : at + _PART] for at in range(0, len(text), _PART)]
            text = " ".join(f'"{part}"' for part in parts)
            text = f"( {text} )" if len(parts) > 1 else text
        elif self.type in {"MX", "PTR"}:
            text = f"{text}."
        return f"{self.name}. IN {self.type} {text}"


def host_name(hello: str, domain: str) -> str:
    """The name for EHLO, or the domain where an IP address in brackets would be said."""
    return hello.lower() if "." in hello and is_name(hello.lower()) else domain


def wanted(exit: Exit) -> Iterator[Record]:
    """The records that *exit* should have."""
    domain, host = exit.domain, exit.host
    sources = [f"ip{each.version}:{each}" for each in exit.addresses] or [f"a:{host}"]
    yield Record(
        domain, "TXT", f"v=spf1 {' '.join(sources)} -all", "SPF: who may send mail from the domain"
    )
    for key in exit.keys:
        why = f"DKIM: the other half of the key {key.selector} ({key.type})"
        yield Record(key.name, "TXT", key.record, why)
    yield Record(
        f"_dmarc.{domain}",
        "TXT",
        f"v=DMARC1; p=reject; adkim=s; aspf=s; rua=mailto:postmaster@{domain}",
        "DMARC: what to do with forgeries",
    )
    yield Record(domain, "MX", f"10 {host}", "where bounces, complaints and opt-outs go")
    for address in exit.addresses:
        kind = "A" if address.version == 4 else "AAAA"
        yield Record(host, kind, str(address), "the name that the mail server says in EHLO")
    for address in exit.addresses:
        why = "from whoever gave you the address: back to the same name"
        yield Record(address.reverse_pointer, "PTR", host, why)


def reversed_in(address: IPAddress, zone: str) -> str:
    """Where a block list *zone* has an address (RFC 5782)."""
    labels = address.reverse_pointer.split(".")
    return ".".join([*labels[:-2], zone])


def tags(text: str) -> dict[str, str]:
    """The tags of a DKIM or DMARC record; blanks mean nothing in them."""
    pairs: Sequence[tuple[str, str, str]] = [part.partition("=") for part in text.split(";")]
    return {name.strip(): "".join(value.split()) for name, sign, value in pairs if sign}

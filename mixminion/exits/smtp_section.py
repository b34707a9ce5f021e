"""The keys of an exit to mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from typing_extensions import override

from mixminion.config import option, section, values
from mixminion.config.values import Value
from mixminion.exits import smtp_program, smtp_tls
from mixminion.exits.dkim import KeyFile, key_file
from mixminion.exits.limits import LimitedSection
from mixminion.util.hostport import HostPort

RELAY = "relay"
SENDMAIL = "sendmail"
MX = "mx"
MOST_RECIPIENTS = 50


def _source(version: int) -> Value[str]:
    def parse(text: str) -> str:
        address = ip_address(text)
        if address.version != version:
            raise ValueError
        return str(address)

    return Value(f"an IPv{version} address", parse)


def _on_this_machine(resolver: HostPort | None) -> bool:
    return resolver is not None and resolver.address is not None and resolver.address.is_loopback


@section("Exit", named=True)
class Section(LimitedSection):
    """Mail, handed to a mail server that relays it, or to a program.  That server must take
    mail from this machine and should offer 8BITMIME."""

    transport: str = option(
        values.choice(RELAY, SENDMAIL, MX),
        default=RELAY,
        doc="""How mail leaves: by the mail server under relay, by the program under command, or
        straight to the recipients' servers, which the DNS names.""",
    )
    command: tuple[str, ...] = option(
        smtp_program.command,
        default="/usr/sbin/sendmail",
        doc="""With transport = sendmail: a program that is called, without a shell, with the
        arguments -i -f SENDER -- RECIPIENTS, and reads the mail.  It has final-timeout to end.""",
    )
    relay: HostPort = option(
        values.host_port,
        default="127.0.0.1:25",
        doc="The mail server.  Usually the operator's own, on the same machine.",
    )
    resolver: HostPort | None = option(
        values.host_port,
        default=None,
        doc="""With transport = mx: the resolver to ask, instead of this machine's.  It learns
        to which domains mail goes.""",
    )
    source: str | None = option(
        _source(4),
        default=None,
        doc="With transport = mx: the IPv4 address that mail comes from.",
    )
    source6: str | None = option(
        _source(6),
        default=None,
        doc="""With transport = mx: the same for IPv6, which is not used without.  IPv4 comes
        first, until this address has a name in the DNS that leads back to it.""",
    )
    destination_sessions: int = option(
        values.integer(1, 100),
        default=4,
        doc="With transport = mx: sessions for one domain at once.",
    )
    mta_sts: bool = option(
        values.boolean,
        default="yes",
        doc="""With transport = mx: whether the policies of domains are asked for and kept
        (MTA-STS, RFC 8461): which hosts take their mail, with certificates that are checked.""",
    )
    mta_sts_file: Path = option(
        values.path,
        default="mta-sts.json",
        doc="""Where these policies are kept.  It names domains that mail went to and that have a
        policy.""",
    )
    dane: bool = option(
        values.boolean,
        default="no",
        doc="""With transport = mx: whether certificates are checked by what the DNS says of them
        (DANE, RFC 7672).  It needs a resolver on this machine that validates DNSSEC.""",
    )
    mx_port: int = option(
        values.integer(1, 65535), default=25, doc="With transport = mx: the port; for tests."
    )
    internal_addresses: bool = option(
        values.boolean,
        default="no",
        doc="""With transport = mx: whether mail may go to addresses that are not public.  Anybody
        may name any address in the DNS; for tests.""",
    )
    hello: str | None = option(
        values.mail_domain,
        default=None,
        doc="The name for EHLO.  Without it the server's host name.",
    )
    dkim_keys: tuple[KeyFile, ...] = option(
        values.list_of(key_file),
        default="",
        doc="""The keys that mail is signed with (DKIM), each with the selector under which the
        DNS has its other half.  One of RSA at least, since many know no other; one of Ed25519
        beside it.  Without any, the relay should sign.""",
    )
    max_message: int = option(
        values.within(values.size, 1024, 1 << 26),
        default="1 MiB",
        doc="The longest message taken, before encoding; published.",
    )
    timeout: float = option(
        values.within(values.duration, 1.0), default="5 minutes", doc="For each of its answers."
    )
    final_timeout: float = option(
        values.within(values.duration, 1.0),
        default="10 minutes",
        doc="For its answer to a whole mail.  Too short a time brings mails twice.",
    )
    idle_timeout: float = option(
        values.within(values.duration, 1.0),
        default="10 s",
        doc="How long a session is kept for the next mail.",
    )

    def describe(self, module: str) -> Mapping[str, Any]:
        """What an exit of *module* says of itself."""
        return {
            "module": module,
            "max-message": self.max_message,
            "max-recipients": MOST_RECIPIENTS,
            **self.published,
        }

    def refuse(self, recipients: Sequence[str], content: bytes, reply: bool) -> str | None:
        """``too-large``, ``no-recipient`` or ``too-many-recipients``, where it is so."""
        if len(content) > self.max_message:
            return "too-large"
        if not recipients:
            return "no-recipient"
        if len(recipients) > (1 if reply else MOST_RECIPIENTS):
            return "too-many-recipients"
        return None

    @override
    def problems(self) -> Iterator[tuple[str, str]]:
        """What only several keys together show."""
        yield from LimitedSection.problems(self)
        if self.transport != RELAY and self.user is not None:
            yield "user", "expected transport = relay beside it"
        if self.transport != MX:
            for key in ("resolver", "source", "source6"):
                if getattr(self, key) is not None:
                    yield key, "expected transport = mx beside it"
        if self.dane and not _on_this_machine(self.resolver):
            yield "dane", "expected resolver = 127.0.0.1:53 beside it: another's word is worthless"
        if self.transport == MX and self.tls == smtp_tls.IMPLICIT:
            yield "tls", "expected another: servers for everybody begin without TLS"

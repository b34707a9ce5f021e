"""The keys of every exit that hands over to a server: from whom, by which TLS, who we are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from typing_extensions import override

from mixminion.config import option, section, values
from mixminion.exits import smtp_auth, smtp_tls
from mixminion.exits.mail_section import MailSection, mailbox
from mixminion.exits.smtp_auth import Credentials
from mixminion.mail import address
from mixminion.mail.address import Mailbox
from mixminion.util.hostport import HostPort

_CHECKED = "tls = required or tls = implicit"


@section("Exit", named=True)
class ServedSection(MailSection):
    """An exit that hands over to a server."""

    domain: str = option(values.mail_domain, doc="The domain that messages leave under.")
    from_: Mailbox | None = option(
        mailbox,
        default=None,
        doc="""The From field, and of mail the envelope's sender, in the exit's domain.  Without it
        Anonymous <anonymous@DOMAIN>.""",
    )
    tls: str = option(
        values.choice(smtp_tls.NO, smtp_tls.OPPORTUNISTIC, smtp_tls.REQUIRED, smtp_tls.IMPLICIT),
        default=smtp_tls.OPPORTUNISTIC,
        doc="""STARTTLS: never; when the server offers it, its certificate not looked at; or
        always, its certificate checked for the server's host name, and nothing sent without.
        With implicit the connection begins with TLS, as on ports 465 and 563, checked alike.""",
    )
    ca_file: Path | None = option(
        values.path,
        default=None,
        doc="""With tls = required or implicit: certificates in PEM that the server's is checked
        against, instead of the system's.""",
    )
    user: str | None = option(
        values.text_up_to(200),
        default=None,
        doc="""The name to log in with.  It needs a password-file, and tls = required or implicit:
        a password is never sent to a server that was not checked.""",
    )
    password_file: Path | None = option(
        values.path, default=None, doc="A private file whose first line is the password."
    )
    connect_timeout: float = option(
        values.within(values.duration, 1.0), default="30 s", doc="To reach the server."
    )

    @property
    def sender(self) -> Mailbox:
        """Who messages are from."""
        return self.from_ or address.parse_mailbox(f"Anonymous <anonymous@{self.domain}>")

    def client_tls(self, host: str) -> IOpenSSLClientConnectionCreator | None:
        """What to start TLS with for *host*; see :func:`mixminion.exits.smtp_tls.client`."""
        return smtp_tls.client(self.tls, host, self.ca_file)

    @property
    def implicit(self) -> bool:
        """Whether a connection begins with TLS by itself."""
        return self.tls == smtp_tls.IMPLICIT

    def endpoint(
        self, reactor: Any, place: HostPort, tls: IOpenSSLClientConnectionCreator | None
    ) -> IStreamClientEndpoint:
        """Connects to *place*; begins with *tls* where that is implicit."""
        made: IStreamClientEndpoint = HostnameEndpoint(
            reactor, place.host, place.port, timeout=self.connect_timeout
        )
        return wrapClientTLS(tls, made) if self.implicit and tls is not None else made

    def credentials(self) -> Credentials | None:
        """Who we are to the server, if it is to know.

        :raises mixminion.errors.OperatorError: the password cannot be read.
        """
        if self.user is None or self.password_file is None:
            return None
        return smtp_auth.read(self.user, self.password_file)

    @override
    def problems(self) -> Iterator[tuple[str, str]]:
        """What only several keys together show."""
        yield from MailSection.problems(self)
        if self.from_ is not None and self.from_.address.domain != self.domain:
            yield "from", f"expected an address in the domain {self.domain}"
        if self.ca_file is not None and self.tls not in smtp_tls.CHECKED:
            yield "ca-file", f"expected {_CHECKED} beside it: otherwise nothing is checked"
        if self.user is not None and self.tls not in smtp_tls.CHECKED:
            yield "user", f"expected {_CHECKED} beside it: the password would be in the clear"
        if (self.user is None) != (self.password_file is None):
            yield "password-file", "expected user and password-file together"

"""Every way a link can be refused, each with the sentence a person reads.

The refusing side raises the precise error.  What the other side can know is the TLS alert
it was sent (RFC 8446, section 6), so that its errors, the ``refused-...`` ones, are named
after alerts.
"""

from __future__ import annotations

from mixminion.errors import EX_NOPERM, EX_UNAVAILABLE, OperatorError, PeerError


class LinkRefused(PeerError):
    """A link that did not come about; the branch of everything below it."""

    code = "link-refused"
    sentence = "The link was refused ({code})."


class WrongIdentity(LinkRefused):
    """The chain is sound but leads to another identity than the one asked for."""

    code = "wrong-identity"
    sentence = (
        "The machine at this address proved another identity than the directory lists for it;"
        " nothing was sent to it.  Fetch a newer directory; if it stays so, tell the server's"
        " operator, for somebody may stand between."
    )


class Expired(LinkRefused):
    """The other side's signing certificate has ended.  Field: ``ended`` (a time)."""

    code = "expired"
    sentence = (
        "The other side's signing certificate ended at {ended}: if this machine's clock is right,"
        ' its operator has to run "mixminion server certify".'
    )


class NotYetValid(LinkRefused):
    """The other side's signing certificate begins later.  Field: ``begins`` (a time)."""

    code = "not-yet-valid"
    sentence = (
        "The other side's signing certificate begins only at {begins}: check this machine's clock,"
        " then ask the other operator to check his."
    )


class ClockWrong(LinkRefused):
    """A link certificate, made minutes ago, is outside its dates.  Field: ``minutes``."""

    code = "clock-wrong"
    sentence = (
        "The clocks of the two machines differ by {minutes} minutes or more: check this one"
        " (for example with an NTP client), then ask the other operator to check his."
    )


class BadCertificate(LinkRefused):
    """The chain does not have the form of a Mixminion link's."""

    code = "bad-certificate"
    sentence = (
        "The other side showed a certificate that is not one of a Mixminion server; it is"
        " perhaps another program listening at this address."
    )


class WrongProtocol(LinkRefused):
    """No application protocol in common."""

    code = "wrong-protocol"
    sentence = (
        "The two sides have no protocol in common: one of them is too old, or is not a"
        " Mixminion program."
    )


class WrongGroup(LinkRefused):
    """No key exchange group in common."""

    code = "wrong-group"
    sentence = (
        "The two sides have no key exchange in common: both need X25519MLKEM768, so one of them"
        " is too old or was set to an insecure mode."
    )


class WrongVersion(LinkRefused):
    """The other side does not speak TLS 1.3."""

    code = "wrong-version"
    sentence = "The other side does not speak TLS 1.3; it is too old or another program."


class NotTLS(LinkRefused):
    """What arrived is not TLS, or is broken TLS."""

    code = "not-tls"
    sentence = "The other side sent something that is not TLS; it is another program."


class RefusedAsExpired(LinkRefused):
    """Alert ``certificate_expired``."""

    code = "refused-as-expired"
    sentence = (
        "The other side says that our certificate has ended: check this machine's clock and the"
        ' dates that "mixminion server status" shows; if both are right, its clock is wrong.'
    )


class RefusedAsNotValid(LinkRefused):
    """Alert ``bad_certificate``: not yet valid, by the other side's clock."""

    code = "refused-as-not-valid"
    sentence = (
        "The other side says that our certificate is not valid yet: check this machine's clock;"
        " if it is right, the other side's is wrong."
    )


class RefusedAsStranger(LinkRefused):
    """Alert ``unknown_ca``: not the identity, or not the form, that the other side expects."""

    code = "refused-as-stranger"
    sentence = (
        "The other side expected another identity here: check which address this server"
        " publishes, and that no other server uses it."
    )


class RefusedUnsaid(LinkRefused):
    """Any other alert.  Field: ``alert``, its name."""

    code = "refused"
    sentence = "The other side refused the link ({alert})."


class HandshakeCut(LinkRefused):
    """The connection ended before the link was up, without a word."""

    code = "handshake-cut"
    sentence = (
        "The other side hung up before the link was up: it may be overloaded, stopping, or"
        " another program."
    )


class HandshakeTooSlow(LinkRefused):
    """The link was not up within its deadline.  Field: ``seconds``."""

    code = "handshake-too-slow"
    sentence = "The other side did not complete the link within {seconds} seconds."


class TooManyConnections(LinkRefused):
    """Over a limit of connections.  Field: ``limit``, ``prefix`` or ``total``."""

    code = "too-many-connections"
    sentence = "A connection was turned away: the {limit} limit of connections is reached."


class NotWanted(LinkRefused):
    """Somebody whom the configuration keeps away."""

    code = "not-wanted"
    sentence = "A connection was turned away: the server takes none from that address."


class CannotListen(OperatorError):
    """A listener cannot have its address.  Fields: ``address``, ``problem``."""

    code = "cannot-listen"
    sentence = (
        "Cannot listen on {address} ({problem}): change the listen line of the configuration to"
        " an address of this machine."
    )
    exit_code = EX_UNAVAILABLE


class PortInUse(CannotListen):
    """Another program has the port."""

    code = "port-in-use"
    sentence = (
        "Cannot listen on {address}, another program does: stop it, or change the listen line"
        " of the configuration."
    )


class PortForbidden(CannotListen):
    """The port is below 1024 and we are not root."""

    code = "port-forbidden"
    sentence = (
        "Cannot listen on {address} ({problem}): take a port above 1023, or start as root and"
        " let the server change to its own user."
    )
    exit_code = EX_NOPERM


class BadSigningCertificate(OperatorError):
    """Our own signing certificate does not fit.  Field: ``problem``."""

    code = "bad-signing-certificate"
    sentence = 'The signing certificate {problem}: make a new one with "mixminion server certify".'

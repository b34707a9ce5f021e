"""From what TLS says to what people read: failures of a handshake as our own errors."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.logger import Logger
from twisted.python.failure import Failure

from mixminion.counters import Counters, Name
from mixminion.net import errors
from mixminion.net.tls import NoCommonProtocol, refusal_of

log = Logger()

_ALERTS: dict[str, type[errors.LinkRefused]] = {
    "certificate expired": errors.RefusedAsExpired,
    "bad certificate": errors.RefusedAsNotValid,
    "unknown ca": errors.RefusedAsStranger,
    "handshake failure": errors.WrongGroup,
    "protocol version": errors.WrongVersion,
    "no application protocol": errors.WrongProtocol,
}

_OWN: dict[str, type[errors.LinkRefused]] = {
    "no suitable key share": errors.WrongGroup,
    "unsupported protocol": errors.WrongVersion,
}


def translate(failure: Failure, transport: object) -> errors.LinkRefused:
    """Why a link did not come about: a handshake's failure, or the end of a connection
    that was not up yet, as one of our errors."""
    refusal = refusal_of(transport)
    if refusal is not None:
        return refusal
    error = failure.value
    if isinstance(error, errors.LinkRefused):
        return error
    if isinstance(error, NoCommonProtocol):
        return errors.WrongProtocol()
    if isinstance(error, SSL.Error):
        return _of_openssl(_reason(error))
    return errors.HandshakeCut()


def report(error: errors.LinkRefused, side: str, counters: Counters | None) -> None:
    """Count a refused link and log it, once: *side* is ``listening`` or ``dialling``."""
    if counters is not None:
        counters.add(Name.LINK_REFUSED)
    log.info("link refused: {code} ({side})", code=error.code, side=side)


def _reason(error: SSL.Error) -> str:
    """OpenSSL's last word; empty when it left none."""
    queue = error.args[0] if error.args else None
    return str(queue[-1][-1]) if isinstance(queue, list) and queue else ""


def _of_openssl(reason: str) -> errors.LinkRefused:
    _, found, alert = reason.rpartition(" alert ")
    if found:
        kind = _ALERTS.get(alert)
        return errors.RefusedUnsaid(alert=alert) if kind is None else kind()
    return _OWN.get(reason, errors.NotTLS)()

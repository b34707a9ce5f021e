"""What is wrong with somebody's mail.  ``code`` doubles as an exit's reason word."""

from __future__ import annotations

from mixminion.errors import EX_DATAERR, UserError


class MailError(UserError):
    """A mail or an address that will not be sent as it is."""

    code = "bad-mail"
    sentence = "This is not a mail that can be sent."
    exit_code = EX_DATAERR


class BadAddress(MailError):
    """Not an address that an exit takes.  Field: ``why``."""

    code = "bad-address"
    sentence = "The address is not one that mail can be sent to: {why}. Write it as user@domain."


class NotAMessage(MailError):
    """The content is not fields, an empty line and a body.  Field: ``why``."""

    code = "not-a-message"
    sentence = "This is not an RFC 5322 message: {why}."


class BadField(MailError):
    """A header field's value cannot be sent.  Fields: ``name``, ``why``."""

    code = "bad-field"
    sentence = "The header field {name} cannot be sent: {why}."


class RepeatedField(MailError):
    """A field that may be there once is there twice.  Field: ``name``."""

    code = "repeated-field"
    sentence = "The header field {name} is there twice; leave one."


class RefusedField(MailError):
    """A field that steers servers, or vouches for somebody else.  Field: ``name``."""

    code = "refused-field"
    sentence = (
        "The header field {name} is for servers or vouches for somebody else, so that this message"
        " is not sent; take the field out."
    )


class LineTooLong(MailError):
    """A line over 998 octets, or a NUL, where nothing may be re-encoded."""

    code = "line-too-long"
    sentence = (
        "A line of the message is over 998 octets long or has a NUL octet in it, where it must not"
        " be changed (in a signed part, say); encode that part as quoted-printable or base64."
    )


class EightBit(MailError):
    """The next server takes 7-bit mail only, and a part must not be re-encoded."""

    code = "eight-bit"
    sentence = "The mail server takes 7-bit mail only; encode the message before it is signed."

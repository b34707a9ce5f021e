"""Every way a session can end that is not its ordinary end."""

from __future__ import annotations

from mixminion.errors import PeerError


class SessionError(PeerError):
    """The branch of everything below it."""

    code = "session-broken"
    sentence = "The link to the other server broke ({code})."


class DialFailed(SessionError):
    """No connection at all.  Field: ``problem``, from the operating system."""

    code = "dial-failed"
    sentence = "The server cannot be reached ({problem}); packets for it wait and are tried again."


class DialTooSlow(SessionError):
    """No answer, or no ``accepted`` frame, in time.  Field: ``seconds``."""

    code = "dial-too-slow"
    sentence = (
        "The server did not accept a link within {seconds} seconds;"
        " packets for it wait and are tried again."
    )


class BadFrame(SessionError):
    """A frame of unknown kind, or not zero where it must be.  Field: ``problem``."""

    code = "bad-frame"
    sentence = "The other side broke the link protocol ({problem}); it has perhaps a defect."


class OutOfSequence(SessionError):
    """A sequence number that is not the next one."""

    code = "out-of-sequence"
    sentence = "The other side numbered its frames wrongly; it has perhaps a defect."


class WindowExceeded(SessionError):
    """More frames unanswered than the window allows."""

    code = "window-exceeded"
    sentence = "The other side sent more than it was allowed to; it has perhaps a defect."


class WrongVersion(SessionError):
    """An answer of another version of MMTP.  Field: ``version``."""

    code = "wrong-mmtp-version"
    sentence = "The other side speaks version {version} of MMTP, not 2: update the older one."


class Truncated(SessionError):
    """The connection ended in the middle of a frame."""

    code = "truncated"
    sentence = "The other side hung up in the middle of a packet; it will send it again."


class NotClosed(SessionError):
    """The connection ended without a TLS close."""

    code = "not-closed"
    sentence = "The connection broke off; packets not yet acknowledged are sent again."


class Stalled(SessionError):
    """The other side reads nothing, or answers nothing.  Field: ``seconds``."""

    code = "stalled"
    sentence = (
        "The other side did nothing for {seconds} seconds; the link was ended, packets not yet"
        " acknowledged are sent again."
    )


class ClosedByPeer(SessionError):
    """A ``closing`` frame that is not an ordinary end.  Field: ``reason``."""

    code = "closed-by-peer"
    sentence = "The other side ended the link ({reason})."


class WrongFetchVersion(SessionError):
    """A frame of another version of the protocol for mailboxes.  Field: ``version``."""

    code = "wrong-fetch-version"
    sentence = "The other side speaks version {version} of mmtp-fetch, not 1: update the older one."


class NotProved(SessionError):
    """The signature is not the one of the capability on this session."""

    code = "not-proved"
    sentence = "The server did not accept the proof that the mailbox is yours."

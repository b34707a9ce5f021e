"""What can be wrong with a directory document, one sentence each."""

from __future__ import annotations

from mixminion.errors import EX_CONFIG, EX_DATAERR, PeerError, UserError


class BadDocument(PeerError):
    """Octets that are not a document of ours: ``document`` names its kind, ``problem`` what."""

    code = "bad-document"
    sentence = "This {document} is malformed ({problem}); fetch it from another source."


class NewerDocument(PeerError):
    """A document of a version that this software does not read."""

    code = "newer-document"
    sentence = (
        "This {document} has format {version}, which this release of Mixminion does not read;"
        " install a newer release."
    )


class BadSignature(PeerError):
    """A document that its own author did not sign, or a certificate that does not hold."""

    code = "bad-signature"
    sentence = (
        "This {document} is not signed as it must be ({problem}); its author must make it anew."
    )


class WrongDigest(PeerError):
    """Octets other than those that were asked for by digest."""

    code = "wrong-digest"
    sentence = "This {document} is not the one that was asked for; fetch it from another source."


class NotEnoughSignatures(PeerError):
    """A consensus without a majority of the authorities that are trusted here."""

    code = "directory-signatures"
    sentence = (
        "The directory is signed by {signed} of the {known} authorities in your configuration, and"
        " it takes {needed} ({detail}); check the authorities' keys there, or fetch the"
        " directory from another source."
    )


class NoAuthorities(UserError):
    """Nobody is trusted, so nothing can be believed."""

    code = "no-authorities"
    sentence = (
        "The configuration names no directory authority; put the network's authority keys under"
        " [Directory] authorities."
    )
    exit_code = EX_CONFIG


class DirectoryExpired(PeerError):
    """``valid_until`` has passed."""

    code = "directory-expired"
    sentence = (
        "The directory expired at {valid_until}, {ago} ago; run `mixminion update`, and check this"
        " machine's clock if that does not help."
    )


class DirectoryEarly(PeerError):
    """``valid_after`` is still to come."""

    code = "directory-early"
    sentence = (
        "The directory is valid only from {valid_after}, in {ahead}; check this machine's clock."
    )


class DirectoryOlder(PeerError):
    """A consensus older than the one that is held."""

    code = "directory-older"
    sentence = (
        "The directory of {offered} is older than the one of {held} that is held, which stays;"
        " fetch from another source."
    )


class TwoDirectories(PeerError):
    """Two consensuses for one time, both with enough signatures."""

    code = "two-directories"
    sentence = (
        "There are two signed directories for {valid_after}: authorities have signed twice. The"
        " first one stays; tell the network's operators."
    )


class KeysMissing(PeerError):
    """A key document that is needed is not at hand."""

    code = "packet-keys-missing"
    sentence = (
        "The packet keys of key period {period} are missing; fetch them with `mixminion update`."
    )


class NoKeyPeriod(PeerError):
    """No listed key period contains the moment asked for."""

    code = "no-key-period"
    sentence = (
        "The directory lists no packet keys for {time}; run `mixminion update`, and check this"
        " machine's clock."
    )


class NoPacketKey(PeerError):
    """A server without a key for that key period."""

    code = "no-packet-key"
    sentence = "The server {server} has published no packet key for key period {period}."


class UnknownSuite(PeerError):
    """A network, or a key period, with packets this software cannot make."""

    code = "unknown-suite"
    sentence = (
        "The network's packets are of suite {suite}, which this release of Mixminion does not"
        " know; install a newer release."
    )


class BadBootstrap(UserError):
    """A file that does not say which network to join: ``listing`` has what is wrong, line by
    line."""

    code = "bad-bootstrap"
    sentence = (
        "{name} does not say which network to join; ask for another file where you got it:\n"
        "{listing}"
    )
    exit_code = EX_DATAERR

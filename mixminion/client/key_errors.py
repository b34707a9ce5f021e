"""What can go wrong with other people's keys."""

from __future__ import annotations

from mixminion.errors import EX_DATAERR, EX_NOPERM, EX_UNAVAILABLE, OperatorError, UserError


class NoKey(UserError):
    """There is no key for an address."""

    code = "no-key"
    sentence = (
        "There is no key for {address} here: `mixminion key add FILE` takes one that you were"
        " given, `mixminion key find {address}` asks the sources that you named."
    )


class BadKeyFile(UserError):
    """A file that does not hold just one key."""

    code = "bad-key-file"
    sentence = "There is {found} in {name}: expected one key, as `mixminion key export` prints it."
    exit_code = EX_DATAERR


class BadHeader(UserError):
    """What is to stand above a key cannot."""

    code = "bad-key-header"
    sentence = "A name or address above a key has printable ASCII alone, on one line."


class WhoseKey(UserError):
    """A key beside which no address stands."""

    code = "whose-key"
    sentence = "It does not say whose key it is: give the address, with --address."


class NoKeyForThat(UserError):
    """An address behind which there is no one person."""

    code = "no-key-for-that"
    sentence = "{address} is not the address of one recipient, who alone can have a key."


class KeyChanged(UserError):
    """Another key came for an address than the one that is trusted."""

    code = "key-changed"
    sentence = (
        "Another key came for {address} from {origin} than the one that is trusted, which stays.\n"
        "  trusted: {trusted}\n"
        "  came:    {came}\n"
        "Ask {address}, by a way of your own, which fingerprint is right; `mixminion key trust"
        " {address}` puts the new key in the place of the old one."
    )
    exit_code = EX_DATAERR


class SourcesDiffer(UserError):
    """Sources have different keys for one address."""

    code = "key-sources-differ"
    sentence = (
        "The sources have different keys for {address}, and none was taken:\n{found}\n"
        "Ask {address}, by a way of your own, which fingerprint is right, and name that source"
        " with --source."
    )
    exit_code = EX_DATAERR


class KeyNotFound(UserError):
    """No source has a key."""

    code = "key-not-found"
    sentence = "There is no key for {address} at {sources}; ask its owner for a file."
    exit_code = EX_DATAERR


class SourceFailed(OperatorError):
    """A source gave no answer, or none that can be used."""

    code = "key-source-failed"
    sentence = (
        "The source {source} gave no answer that can be used ({why}), and nothing was taken: it"
        " might know of another key. Try later, or name another one with --source."
    )
    exit_code = EX_UNAVAILABLE


class NoSources(UserError):
    """Nobody can be asked for keys."""

    code = "no-key-sources"
    sentence = (
        "There is nobody to ask: name sources with `sources = NAME=FOLDER or URL` in section"
        " [Keys] of the configuration, or `mixminion key add` a file."
    )


class NoSuchSource(UserError):
    """A name that no source has."""

    code = "no-such-key-source"
    sentence = "There is no source {name!r} of keys; the configuration has {known}."


class BadFingerprint(UserError):
    """A text that is no fingerprint."""

    code = "bad-fingerprint"
    sentence = "That is no fingerprint: expected all 64 hexadecimal digits, with or without blanks."


class FingerprintDiffers(UserError):
    """A key does not have the fingerprint that was given."""

    code = "fingerprint-differs"
    sentence = (
        "The key for {address} has another fingerprint.\n"
        "  here:  {here}\n"
        "  given: {given}\n"
        "It may be somebody else's: do not write to it before you know why."
    )
    exit_code = EX_DATAERR


class NothingCame(UserError):
    """No other key waits for an address."""

    code = "no-other-key"
    sentence = "No other key came for {address}; `mixminion key show {address}` shows the one here."


class KeyVerified(UserError):
    """A verified key would be replaced without the fingerprint of the new one."""

    code = "key-verified"
    sentence = (
        "You compared the fingerprint of the key for {address}, so that another takes its place"
        " only with its own: `mixminion key trust {address} FINGERPRINT`."
    )
    exit_code = EX_NOPERM


class EncryptedToSeveral(UserError):
    """An encrypted message for more than one recipient."""

    code = "encrypted-to-several"
    sentence = (
        "An encrypted message goes to one recipient, since it is sealed to one key: send it to"
        " each by itself."
    )


class NotForUs(UserError):
    """An encrypted message that no key of ours opens."""

    code = "not-for-us"
    sentence = (
        "No key of yours opens this message: it is encrypted to another one, or was changed on its"
        " way."
    )
    exit_code = EX_DATAERR

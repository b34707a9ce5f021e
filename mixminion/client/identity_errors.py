"""What can go wrong with identities and with reply blocks of our own."""

from __future__ import annotations

from mixminion.errors import EX_CANTCREAT, EX_DATAERR, EX_NOPERM, UserError


class NoSuchIdentity(UserError):
    """A name that no identity has."""

    code = "no-such-identity"
    sentence = (
        "There is no identity {name!r}; `mixminion identity list` shows yours, and"
        " `mixminion identity create` makes one."
    )


class IdentityExists(UserError):
    """A name that is taken."""

    code = "identity-exists"
    sentence = "There is an identity {name!r} already; choose another name."
    exit_code = EX_CANTCREAT


class IdentityInUse(UserError):
    """An identity to whose reply blocks answers may still come."""

    code = "identity-in-use"
    sentence = (
        "Answers may still come to {blocks} reply blocks of the identity {name!r}, and nobody could"
        " read them any more: export it first, or say --yes."
    )
    exit_code = EX_CANTCREAT


class BadIdentityName(UserError):
    """A name that no identity can have."""

    code = "bad-identity-name"
    sentence = (
        "{name!r} is no name for an identity: expected 1 to 40 letters, digits, -, _ and ., a"
        " letter or digit first."
    )


class PassphraseNeeded(UserError):
    """An identity is protected, and no passphrase was given."""

    code = "passphrase-needed"
    sentence = (
        "The identity {name!r} is protected by a passphrase: say where it comes from, with"
        " --passphrase-file, --passphrase-fd or --passphrase-prompt."
    )
    exit_code = EX_NOPERM


class WrongIdentityPassphrase(UserError):
    """The passphrase does not open an identity."""

    code = "wrong-identity-passphrase"
    sentence = (
        "The passphrase does not open the identity {name!r}: give the one that it was protected"
        " with."
    )
    exit_code = EX_NOPERM


class IdentityDamaged(UserError):
    """The key of an identity cannot be read with any passphrase."""

    code = "identity-damaged"
    sentence = (
        "The key of the identity {name!r} is damaged, or a newer Mixminion wrote it: import an"
        " export of it, or run the newer Mixminion again."
    )
    exit_code = EX_DATAERR


class NotAnExport(UserError):
    """A file that is none of our exports, or damaged, or of a later version."""

    code = "not-an-export"
    sentence = (
        "{path} is no export of identities that this version can read ({why}); give the file that"
        " `mixminion identity export` wrote."
    )
    exit_code = EX_DATAERR


class NotACopy(UserError):
    """A file that is no copy of reply blocks, or damaged."""

    code = "not-a-copy"
    sentence = (
        "{path} is no copy of what opens answers, or is damaged; give files or the folder that"
        " [ReplyBlocks] copies of the configuration names."
    )
    exit_code = EX_DATAERR


class CopyOfAnother(UserError):
    """A copy of blocks of an identity that is not here."""

    code = "copy-of-another"
    sentence = (
        "The identity whose reply blocks are in {path} is not here: import it first, with"
        " `mixminion identity import`."
    )


class WrongExportPassphrase(UserError):
    """The passphrase does not open an export."""

    code = "wrong-export-passphrase"
    sentence = (
        "The passphrase does not open {path}, or the file is damaged: give the passphrase that it"
        " was exported with, which need not be the identity's own."
    )
    exit_code = EX_NOPERM


class ExportWithoutPassphrase(UserError):
    """An export would lie open, or is to be read without its passphrase."""

    code = "export-needs-passphrase"
    sentence = (
        "An export has your keys in it and takes a passphrase: say where it comes from, with"
        " --passphrase-file, --passphrase-fd or --passphrase-prompt."
    )


class SignedMail(UserError):
    """Reply blocks in a mail in which nothing can be put."""

    code = "signed-mail"
    sentence = (
        "The mail is signed or encrypted as a whole, so that reply blocks cannot be put into it:"
        " put some that `mixminion reply-block create` makes into it before it is signed, and leave"
        " --reply-blocks away."
    )


class NoAnswerAddress(UserError):
    """An address at which no answer can arrive."""

    code = "no-answer-address"
    sentence = (
        "Answers cannot go to {address}: {why}. Give a mail address, mailbox:CAPABILITY@server,"
        " or mailbox for one of your own."
    )


class LifetimeTooLong(UserError):
    """No reply blocks can be made for so long, because servers have no keys yet.  Fields: both in
    days."""

    code = "lifetime-too-long"
    sentence = (
        "Reply blocks cannot be made for {wanted} days: the servers have published their keys for"
        " the next {most} days only. Ask for less, and make more blocks later."
    )


class NoSuchReplyBlock(UserError):
    """A number that no reply block of ours has."""

    code = "no-such-reply-block"
    sentence = "There is no reply block {number} of yours; `mixminion reply-block list` shows them."

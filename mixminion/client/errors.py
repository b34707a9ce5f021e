"""What can go wrong for a sender, each with the sentence he reads."""

from __future__ import annotations

from mixminion.errors import (
    EX_CANTCREAT,
    EX_DATAERR,
    EX_NOPERM,
    EX_TEMPFAIL,
    EX_UNAVAILABLE,
    OperatorError,
    UserError,
)

# -- what was typed ----------------------------------------------------------------------


class BadAddress(UserError):
    """An address of no known form."""

    code = "not-an-address"
    sentence = (
        "{address!r} is no address: {why}. Write user@example.org, drop, or exit:text"
        " (such as smtp:user@example.org, mbox:user@server or news:misc.test)."
    )


class NotTogether(BadAddress):
    """An address that is one, and does not go with the other recipients."""

    code = "recipients-apart"
    sentence = "{address} cannot be a recipient beside the others: {why}."


class BadInput(UserError):
    """The file to be sent cannot be read."""

    code = "bad-input"
    sentence = (
        "The input {name!r} cannot be read ({why}); give another file, or - for standard input."
    )
    exit_code = EX_DATAERR


class BadSubject(UserError):
    """A subject that would not stay one header field."""

    code = "bad-subject"
    sentence = "The subject has a line break or a control character in it; write it on one line."


class BadName(UserError):
    """A name that cannot stand beside an address."""

    code = "bad-name"
    sentence = "The name to be shown cannot be shown ({why}); write another."


class NotText(UserError):
    """A body that is no text; only whole messages may carry other things."""

    code = "not-text"
    sentence = (
        "The input is not text in UTF-8 (octet {position} is not); convert it, or make a MIME"
        " message of it and send that with --message."
    )
    exit_code = EX_DATAERR


class NoHeader(UserError):
    """A subject, or a whole mail, for an exit that is not given mail."""

    code = "no-header"
    sentence = (
        "What goes to the exit {exit} has no mail header; leave --subject and --message away, or"
        " give a mail address."
    )


class MessageTooLarge(UserError):
    """It takes more packets than the network's messages are meant to.  Fields: ``size`` in octets,
    ``packets``, ``limit`` of packets, ``sent`` in megabytes, ``minutes`` at 1 Mbit/s."""

    code = "too-large"
    sentence = (
        "The message has {size:,} octets with its header and takes {packets:,} packets; messages"
        " of this network take at most {limit:,}. With --large it is sent all the same: {sent} MB"
        " leave here (minutes at 1 Mbit/s: {minutes}), servers carry them on every hop, and so many"
        " packets at once are easier to notice."
    )
    exit_code = EX_DATAERR


class BadPage(UserError):
    """No address of the web."""

    code = "bad-page"
    sentence = "{url!r} is no address: expected one that begins with http:// or https://."


class PageNotRead(OperatorError):
    """A page that cannot be had; ``answered`` is the code of an answer that there was."""

    code = "page-not-read"
    sentence = "{url} cannot be read ({why}); get the file in another way, and name that."
    exit_code = EX_UNAVAILABLE


class NotJoined(UserError):
    """Nobody said that the authorities shown are to be believed."""

    code = "not-joined"
    sentence = "Nothing was changed: joining takes a yes, or --yes where nobody can be asked."


# -- the installation ----------------------------------------------------------------------


class NoConfiguration(OperatorError):
    """There was no configuration; a template was written, or the named file is not there."""

    code = "no-configuration"
    sentence = (
        "There was no configuration yet: a template is now in {path}. `mixminion join FILE` with"
        " a network's bootstrap file fills it in; or put the authorities into its [Directory]"
        " section yourself. Then try again."
    )


class ConfigurationUnreadable(OperatorError):
    """The configuration file that was named cannot be read."""

    code = "configuration-unreadable"
    sentence = "The configuration {path} cannot be read ({why}); name another with -f FILE."


class HasConfiguration(OperatorError):
    """A configuration would be written over another one."""

    code = "has-configuration"
    sentence = (
        "There is a configuration in {path} already, which stays as it is; with --replace this"
        " network's authorities are put into it, and the former one is kept beside it."
    )
    exit_code = EX_CANTCREAT


class StateUnusable(OperatorError):
    """The state file cannot be opened or written."""

    code = "state-unusable"
    sentence = (
        "The state file {path} cannot be used ({why}); see that its folder exists, is yours and"
        " has room."
    )
    exit_code = EX_NOPERM


# -- sending ----------------------------------------------------------------------------------


class NotHandedOver(OperatorError):
    """The entry did not take the packets; they stay in the outbox."""

    code = "not-sent"
    sentence = (
        "Not sent, but kept: {entry} did not take the packet ({why});"
        " `mixminion queue flush` tries again."
    )
    exit_code = EX_TEMPFAIL


class PartlyHandedOver(NotHandedOver):
    """Some entries did not take their packets of a message in fragments; they stay."""

    code = "partly-sent"
    sentence = (
        "{kept} of {packets} packets are not sent, but kept: {entry} did not take one ({why});"
        " `mixminion queue flush` tries again."
    )


class Withdrawn(UserError):
    """The message was called back while it was being sent."""

    code = "called-back"
    sentence = "The message was called back: what had not left yet is deleted."
    exit_code = EX_UNAVAILABLE


class AlreadyHandedOver(UserError):
    """A message cannot be called back."""

    code = "handed-over"
    sentence = (
        "Message {id} cannot be called back: it was given to a server, or may have been, or is not"
        " in the outbox."
    )
    exit_code = EX_UNAVAILABLE


# -- mailboxes ---------------------------------------------------------------------------


class NoSuchMailbox(UserError):
    """A number that no mailbox has."""

    code = "no-such-mailbox"
    sentence = (
        "There is no mailbox {number}; `mixminion mailbox list` shows yours, and"
        " `mixminion mailbox create` makes one."
    )


class MailboxAway(UserError):
    """The server of a mailbox is not in the directory."""

    code = "mailbox-away"
    sentence = (
        "The directory does not list the server of mailbox {number}; what is held there waits for"
        " a while: try again later."
    )
    exit_code = EX_UNAVAILABLE

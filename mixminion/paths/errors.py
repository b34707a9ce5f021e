"""Why a path cannot be read or made, one sentence each."""

from __future__ import annotations

from mixminion.errors import EX_DATAERR, EX_UNAVAILABLE, UserError


class BadPath(UserError):
    """Text that is not in the path language."""

    code = "bad-path"
    sentence = "The path {text!r} is wrong at character {position}: expected {expected}."


class UnknownServer(UserError):
    """A nickname that the directory does not list; ``near`` begins with a space or is empty."""

    code = "unknown-server"
    sentence = (
        "The directory lists no server named {name!r}.{near} `mixminion list-servers` shows"
        " those there are."
    )


class AmbiguousServer(UserError):
    """A nickname that the directory and an imported file give to different servers."""

    code = "ambiguous-server"
    sentence = (
        "The directory lists a server named {name}, and you have imported another one of that name;"
        " `mixminion import-server --remove {name}` forgets yours."
    )


class TwiceInPath(UserError):
    """A path that goes through one server twice."""

    code = "server-twice"
    sentence = "The server {name} stands in the path twice; name it once."


class PathTooLong(UserError):
    """More hops than a packet's header holds."""

    code = "path-too-long"
    sentence = "The path has {hops} hops and this network's packets have room for {most}."


class PathTooShort(UserError):
    """A path whose entry would be its exit."""

    code = "path-too-short"
    sentence = (
        "The path has {hops} hop and needs {least} at least: a single server would know both"
        " sender and recipient."
    )


class NeverFits(UserError):
    """A ``~n`` so far from what fits that it was never drawn."""

    code = "path-never-fits"
    sentence = (
        "No length drawn around the numbers in this path is between {least} and {most} hops;"
        " write a smaller number."
    )


class UnusableServer(UserError):
    """A named server that cannot be in any path now."""

    code = "unusable-server"
    sentence = "The server {name} cannot be used: {problem}."


class NoExit(UserError):
    """No usable server delivers what is to be delivered."""

    code = "no-exit"
    sentence = "No usable server has an exit {exit!r}; `mixminion list-servers` shows all exits."
    exit_code = EX_UNAVAILABLE


class ExitTooSmall(UserError):
    """Exits are there, and all take less."""

    code = "exit-too-small"
    sentence = (
        "The message has {size} octets and the largest that an exit {exit!r} of the network takes"
        " is {most}; send a shorter one."
    )
    exit_code = EX_DATAERR


class NoNewsgroup(UserError):
    """Exits to news are there, and none posts to all of these groups."""

    code = "no-newsgroup"
    sentence = (
        "No exit {exit!r} of the network posts to {groups}; `mixminion list-servers --json` shows"
        " the groups of each."
    )
    exit_code = EX_UNAVAILABLE


class TooManyRecipients(UserError):
    """Exits are there, and all take fewer recipients of one message."""

    code = "too-many-recipients"
    sentence = (
        "The message has {recipients} recipients and the most that an exit {exit!r} of the network"
        " takes are {most}; send it several times."
    )
    exit_code = EX_UNAVAILABLE


class NotAllowed(UserError):
    """Exits are there, and none lets the sender say so much of himself."""

    code = "not-allowed-by-exits"
    sentence = (
        "No exit {exit!r} of the network lets {what} of the sender's own pass; send the message"
        " without."
    )
    exit_code = EX_UNAVAILABLE


class NoFragments(UserError):
    """Exits are there, and none puts messages together."""

    code = "no-fragments"
    sentence = (
        "No exit {exit!r} of the network takes a message in several packets, as this one goes; send"
        " a shorter one, and no copies."
    )
    exit_code = EX_UNAVAILABLE


class NoReceipts(UserError):
    """Exits are there, and none sends receipts."""

    code = "no-receipts"
    sentence = "No exit {exit!r} of the network sends receipts; send the message without one."
    exit_code = EX_UNAVAILABLE


class NoneAllowed(UserError):
    """The sender's own lists leave no exit that would do."""

    code = "none-allowed"
    sentence = (
        "The lists in the [Paths] section of your configuration leave no server with an exit"
        " {exit!r} for this message; shorten them, or name the path's last server."
    )


class NoEntryLeft(UserError):
    """Every kept entry stands elsewhere in the path."""

    code = "no-entry-left"
    sentence = (
        "None of the servers that you keep as entries can be the first of this path; name the"
        " first server yourself, or fewer others."
    )


class NoPath(UserError):
    """Too few servers for the constraints, relaxed as far as they may be."""

    code = "no-path"
    sentence = "No path of {hops} hops can be made from {usable} usable servers: {missing}."
    exit_code = EX_UNAVAILABLE

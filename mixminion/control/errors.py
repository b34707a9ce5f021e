"""What can go wrong between a command and a daemon."""

from __future__ import annotations

from mixminion.errors import EX_CONFIG, EX_NOPERM, EX_UNAVAILABLE, OperatorError


class NotRunning(OperatorError):
    """Nobody listens at the socket."""

    code = "not-running"
    sentence = "Nothing runs there: no answer at {path}."
    exit_code = EX_UNAVAILABLE


class NoAnswer(OperatorError):
    """Somebody listens and does not answer as he should."""

    code = "no-answer"
    sentence = "What listens at {path} {what}; look into its log."
    exit_code = EX_UNAVAILABLE


class NotAllowed(OperatorError):
    """The socket is another user's."""

    code = "not-allowed"
    sentence = "{path} belongs to another user; run this as the user that the server runs as."
    exit_code = EX_NOPERM


class PathTooLong(OperatorError):
    """The operating system has no way to name this socket."""

    code = "control-path-too-long"
    sentence = "The path {path} is too long for a socket; move the home to a shorter one."
    exit_code = EX_CONFIG


class UnknownCommand(OperatorError):
    """A command this daemon does not have; command and daemon are of different versions."""

    code = "unknown-command"
    sentence = "The server does not know the command {command}; perhaps it is of an older version."
    exit_code = EX_UNAVAILABLE


class RemoteError(OperatorError):
    """The daemon answered with an error; its code and exit code are fields."""

    code = "remote"
    sentence = "{sentence}"

"""What only commands can find wrong."""

from __future__ import annotations

from mixminion.errors import (
    EX_CANTCREAT,
    EX_DATAERR,
    EX_TEMPFAIL,
    EX_UNAVAILABLE,
    OperatorError,
    UserError,
)


class HasServer(OperatorError):
    """The home has a configuration already."""

    code = "has-server"
    sentence = "There is a server in {home} already; name another folder with --home."
    exit_code = EX_CANTCREAT


class NoServer(OperatorError):
    """There is nothing to ask or to stop.  ``daemon``, here and below: server or authority."""

    code = "no-server"
    sentence = "No {daemon} runs from {home}; `mixminion {daemon} start` starts it."
    exit_code = EX_UNAVAILABLE


class EndedWhileStarting(OperatorError):
    """The daemon went into the background and ended there."""

    code = "ended-while-starting"
    sentence = "The {daemon} ended while it started; the reason is in {log}."
    exit_code = EX_UNAVAILABLE


class NotReady(OperatorError):
    """The daemon runs and does not work yet."""

    code = "not-ready"
    sentence = "The {daemon} (process {pid}) is not ready after {seconds:g} s; look into {log}."
    exit_code = EX_UNAVAILABLE


class StillRunning(OperatorError):
    """The daemon takes its time, or hangs."""

    code = "still-running"
    sentence = (
        "The {daemon} (process {pid}) has not ended after {seconds:g} s; `kill {pid}` insists."
    )
    exit_code = EX_TEMPFAIL


class NotErased(UserError):
    """Nobody said that keys are to go."""

    code = "not-erased"
    sentence = "Nothing was erased: that takes a yes, or --yes where nobody can be asked."


class LeftByAgent(OperatorError):
    """The agent tried to send, and goes on trying."""

    code = "left-by-agent"
    sentence = "{sentence}"
    exit_code = EX_TEMPFAIL


class AgentEnded(OperatorError):
    """The agent ended while a command waited for it."""

    code = "agent-ended"
    sentence = (
        "Not sent, but kept: the agent ended meanwhile, or does not answer; `mixminion agent start`"
        " or `mixminion queue flush` sends it."
    )
    exit_code = EX_TEMPFAIL


class NoRecipients(UserError):
    """A mail that is to name its recipients, and does not."""

    code = "no-recipients"
    sentence = "The mail does not say to whom it goes: {why}; put user@example.org there."
    exit_code = EX_DATAERR

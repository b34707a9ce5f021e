"""One exception tree: the user's faults, the operator's, the peer's, and ours.

An exception is a *code* with *fields*.  ``str(error)`` is the code alone, so that a
traceback or a log line never carries an address, a name or a content.  The sentence a
person reads is the class attribute ``sentence``, a template over the fields; only
:mod:`mixminion.cli` and :mod:`mixminion.control` render it, with :func:`render`.

Rooms define their own errors as subclasses of one of the four branches, beside the code
that raises them; what several rooms raise stands here.
"""

from __future__ import annotations

from typing import Any, ClassVar

EX_USAGE = 64
EX_DATAERR = 65
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_CANTCREAT = 73
EX_TEMPFAIL = 75
EX_NOPERM = 77
EX_CONFIG = 78


class MixminionError(Exception):
    """The root of the tree.

    ``code`` names the error for programs (``--json``, counters); ``sentence`` is the
    template for people, which says what happened and what to do; ``exit_code`` is a
    command's exit code when the error ends it.
    """

    code: ClassVar[str] = "error"
    sentence: ClassVar[str] = "Something went wrong."
    exit_code: ClassVar[int] = EX_SOFTWARE

    def __init__(self, **fields: Any) -> None:
        super().__init__(self.code)
        self.fields = fields


class UserError(MixminionError):
    """What the person at the keyboard asked for cannot be done as asked."""

    code = "usage"
    sentence = "{problem}"
    exit_code = EX_USAGE


class OperatorError(MixminionError):
    """Something about this installation needs its operator."""

    code = "operator"
    sentence = "{problem}"
    exit_code = EX_CONFIG


class PeerError(MixminionError):
    """Another machine did what it should not; at most its session or packet ends."""

    code = "peer"
    sentence = "The other side broke the protocol ({code})."
    exit_code = EX_UNAVAILABLE


class Fault(MixminionError):
    """A defect of ours; please report it."""

    code = "fault"
    sentence = "Mixminion made a mistake ({code}); please report it with the log."
    exit_code = EX_SOFTWARE


def render(error: MixminionError) -> str:
    """The sentence of *error* for a person; for :mod:`cli` and :mod:`control` only."""
    fields = {"code": error.code} | error.fields
    return error.sentence.format_map(fields)

"""An exit module of somebody else's who says all he knows, in every way there is.

It also makes the part of the daemon that the file ``room`` names fail with all it knows in its
exception, and writes into ``loud.PID`` what a server that is not silent
would log: by that the tests see that there was something to be silent about.
"""

import gc
import importlib
import logging
import os
import sys
import threading
import warnings
from itertools import count
from pathlib import Path

from twisted.internet.defer import fail, gatherResults, succeed
from twisted.internet.threads import deferToThread
from twisted.logger import FileLogObserver, Logger, eventAsText, globalLogPublisher
from twisted.plugin import IPlugin
from twisted.python import log as legacy
from twisted.python.failure import Failure
from zope.interface import implementer

from mixminion.config import section
from mixminion.exits.section import ExitSection
from mixminion.interfaces import IExit, IExitModule, Outcome, OutcomeKind

FOLDER = Path(os.environ["LOUD"])
EVERY = 2
"""Which call of a part of the server fails."""

ROOMS = (FOLDER / "rooms").read_text().split()


class Loud(Exception):
    """Says it."""


def all_of(things):
    """Everything that these values know, as text."""
    said = []
    for thing in things:
        if isinstance(thing, (bytes, bytearray)):
            said += [repr(thing[:2000]), thing[:2000].hex()]
        elif hasattr(thing, "uri"):
            said += [repr(thing.uri), repr(thing.getClientAddress())]
        elif hasattr(thing, "transport") and hasattr(thing.transport, "getPeer"):
            said.append(repr(thing.transport.getPeer()))
        else:
            said.append(repr(thing)[:4000])
    return " ".join(said)


def seldom(place):
    """Have that method fail now and then."""
    room, holder, name = place.rsplit(".", 2)
    of = getattr(importlib.import_module(room), holder)
    original, calls = getattr(of, name), count(1)

    def broken(*arguments, **more):
        if (FOLDER / "room").read_text() == place and next(calls) % EVERY == 0:
            with open(FOLDER / "broken", "a") as broken:
                broken.write(f"{place}\n")
            raise Loud(all_of([*arguments, *more.values()]))
        return original(*arguments, **more)

    setattr(of, name, broken)


def begin():
    """Break parts of this process now and then, and write what it would log if it were not
    silent."""
    for place in ROOMS:
        seldom(place)
    output = open(FOLDER / f"loud.{os.getpid()}", "a", buffering=1)  # noqa: SIM115
    loud = FileLogObserver(output, lambda event: eventAsText(event) + "\n")
    globalLogPublisher.addObserver(loud)


def boom(text):
    raise Loud(text)


class Final:
    def __init__(self, text):
        self.text = text

    def __del__(self):
        raise Loud(self.text)

    def __repr__(self):
        return self.text


async def never(text):
    """Is not awaited."""


def abandon(deferred):
    """Let a failure be found by the garbage collector."""
    del deferred
    gc.collect()


@section("Exit", named=True)
class Section(ExitSection):
    """Nothing of its own."""


@implementer(IPlugin, IExitModule)
class Module:
    name = "loud"
    section = Section

    def make(self, name, section, environment):
        begin()
        return Exit(name, section, environment.reactor)


MODULE = Module()


@implementer(IExit)
class Exit:
    domain = None

    def __init__(self, name, section, reactor):
        self.name = name
        self.policy = section.policy
        self._reactor = reactor
        self._checks = count(1)
        self._ways = [
            boom,
            lambda text: abandon(fail(Loud(text))),
            lambda text: abandon(gatherResults([succeed(1), fail(Loud(text))])),
            lambda text: abandon(deferToThread(boom, text)),
            lambda text: reactor.callLater(0, boom, text),
            lambda text: reactor.callFromThread(boom, text),
            lambda text: threading.Thread(target=boom, args=[text], name=text).start(),
            lambda text: Final(text) and None,
            lambda text: never(text) and None,
            lambda text: print(text),  # noqa: T201
            lambda text: print(text, file=sys.stderr),  # noqa: T201
            lambda text: warnings.warn(text, stacklevel=2),
            lambda text: warnings.warn_explicit(text, UserWarning, text, 1),
            lambda text: legacy.msg(text, system=text),
            lambda text: legacy.err(Failure(Loud(text)), text),
            lambda text: Logger().critical(f"{text}".replace("{", "").replace("}", "")),
            lambda text: Logger("somebody").info("to {whom}", whom=text),
            lambda text: Logger("somebody").failure(f"{text!a}", Failure(Loud(text))),
            lambda text: logging.getLogger(__name__).error(text),
            lambda text: logging.getLogger("twisted").critical("to %s", text),
            lambda text: Outcome(OutcomeKind.PERMANENT, text),
            lambda text: Outcome(OutcomeKind.TEMPORARY, text),
            lambda text: Outcome(OutcomeKind.DELIVERED, text[:40]),
            lambda text: text,
        ]

    def describe(self):
        return {"module": "loud", "max-message": 20_000}

    def check(self, recipients, content, reply):
        text = f"{recipients} {content.hex() if reply else content!r}"
        match next(self._checks) % 9:
            case 7:
                raise Loud(text)
            case 8:
                return text
        return None

    async def start(self):
        pass

    async def stop(self):
        pass

    async def deliver(self, message):
        text = f"{message.recipients} {message.content[:500]!r} {message.message_id}"
        if message.surb_id is not None:
            text += f" {message.surb_id.hex()} {message.surb_id!r}"
        with open(FOLDER / "ways", "a+") as ways:  # of all servers together
            number = ways.tell() // 3
            ways.write(f"{number % len(self._ways):2}\n")
        outcome = self._ways[number % len(self._ways)](text)
        return Outcome(OutcomeKind.DELIVERED, "said") if outcome is None else outcome

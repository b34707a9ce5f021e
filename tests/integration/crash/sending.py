"""A sender's program, to be killed: ``python -m tests.integration.crash.sending CONFIG NAME
FIRST``.  It sends mails ``NAME-FIRST``, ``NAME-FIRST+1``, ... and says ``kept NAME-N`` when
a mail is in its outbox; with ``--flush`` it hands over what is there, and ends."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mixminion import api

PAUSE = 0.1
reactor: Any = installed


async def send(client: api.Client, name: str, first: int) -> None:
    """Mails without end."""

    async def one(text: str) -> None:
        def progress(event: api.Event) -> None:
            if isinstance(event, api.Kept):
                os.write(1, f"kept {text}\n".encode())

        with suppress(api.NotHandedOver):
            await client.send("bob@example.test", text.encode(), progress=progress)

    while True:
        _ = Deferred.fromCoroutine(one(f"{name}-{first}"))
        first += 1
        await deferLater(reactor, PAUSE)


async def flush(client: api.Client) -> None:
    """Hand over what is kept, however long it takes."""
    while await client.waiting():
        with suppress(api.NotHandedOver):
            await client.flush()
        await deferLater(reactor, PAUSE)
    await client.close()
    reactor.callLater(0, reactor.stop)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("name")
    parser.add_argument("first", type=int)
    parser.add_argument("--flush", action="store_true")
    chosen = parser.parse_args()
    client = api.Client(reactor, api.load_config(chosen.config))
    work = flush(client) if chosen.flush else send(client, chosen.name, chosen.first)

    def failed(failure: Any) -> None:
        os.write(2, failure.getTraceback().encode())
        os._exit(1)

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(work).addErrback(failed))
    reactor.run()


if __name__ == "__main__":
    main()

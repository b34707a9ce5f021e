"""Writes to ADDRESS, waits for an answer, and answers that: conversation.py CONFIG ADDRESS"""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from mixminion import api


async def main(reactor, config, address):
    client = api.Client(reactor, api.load_config(config))
    client.startService()
    incoming = api.Incoming(client, reactor, every=2)
    message = client.begin(client.send, address, b"Who are you?\n", reply_blocks=1)
    async for event in message:
        print(type(event).__name__, flush=True)
    answer = await incoming.when_next()
    print("answered:", answer.content.decode().splitlines()[0], flush=True)
    await client.reply(answer.blocks, b"Good to know.\n")
    await incoming.stop()
    await client.stopService()


react(lambda *args: Deferred.fromCoroutine(main(*args)), sys.argv[1:])

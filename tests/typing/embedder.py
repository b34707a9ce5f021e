"""A program that uses the API, for mypy alone: its types are what the pages say."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred

from mixminion import api
from mixminion.interfaces import Message
from mixminion.testing import embedding
from mixminion.testing.network import LocalNetwork


async def conversation(reactor: Any, parent: MultiService) -> None:
    """Send, watch, call back, read and answer."""
    client = api.Client(reactor, api.load_config("mixminion.conf"))
    client.setServiceParent(parent)
    assert_type(await client.send("bob@example.org", b"Hello", subject="Hi"), api.Sent)
    message = client.begin(client.send, "bob@example.org", b"Hello", subject="Hi")
    assert_type(message, api.Outgoing)
    async for event in message:
        if isinstance(event, api.Kept):
            assert_type(event.id, int)
    _ = assert_type(message.when_done(), Deferred[api.Sent])
    assert_type(await message.cancel(), api.Cancelled)
    client.begin(client.send, "bob@example.org")  # type: ignore[call-arg]
    client.begin(client.send, 1, b"Hello")  # type: ignore[arg-type]
    incoming = api.Incoming(client, reactor)
    async for each in incoming:
        assert_type(each, api.Opened)
        assert_type(await client.reply(each.blocks, b"Hello"), api.Sent)
    _ = assert_type(incoming.when_next(), Deferred[api.Opened])
    try:
        await client.flush()
    except api.NotHandedOver as error:
        assert_type(api.render(error), str)


def kits() -> None:
    """Networks in one call."""
    with embedding.network(mixes=5) as net:
        assert_type(net, embedding.Network)
        assert_type(net.result(net.client().waiting()), list[api.Waiting])
        assert_type(net.mails, list[Message])
    with embedding.processes() as real:
        assert_type(real, LocalNetwork)
        assert_type(real.mails(), list[Path])

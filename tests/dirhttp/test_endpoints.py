"""Endpoints for requests."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogEvent, globalLogPublisher
from zope.interface import implementer

from mixminion.dirhttp.endpoints import BoundedEndpoint
from mixminion.testing.cases import SyncTestCase


@implementer(IStreamClientEndpoint)
class Noted:
    """Leads nowhere."""

    def __init__(self) -> None:
        self.factories: list[Any] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        self.factories.append(protocolFactory)
        return Deferred()


class BoundedEndpointTests(SyncTestCase):
    def test_quiet(self):
        """A request leaves no line in the log when its connection begins and ends."""
        events: list[LogEvent] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        endpoint, factory = Noted(), Factory.forProtocol(Protocol)
        self.assertTrue(factory.noisy)
        _ = BoundedEndpoint(endpoint, 10).connect(factory)
        (bounding,) = endpoint.factories
        bounding.doStart()
        bounding.doStop()
        self.assertEqual(events, [])

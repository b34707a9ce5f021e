"""A large message from the client's code to an exit's, with packets lost between them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.internet.defer import Deferred

from mixminion.client import splitting
from mixminion.counters import Counters
from mixminion.crypto.rng import SeededRandom
from mixminion.exits.delivery import Delivery
from mixminion.interfaces import Accepted
from mixminion.payload import fragments, frame
from mixminion.sphinx import geometry as geometries
from mixminion.store import InlineExecutor, Pooled, Store
from mixminion.testing.clock import HeapClock
from mixminion.testing.collector import EXIT, Collector


def arrives(size: int, loss: float, seed: bytes) -> tuple[int, int, bool]:
    """Packets sent, those needed if none were lost, and whether the message came out whole."""
    random, clock = SeededRandom(seed), HeapClock()
    geometry = geometries.default("xwing")
    content = random.octets(size)
    piece = fragments.piece_length(geometry)
    split = splitting.split(EXIT, [], [content], piece, 1, random)
    exit = Collector()
    with tempfile.TemporaryDirectory(prefix="mixminion-bench-") as folder:
        store = Store.open(
            Path(folder) / "store",
            map_size=512 * 2**20,
            in_thread=InlineExecutor(clock),
            random=random,
            free_reserve=0,
        )
        delivery = Delivery({EXIT: exit}, store, clock, random, Counters(), "mix.example")
        clock.result_of(Deferred.fromCoroutine(delivery.recall([])))
        clock.result_of(Deferred.fromCoroutine(delivery.start()))
        sent = 0
        for block, octets in enumerate(split.blocks()):
            accepted = []
            for part in splitting.fragments_of(split.whole, block, octets, 1):
                sent += 1
                if random.uniform() >= loss:
                    inside = part.encode()
                    body = frame.encode(frame.Kind.FRAGMENT, inside, geometry.body, random)
                    accepted.append(delivery.accept(body, clock.seconds()))
            pooled = [
                Pooled(each.destination, 0, each.record)
                for each in accepted
                if isinstance(each, Accepted)
            ]
            for record_id in clock.result_of(store.exchange(pooled, [])):
                delivery.offer(record_id, pooled[0].destination, clock.seconds())
            clock.advance(1)
        clock.advance(60)
        clock.result_of(Deferred.fromCoroutine(delivery.stop()))
        clock.result_of(store.close())
    return sent, split.needed, [each.content for each in exit.messages] == [content]

"""Every counter of a node, by name.

A name says what happened, never to whom.  Packet drop reasons of
:class:`mixminion.sphinx.errors.Reason` are counted under the same strings, prefixed with
``drop-``; :func:`mixminion.counters.registry.Counters.add` takes either.
"""

from __future__ import annotations

from enum import StrEnum


class Name(StrEnum):
    """What a node counts."""

    RECEIVED = "received"  #: packets taken in: on disk, acknowledged
    PADDING = "padding"  #: padding frames answered
    REFUSED_FULL = "refused-full"
    REFUSED_STOPPING = "refused-stopping"
    REFUSED_RATE = "refused-rate"
    POOLED = "pooled"  #: packets unwrapped, tagged, put into the pool
    REPLAYED = "replayed"  #: packets whose tag was known
    RELEASED = "released"  #: packets that left the pool
    SENT = "sent"  #: packets a next server acknowledged
    EXPIRED = "expired"  #: packets or messages given up after their queue's expiry
    DELIVERED = "delivered"  #: messages an exit's far side accepted
    FETCHED = "fetched"  #: messages that owners of mailboxes have safe
    RETRIED = "retried"  #: temporary failures of hand-overs
    FAILED = "failed"  #: permanent failures of hand-overs
    FRAGMENTS = "fragments"  #: of messages, taken up by an exit
    FRAGMENTS_SURPLUS = "fragments-surplus"  #: that came twice, late, or were not needed
    FRAGMENTS_FULL = "fragments-full"  #: for which there was no room
    FRAGMENTS_EXPIRED = "fragments-expired"  #: of messages that stayed incomplete
    ASSEMBLED = "assembled"  #: messages that are complete
    RECEIPTS = "receipts"  #: sent to senders who asked for them
    RECEIPTS_UNSENT = "receipts-unsent"  #: that could not be, or were too many
    BOUNCED = "bounced"  #: mails that came back for good
    OPTED_OUT = "opted-out"  #: recipients who said that they want no more mail
    BLOCKED = "blocked"  #: recipients who get no mail, at each look
    DIAL_FAILED = "dial-failed"
    LINK_REFUSED = "link-refused"  #: TLS or identity refused, either side
    LINK_BROKEN = "link-broken"  #: a peer broke MMTP
    WORKER_DIED = "worker-died"

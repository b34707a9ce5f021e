"""Packet keys without tags, which nobody may use any more, and tags without packet keys."""

from __future__ import annotations

import re

from mixminion.disk import private
from mixminion.disk.keystore import KeyStore
from mixminion.store.findings import Finding, Harmless, Remark

_LOST = (
    "packets on their way that were made for them are lost, and this server gets no others until"
    " the directory lists its new keys."
)
_KEY = re.compile(r"\.?packet-(?P<period>[0-9]+)\.key(\..+)?")


class PacketKeysRetired(Finding):
    """Packet keys were erased before their time."""

    doubtful = False
    code = "packet-keys-retired"
    sentence = (
        "So that no packet is taken twice, the packet keys used so far were erased ({count} of"
        f" them): {_LOST}"
    )
    ahead = (
        "So that no packet is taken twice, the next start erases the packet keys used so far: "
        + _LOST
    )


class PacketKeysGone(Remark):
    """Packet keys that were used and are not here."""

    code = "packet-keys-gone"
    sentence = (
        "Packet keys that have accepted packets are gone ({count} of them): packets on their way"
        " that were made for them are lost; the next start makes new ones."
    )


class TagsLeft(Harmless):
    """Keys go before their tags, and nothing more was done."""

    code = "tags-left"
    sentence = (
        "Tags of packet keys that have been erased are left ({count} of these keys): the next start"
        " forgets them."
    )


def retire(keys: KeyStore, first: int = 0, last: int | None = None) -> int:
    """Erase the packet keys of the periods from *first* to *last*, or of all from *first* on, while
    no worker runs; of how many periods there were some."""
    retired = set()
    for path in list(keys.folder.iterdir()):
        found = _KEY.fullmatch(path.name)
        if found is None:
            continue
        period = int(found["period"])
        if first <= period and (last is None or period <= last):
            private.erase(path)
            retired.add(period)
    return len(retired)

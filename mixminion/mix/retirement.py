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


def retire(keys: KeyStore, last: int) -> int:
    """Erase the packet keys of all periods up to *last*, before any worker starts; of how
    many periods there were some.  Keys of later periods have not been used."""
    retired = set()
    for path in list(keys.folder.iterdir()):
        found = _KEY.fullmatch(path.name)
        if found and int(found["period"]) <= last:
            private.erase(path)
            retired.add(int(found["period"]))
    return len(retired)

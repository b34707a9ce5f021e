"""Packet keys that nobody may use any more, because tags of theirs may be missing."""

from __future__ import annotations

import re

from mixminion.disk import private
from mixminion.disk.keystore import KeyStore
from mixminion.errors import OperatorError

_KEY = re.compile(r"\.?packet-(?P<period>[0-9]+)\.key(\..+)?")


class PacketKeysRetired(OperatorError):
    """Packet keys were erased before their time."""

    code = "packet-keys-retired"
    sentence = (
        "So that no packet is taken twice, the packet keys used so far were erased ({count} of"
        " them): packets on their way that were made for them are lost, and this server gets no"
        " others until the directory lists its new keys."
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

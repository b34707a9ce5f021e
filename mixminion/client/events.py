"""The form in which events leave for other programs: JSON, the same from release to release.

``doc/use/status-fd.rst`` has the schema.  A member may be added; none is renamed or taken away.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

from mixminion.client.progress import (
    Asked,
    AskingForKey,
    BlockPassedOver,
    BlocksMade,
    BlocksUsed,
    Compared,
    Deleted,
    Encrypted,
    Event,
    Fetching,
    HandedOver,
    InFragments,
    Kept,
    KeptLong,
    LeftOut,
    PathChosen,
    Sent,
    Warned,
)
from mixminion.paths.deviations import Deviation
from mixminion.util import times


def to_json(event: Event) -> dict[str, Any]:
    """*event* as an object whose ``event`` says which one it is; times are RFC 3339 in UTC."""
    match event:
        case LeftOut(names):
            return {"event": "left-out", "fields": list(names)}
        case Fetching():
            return {"event": "fetching"}
        case Asked(source, document, error):
            code = None if error is None else error.code
            return {"event": "asked", "source": source, "document": document, "error": code}
        case Compared(source, finding):
            return {"event": "compared", "source": source, "finding": finding.value}
        case AskingForKey(source, where, tells):
            return {"event": "asking-for-key", "source": source, "where": where, "tells": tells}
        case Encrypted(address, fingerprint, verified, changed):
            return {
                "event": "encrypted",
                "address": address,
                "fingerprint": fingerprint,
                "verified": verified,
                "changed": changed,
            }
        case KeptLong(packets, since):
            return {"event": "kept-long", "packets": packets, "since": times.to_text(since)}
        case Deleted(packets, since):
            return {"event": "deleted", "packets": packets, "since": times.to_text(since)}
        case Warned(warning):
            return {"event": "warned", **_warning(warning)}
        case PathChosen(path, warnings):
            nicknames = [server.nickname for server in path]
            return {"event": "path-chosen", "path": nicknames, "warnings": _warnings(warnings)}
        case BlockPassedOver(number, why, early):
            return {"event": "block-passed-over", "block": number, "why": why, "early": early}
        case BlocksMade(identity, address, handles, not_after):
            return {
                "event": "blocks-made",
                "identity": identity,
                "address": address,
                "handles": [handle.hex() for handle in handles],
                "not-after": times.to_text(not_after),
            }
        case BlocksUsed(used, left):
            return {"event": "blocks-used", "used": used, "left": left}
        case InFragments(packets, needed):
            return {"event": "in-fragments", "packets": packets, "needed": needed}
        case HandedOver(packets, of):
            return {"event": "handed-over", "packets": packets, "of": of}
        case Kept(id):
            return {"event": "kept", "id": id}
        case Sent():
            return {
                "event": "sent",
                "id": event.id,
                "entry": event.entry,
                "path": list(event.path),
                "packets": event.packets,
                "handed": event.handed,
                "delay": event.delay,
                "expected": times.to_text(event.expected),
            }
        case _:
            assert_never(event)


def _warning(warning: Deviation) -> dict[str, str]:
    return {"code": warning.code, "sentence": warning.sentence}


def _warnings(warnings: Iterable[Deviation]) -> list[dict[str, str]]:
    return [_warning(each) for each in warnings]

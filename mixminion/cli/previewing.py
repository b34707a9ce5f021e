"""``mixminion send --preview``: what arrives, and what may give the sender away."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from mixminion import api
from mixminion.cli.sentences import span

NOT_PROTECTED = (
    "Not protected: who writes as you write can be told by it; whoever sees this line and the"
    " recipient's for long can connect them; the last server reads what is not encrypted."
)


def lines(preview: api.Preview) -> Iterator[str]:
    """For people."""
    shown = [each for each in preview.recipients if each not in preview.hidden]
    yield f"exit: {preview.exit}"
    yield f"recipients: {', '.join(shown) or '-'}"
    if preview.hidden:
        yield f"recipients that the mail does not show: {', '.join(preview.hidden)}"
    size = f"size: {preview.size:,} octets"
    if preview.packets == 1:
        yield f"{size}, in 1 packet"
    else:
        yield f"{size}, in {preview.packets:,} packets, of which {preview.needed:,} are enough"
    if preview.packets > preview.limit:
        yield f"messages of this network take at most {preview.limit:,}: send wants --large"
    yield f"path: {preview.hops} servers"
    yield f"arrives: about {span(preview.delay)} after it was sent"
    if preview.left_out:
        yield f"left out of the header: {', '.join(preview.left_out)}"
    for remark in preview.remarks:
        yield f"look: {remark.sentence}"
    yield NOT_PROTECTED
    yield ""
    if preview.encrypted:
        yield "What the recipient reads; on its way, and at the exit, it is encrypted:"
    elif preview.mail:
        yield "What arrives; From, Date and Message-ID are the exit's, and it may add a footer:"
    else:
        yield "What arrives:"
    yield ""
    yield from preview.arrives.decode("utf-8", "backslashreplace").splitlines()


def data(preview: api.Preview) -> dict[str, Any]:
    """For programs; what arrives in base64."""
    return {
        "sent": False,
        "preview": True,
        "exit": preview.exit,
        "recipients": list(preview.recipients),
        "hidden": list(preview.hidden),
        "size": preview.size,
        "packets": preview.packets,
        "needed": preview.needed,
        "limit": preview.limit,
        "hops": preview.hops,
        "delay": preview.delay,
        "left-out": list(preview.left_out),
        "remarks": [{"code": each.code, "sentence": each.sentence} for each in preview.remarks],
        "encrypted": preview.encrypted,
        "arrives": b64encode(preview.arrives).decode(),
    }

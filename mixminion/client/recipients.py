"""Everybody a message is for: those it shows, and those it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mixminion.client import addresses
from mixminion.client.addresses import Address
from mixminion.client.errors import NotTogether


@dataclass(frozen=True, slots=True)
class Recipients:
    """One exit with all its recipients, and which of them stand in To and in Cc."""

    address: Address
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()


def gather(to: Sequence[str], cc: Sequence[str] = (), bcc: Sequence[str] = ()) -> Recipients:
    """The addresses that were written, read; whoever is there twice counts where he is first.

    Several are taken for mail alone, and all of them are for one exit; only who stands in *to* and
    *cc* is shown.

    :raises BadAddress: one of them cannot be read.
    :raises NotTogether: one does not go with the others.
    """
    written = [*to, *cc, *bcc]
    if len(written) == 1 and to:
        found = addresses.parse(written[0])
        return Recipients(found, found.recipients if _of_mail(found) else ())
    parsed = [(text, addresses.parse(text)) for text in written]
    kinds = {found.exit for _, found in parsed}
    for text, found in parsed:
        if not _of_mail(found):
            why = "only mail addresses go beside others, or in a copy"
            raise NotTogether(address=text, why=why)
        if len(kinds) > 1:
            raise NotTogether(address=text, why="all recipients of a message go to one exit")
    order = list(dict.fromkeys(found.recipients[0] for _, found in parsed))
    named = {found.recipients[0] for text, found in parsed[: len(to)]}
    copied = {found.recipients[0] for text, found in parsed[len(to) : len(to) + len(cc)]}
    return Recipients(
        Address(parsed[0][1].exit, tuple(order), mail=True),
        tuple(each for each in order if each in named),
        tuple(each for each in order if each in copied - named),
    )


def _of_mail(address: Address) -> bool:
    return address.mail and "@" in address.recipients[0] and len(address.recipients) == 1

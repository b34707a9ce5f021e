"""Making reply blocks: for which key periods, and over which paths."""

from __future__ import annotations

from mixminion.client.answer_addresses import AnswerAddress
from mixminion.client.identity_errors import LifetimeTooLong, NoAnswerAddress
from mixminion.directory.consensus import KeyPeriod
from mixminion.directory.errors import NoKeyPeriod
from mixminion.directory.view import View
from mixminion.interfaces import Random
from mixminion.mixing.delays import truncated_exponential
from mixminion.paths import language
from mixminion.paths.errors import ExitTooSmall
from mixminion.paths.preferences import Lists, Preferences
from mixminion.paths.select import ExitRequirement, choose
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx import surb
from mixminion.sphinx.header import Hop
from mixminion.sphinx.surb import Surb, SurbKey
from mixminion.util import times

DAY = 86_400


def periods(view: View, now: float, lifetime: float, least: int) -> list[KeyPeriod]:
    """The key periods of blocks that belong together: *least* of them, and more where an answer
    is to be possible for longer.

    :raises LifetimeTooLong: servers have published no keys for so long.
    :raises NoKeyPeriod: nor for now.
    """

    def ends(period: KeyPeriod) -> float:
        """When a block of it can be answered at last."""
        hops = view.geometry_of(period.number).hops
        return period.ends - (hops + 1) * view.parameters.delay_cap

    usable = [period for period in view.consensus.key_periods if ends(period) > now]
    if not usable:
        raise NoKeyPeriod(time=times.to_text(now))
    for n, period in enumerate(usable, start=1):
        if n >= least and ends(period) >= now + lifetime:
            return usable[:n]
    if lifetime and ends(usable[-1]) < now + lifetime:
        most = int(10 * (ends(usable[-1]) - now) / DAY) / 10
        raise LifetimeTooLong(wanted=f"{lifetime / DAY:.3g}", most=f"{most:.3g}")
    return usable


def build(
    view: View, period: KeyPeriod, where: AnswerAddress, now: float, random: Random, lists: Lists
) -> tuple[Surb, SurbKey]:
    """One block over a path of its own, of the network's length, and what opens its answer.  Its
    first server is no entry of ours: whoever answers does not get to know those.

    :raises UserError: of :mod:`mixminion.paths`, where there is no path to that address.
    """
    geometry = geometries.of(view.geometry_of(period.number))
    parameters = view.parameters
    spec = None
    if where.server is not None:
        spec = language.parse(language.ending_at("", where.server, parameters.hops))
    exit = ExitRequirement(where.exit, geometry.payload, recipients=1)
    moment = max(now, period.begins)  # its keys are chosen for
    try:
        preferences = Preferences(lists=lists)
        choice = choose(view, spec, exit, now=moment, random=random, preferences=preferences)
    except ExitTooSmall:
        why = f"answers have {geometry.payload:,} octets, and no exit {where.exit!r} takes as much"
        raise NoAnswerAddress(address=where.text, why=why) from None
    mean, cap = parameters.mean_delay_ms, parameters.delay_cap_ms
    hops = [
        Hop(
            server.node_id,
            view.packet_key(server.identity, choice.period),
            truncated_exponential(random, mean, cap),
        )
        for server in choice.path
    ]
    dates = int(period.begins), int(period.ends)
    return surb.make(geometry, hops, where.exit, where.recipient, *dates, random)

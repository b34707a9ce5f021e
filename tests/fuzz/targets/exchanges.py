"""What authorities send each other, offered to one of them."""

from __future__ import annotations

from mixminion.authority.ballots import Ballot
from mixminion.authority.exchange import Exchange
from mixminion.authority.signatures import Collection
from mixminion.directory.detached import Detached
from mixminion.directory.errors import BadDocument, NewerDocument
from tests.authority.votes import INSTANT, authorities, envelope, schedule, signed, signer, vote
from tests.directory import network
from tests.fuzz import mutators
from tests.fuzz.driver import Subject, Target

_WORDS = (b'"payload"', b'"signatures"', b'"keyid"', b'"sig"', b'"certificate"', b'"digest"')


class WordError(Exception):
    """A vote was refused with this word."""


def _votes() -> Subject:
    """Envelopes at an exchange in its first round; what counts afterwards was offered whole."""
    good = [signed(vote(1), 1), signed(vote(2), 2, 3)]

    def run(octets: bytes) -> object:
        exchange = Exchange(schedule(5), authorities(5), authorities(5)[0], signer(0))
        word, actions = exchange.offered(octets, schedule(5).begins + 1)
        if word is not None:
            raise WordError(word)
        ballot = Ballot.read(octets, authorities(5), INSTANT)
        if all(ballot.payload != each.payload for each in good):
            raise AssertionError("a vote that nobody has signed")
        return len(actions)

    stranger = envelope(vote(6), 6).encode()
    return Subject(run, [*(each.octets for each in good), stranger])


def _signatures() -> Subject:
    """Sets of signatures on a consensus; none is added that was not made."""
    made = network.consensus([network.server("alice")])
    whole = Collection.made(made, authorities(5))
    for number in range(3):
        whole.sign(signer(number))
    octets = whole.detached()
    assert octets is not None
    real = {each.sig for each in Detached.read(octets).signatures}

    def run(octets: bytes) -> object:
        collection = Collection.made(made, authorities(5))
        added = collection.add(Detached.read(octets).signatures)
        if not {each.sig for each in collection.envelope.signatures} <= real:
            raise AssertionError("a signature that nobody has made")
        return len(added)

    return Subject(run, [octets])


TARGETS = [
    Target("authority-vote", _votes, (WordError,), mutators.JSON, words=_WORDS, longest=6000),
    Target(
        "authority-signatures",
        _signatures,
        (BadDocument, NewerDocument),
        mutators.JSON,
        words=_WORDS,
        longest=6000,
    ),
]

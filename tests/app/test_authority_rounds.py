"""What an operator reads of the exchange: sentences, with names, for what its status says."""

from __future__ import annotations

from typing import Any

from mixminion.app.authority_rounds import DID, problems, shown
from mixminion.authority.conduct import Misdeed
from mixminion.testing.cases import SyncTestCase

ME, TOR = b"m" * 32, b"t" * 32
NAMES = {ME: "moria", TOR: "tor"}
AT = 1_800_000_000


def status(*misdeeds: tuple[bytes, int, str], **changes: Any) -> dict[str, Any]:
    """What the rounds say when all is well, and what is not."""
    everybody: dict[str, Any] = {
        each.hex(): {"voted": AT, "signed": AT, "misdeeds": []} for each in (ME, TOR)
    }
    for who, at, what in misdeeds:
        told = {"valid-after": at, "what": what, "detail": "so"}
        everybody[who.hex()]["misdeeds"].append(told)
    held = {
        "valid-after": AT,
        "valid-until": AT + 30,
        "digest": "ab" * 32,
        "signed": [ME.hex(), TOR.hex()],
        "needed": 2,
    }
    instant = {"valid-after": AT + 10, "phase": "voting", "round": 1}
    told = {
        "next": {"valid-after": AT + 10, "begins": AT + 5, "rounds": 2},
        "instants": [instant],
        "consensus": held,
        "authorities": everybody,
        "refusals": {"late": 2},
    }
    return told | changes


class ShownTests(SyncTestCase):
    def test_shown(self):
        """When the next one is, what it is doing, who signed the last one, who did what."""
        told = shown(status((TOR, AT, "late")), NAMES.__getitem__)
        self.assertEqual(
            told["next-consensus"],
            {
                "valid-after": "2027-01-15T08:00:10Z",
                "votes-from": "2027-01-15T08:00:05Z",
                "phase": "voting",
                "round": 1,
            },
        )
        self.assertEqual(told["last-consensus"]["signed"], ["moria", "tor"])
        self.assertEqual(
            told["authorities"]["tor"]["misdeeds"], ["2027-01-15T08:00:00Z: voted too late (so)"]
        )
        self.assertEqual(told["refusals"], {"late": 2})

    def test_namesakes(self):
        """Two of one name are told apart."""
        told = shown(status(), lambda identity: "same")
        self.assertEqual(list(told["authorities"]), ["same", f"same {TOR.hex()[:8]}"])


class ProblemTests(SyncTestCase):
    def problems(self, told: dict[str, Any], now: float = AT + 1) -> list[str]:
        return [*problems(told, NAMES.__getitem__, ME, now, 10)]

    def test_well(self):
        """Nothing to say; old misdeeds are old."""
        self.assertEqual(self.problems(status()), [])
        self.assertEqual(self.problems(status((TOR, AT - 10, "equivocated"))), [])

    def test_every_misdeed(self):
        """Each kind there is has words, names who did it, and says what to do."""
        self.assertEqual(set(DID), set(Misdeed))
        for word, did in DID.items():
            (said,) = self.problems(status((TOR, AT, word)))
            self.assertEqual(
                said,
                f"The authority tor {did} for 2027-01-15T08:00:00Z (so): tell its operator.",
            )

    def test_own(self):
        """What is wrong with this one is for its own operator to mend."""
        (said,) = self.problems(status((ME, AT, "clock")))
        self.assertIn("This authority has a wrong clock", said)
        self.assertIn("set this machine's clock", said)
        (said,) = self.problems(status((ME, AT, "late")))
        self.assertIn("cut off, overloaded", said)

    def test_missing(self):
        """A consensus that is late, then none; none at all yet."""
        (said,) = self.problems(status(), AT + 16)
        self.assertIn("no consensus after that of 2027-01-15T08:00:00Z", said)
        (said,) = self.problems(status(), AT + 31)
        self.assertIn("no valid consensus since 2027-01-15T08:00:30Z", said)
        why = {"valid-after": AT, "phase": "collecting", "problems": ["1 votes, and it takes 2"]}
        young = status(instants=[why])
        del young["consensus"]
        said, also = self.problems(young)
        self.assertIn("There is no consensus yet", said)
        self.assertIn("no full part in the consensus of 2027-01-15T08:00:00Z: 1 votes", also)

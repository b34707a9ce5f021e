"""What a server's operator hears of what the authorities say."""

from __future__ import annotations

from mixminion.directory.bootstrap import Authority
from mixminion.directory.receipt import Receipt, State
from mixminion.mix.standing import Standing, attention
from mixminion.testing.cases import SyncTestCase

NOW = 1_800_000_000
L, W, U, R, B, N = (
    State.LISTED,
    State.WAITING,
    State.UNREACHABLE,
    State.REFUSED,
    State.BANNED,
    State.UNKNOWN,
)


def standing(state: State | None, reason: str = "", error: str | None = None) -> Standing:
    """One authority's."""
    receipt = None
    if state is not None:
        receipt = Receipt(
            authority=bytes(32),
            time=NOW,
            identity=bytes(32),
            digest=bytes([1] * 32),
            state=state,
            reason=reason,
        )
    return Standing(Authority(bytes(32), "moria", "http://192.0.2.1:80/"), receipt, NOW, error)


def sentences(
    *states: State | None, reason: str = "Because.", error: str | None = None
) -> list[str]:
    return list(attention([standing(state, reason, error) for state in states]))


class AttentionTests(SyncTestCase):
    """Sentences."""

    def test_nothing(self):
        """All is well where a majority lists a server and nobody finds fault."""
        for states in ((L,), (L, L, L), (L, L, W), (L, L, N), (L, L, None), (), (None, None)):
            self.assertEqual(sentences(*states), [], states)

    def test_states(self):
        """Each state by itself, with the authorities' words."""
        for states, text in (
            ((W, W, L), "Waiting for approval at 2 of 3 authorities: Because."),
            ((W,), "Waiting for approval at 1 of 1 authority: Because."),
            ((R, L, L), "Refused by 1 of 3 authorities: Because."),
            ((B, L, L), "Banned by 1 of 3 authorities: Because."),
            ((U, L, L), "This server cannot be reached by 1 of 3 authorities: Because."),
        ):
            self.assertEqual(sentences(*states), [text])
        self.assertEqual(
            sentences(W, W, L, reason=""), ["Waiting for approval at 2 of 3 authorities."]
        )

    def test_order(self):
        """The worst comes first."""
        found = sentences(W, U, R, B, L)
        self.assertEqual(
            [each.split()[0] for each in found], ["Banned", "Refused", "This", "Waiting"]
        )

    def test_reasons(self):
        """Each once, and nothing in them that a terminal would obey."""
        found = list(
            attention([standing(W, "One."), standing(W, "One."), standing(W, "T\x1b[31mwo")])
        )
        self.assertEqual(found, ["Waiting for approval at 3 of 3 authorities: One; T[31mwo."])

    def test_silence(self):
        """Authorities that do not answer, when they are too many to be listed without."""
        for states in ((None, None, None), (W, W, W), (N, N, N)):
            found = sentences(*states, error="no connection")
            self.assertIn("No good answer from 3 of 3 authorities (moria: no connection", found[-1])
            self.assertIn("[Directory]", found[-1])
        one = [standing(L), standing(L), standing(None, error="no connection")]
        self.assertEqual(list(attention(one)), [])
        listed = [standing(L, error="no connection")] * 3
        self.assertEqual(list(attention(listed)), [])


class StatusTests(SyncTestCase):
    """JSON values."""

    def test_values(self):
        """What was said, how long ago, and whether it is about what should be there."""
        found = standing(W, "Because.").for_status(NOW + 90, bytes([1] * 32))
        self.assertEqual(
            found,
            {
                "authority": "moria",
                "url": "http://192.0.2.1:80/",
                "state": "waiting",
                "reason": "Because.",
                "in-consensus": False,
                "current": True,
                "heard": "2027-01-15T08:00:00Z",
                "age": 90,
                "error": None,
            },
        )
        self.assertFalse(standing(W).for_status(NOW, bytes(32))["current"])
        silent = standing(None, error="no connection").for_status(NOW, None)
        self.assertEqual((silent["state"], silent["age"], silent["current"]), (None, None, False))
        self.assertEqual(silent["error"], "no connection")
        unnamed = Standing(Authority(bytes(32), "", "http://192.0.2.1:80/"))
        self.assertEqual(unnamed.for_status(NOW, None)["authority"], "00000000")

"""A hundred messages of six programs, from the client through the exit to the reader."""

from __future__ import annotations

from mixminion.client import addresses
from mixminion.client.compose import from_message
from mixminion.mail import compose, lists
from mixminion.mail.errors import EightBit
from mixminion.mail.policy import Policy
from mixminion.testing.cases import SyncTestCase
from tests.mail.compare import differences
from tests.mail.corpus import Specimen, corpus

BOB = addresses.parse("bob@example.test")
FOOTERS = ("", "This came through a remailer.\nAsk abuse@mix.test.", "Grüße vom Remailer.")


def through(specimen: Specimen, footer: str) -> compose.Mail:
    """The mail that an exit makes of what a client makes of it."""
    return compose.outgoing(
        from_message(BOB, specimen.octets).content,
        sender="Anonymous <anonymous@mix.test>",
        recipients=BOB.recipients,
        message_id="<0123456789abcdef@mix.test>",
        date=1_800_000_000,
        policy=Policy(footer=footer),
    )


def judged(
    specimen: Specimen, arrived: bytes, footer: str, *, seven_bit: bool = False
) -> list[str]:
    """All that is wrong with how *specimen* arrived."""
    torn = ["a signed part differs" for octets in specimen.intact if octets not in arrived]
    return [*differences(specimen.octets, arrived, footer, seven_bit=seven_bit), *torn]


class CorpusTests(SyncTestCase):
    def test_a_hundred(self) -> None:
        """A hundred, all different, with signed ones among them."""
        self.assertEqual(len({specimen.octets for specimen in corpus()}), 100)
        self.assertGreater(sum(specimen.smime for specimen in corpus()), 5)
        self.assertGreater(sum(bool(specimen.intact) for specimen in corpus()), 12)

    def test_arrive(self) -> None:
        """Each arrives as the specification says, whatever footer is added, and to servers that
        take 7 bits; signed parts octet for octet."""
        wrong = []
        for specimen in corpus():
            for footer in FOOTERS:
                mail = through(specimen, footer)
                found = [*judged(specimen, mail.octets(), footer)]
                if specimen.sealed_eight_bit:
                    self.assertRaises(EightBit, mail.seven_bit)
                else:
                    octets = mail.seven_bit().octets()
                    found += judged(specimen, octets, footer, seven_bit=True)
                wrong += [f"{specimen.name}, footer {footer!r}: {each}" for each in found]
        self.assertEqual(wrong, [])

    def test_the_notice(self) -> None:
        """The client tells every field that it leaves out, and none that it does not."""
        for specimen in corpus():
            made = from_message(BOB, specimen.octets)
            head = specimen.octets.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode()
            names = {
                line.partition(":")[0]
                for line in head.split("\n")
                if line[0] not in " \t" and not line.startswith("From ")
            }
            left_out = {
                name
                for name in names
                if lists.fate(name) is lists.Fate.REMOVED or name.lower() in ("from", "reply-to")
            }
            self.assertEqual(set(made.left_out), left_out, specimen.name)

    def test_faults_are_seen(self) -> None:
        """The comparison finds a changed octet in any message, and a field too many."""
        unseen = []
        for specimen in corpus():
            arrived = through(specimen, "").octets()
            body = arrived.partition(b"\r\n\r\n")[2]
            letters = [n for n, octet in enumerate(body) if chr(octet).isalnum()]
            if letters and b"\r\n--" not in body and not body.startswith(b"--"):
                at = len(arrived) - len(body) + letters[len(letters) // 2]
                spoilt = arrived[:at] + bytes([arrived[at] ^ 1]) + arrived[at + 1 :]
                if not differences(specimen.octets, spoilt):
                    unseen.append(specimen.name)
            extra = b"X-Mailer: x\r\n" + arrived
            self.assertNotEqual(differences(specimen.octets, extra), [])
        self.assertEqual(unseen, [])

"""Settings, a register and descriptors for the tests of an authority."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from mixminion.authority.config import SECTIONS, NetworkSection, Settings
from mixminion.authority.intake import Intake
from mixminion.authority.records import Dialled, Record
from mixminion.authority.register import Register
from mixminion.config import parse
from mixminion.config.schema import info
from mixminion.crypto import sign as ed25519
from mixminion.directory import certificate
from mixminion.directory.certificate import Role
from mixminion.directory.consensus import Consensus
from mixminion.directory.envelope import Signer
from mixminion.disk.database import InlineExecutor
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.directory.network import NOW, descriptor, identity, private_key, published

__all__ = ["NOW", "AuthorityCase", "descriptor", "identity", "published", "settings", "signer"]

T = TypeVar("T")
TEXT = """\
[Authority]
nickname = auth0
url = http://192.0.2.1:8080/
[Network]
test-network = yes
[Admission]
policy = open
waiting-time = 0 s
exit-waiting-time = 0 s
"""


def settings(text: str = "", **replaced: str) -> Settings:
    """Settings that take everybody, with *replaced* keys and *text* added."""
    whole = TEXT
    for key, value in replaced.items():
        name = key.replace("_", "-")
        lines = [line for line in whole.splitlines() if not line.startswith(f"{name} =")]
        section = "Network" if name in info(NetworkSection).options else "Admission"
        lines.insert(lines.index(f"[{section}]") + 1, f"{name} = {value}")
        whole = "\n".join(lines) + "\n"
    return Settings.of(parse(whole + text, filename="/srv/authority.conf", sections=SECTIONS))


def signer(name: str = "authority 0", now: int = NOW) -> Signer:
    """The signing key of that authority, with its certificate."""
    private = private_key(f"{name} signing")
    statement = certificate.certify(
        Role.AUTHORITY,
        private_key(name),
        ed25519.public(private),
        valid_after=now - 3600,
        valid_until=now + 90 * 86_400,
    )
    return Signer.of(private, statement)


class AuthorityCase(SyncTestCase):
    """Tests with a register on a virtual clock."""

    def setUp(self) -> None:
        self.clock = HeapClock(NOW)
        self.path = Path(self.mktemp()) / "register.sqlite"
        self.settings = settings()
        self.taken: list[Record] = []
        self.latest: Consensus | None = None
        self.begin()

    def begin(self) -> None:
        """What a start makes of the file."""
        self.register = self.open()
        self.intake = Intake(
            self.clock,
            self.register,
            lambda: self.settings,
            taken=self.taken.append,
            latest=lambda: self.latest,
        )

    def open(self) -> Register:
        """The register, as a start finds it."""
        register = Register(self.path, InlineExecutor(), self.clock)
        self.run_(register.load())
        return register

    def run_(self, work: Coroutine[Deferred[Any], Any, T], at_most: float = 3600.0) -> T:
        """The result of a coroutine, in at most so many virtual seconds."""
        return self.clock.result_of(Deferred.fromCoroutine(work), at_most)

    def offer(self, name: str, number: int = 1, **changes: Any) -> str | None:
        """Publish a descriptor of the server *name*; the code it was refused with."""
        judged = self.run_(self.intake.offer(published(name, number, **changes)))
        return None if judged.refusal is None else judged.refusal.code

    def reached(self, *names: str) -> None:
        """All addresses of these were dialled well."""
        for name in names:
            record = self.record(name)
            assert record.described is not None
            for place in record.described.said.addresses:
                now = int(self.clock.seconds())
                self.register.dialled(record.identity, str(place), Dialled(0, now, now))

    def record(self, name: str) -> Record:
        """What the register has of it."""
        return self.register.records[identity(name)]

    def state(self, *names: str) -> Sequence[str]:
        """Where these stand."""
        return [str(self.intake.standing(identity(name))[0].state) for name in names]

"""The exits of a server that runs, and what its operator may have them do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mixminion.app.environment import exits, host_name
from mixminion.config import Config
from mixminion.control.server import Command
from mixminion.counters import Counters
from mixminion.errors import UserError
from mixminion.exits.abuse import AbuseSection
from mixminion.exits.assembly import PartStore
from mixminion.exits.delivery import Delivery
from mixminion.exits.desk import Desk
from mixminion.exits.section import ExitSection, FragmentsSection, to_mail
from mixminion.interfaces import IExit, Message, Random
from mixminion.mix.config import ServerSection

TEST_SUBJECT = "A test of a Mixminion exit"
TEST_TEXT = (
    "This is a test that the operator of an anonymous remailer made with\n"
    "`mixminion server exit test`.  Nothing has to be done about it.\n"
)


class UnknownExit(UserError):
    """A command about an exit that is not configured."""

    code = "no-such-exit"
    sentence = "This server has no exit {name}; it has {known}."


class Exits:
    """Exits, the desk that guards them, and the queues before them.

    Making it raises what :class:`~mixminion.exits.desk.Desk` and the exits' modules do.
    """

    def __init__(self, config: Config, reactor: Any, random: Random, counters: Counters) -> None:
        self._config = config
        self._reactor = reactor
        self._random = random
        self._counters = counters
        self.desk = Desk(
            config.home,
            config[AbuseSection],
            reactor,
            random,
            counters,
            domains={each.domain for each in config.named(ExitSection).values() if to_mail(each)},
            contact=config[ServerSection].contact or "",
        )
        self._exits = exits(config, reactor, random, self.desk.guard)
        self._delivery: Delivery | None = None

    def delivery(self, store: PartStore) -> Delivery:
        """The queues, for the mix; exits that were paused are."""
        made = self._delivery = Delivery(
            self._exits,
            store,
            self._reactor,
            self._random,
            self._counters,
            host_name(self._config),
            self._config[FragmentsSection],
        )
        for name in self._exits.keys() & set(self.desk.blocking.paused):
            made.pause(name, True)
        return made

    def start(self) -> None:
        """Be ready for commands; after the fork."""
        self.desk.start()

    async def stop(self) -> None:
        """Returns when nothing is under way."""
        await self.desk.stop()

    # -- commands ------------------------------------------------------------------------------

    def commands(self) -> Mapping[str, Command]:
        """For the control socket."""
        return {
            "reload": self._reload,
            "exit-pause": self._pause,
            "exit-blocked": lambda given: self.desk.listing(given.get("name")),
            "exit-block": lambda given: self.desk.add(_text(given, "name")),
            "exit-unblock": lambda given: self.desk.remove(_text(given, "name")),
            "exit-test": self._test,
        }

    def reload(self) -> None:
        """Read again what may change while the server runs; raises
        :class:`~mixminion.config.ConfigErrors`, and then nothing has changed."""
        self.desk.reload()

    def _reload(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        self.reload()
        abuse = self._config[AbuseSection]
        read = (*abuse.rules, *([] if abuse.templates is None else [abuse.templates]))
        return {"reloaded": [str(path) for path in read]}

    async def _pause(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        paused = given.get("paused") is True
        names = [self._exit(name).name for name in given.get("names", [])] or list(self._exits)
        for name in names:
            if self._delivery is not None:
                # At once, and then on the disk: in an emergency a full disk is no excuse.
                self._delivery.pause(name, paused)
            await self.desk.blocking.pause(name, paused)
        return {"exits": names, "paused": paused}

    async def _test(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        recipient = _text(given, "address")
        exit = self._exit(given.get("exit") or self._only_exit_to_mail())
        now = int(self._reactor.seconds())
        domain = exit.domain or host_name(self._config)
        content = (
            f"To: {recipient}\r\nSubject: {TEST_SUBJECT}\r\n"
            f"Content-Type: text/plain; charset=us-ascii\r\n\r\n{TEST_TEXT}"
        ).encode()
        refused = exit.check((recipient,), content, False)
        if refused is not None:
            return {"exit": exit.name, "outcome": "refused", "reason": refused}
        name = f"<{self._random.octets(16).hex()}@{domain}>"
        outcome = await exit.deliver(Message(exit.name, (recipient,), content, None, name, now))
        return {"exit": exit.name, "outcome": outcome.kind.value, "reason": outcome.reason}

    def _only_exit_to_mail(self) -> str:
        names = [name for name, exit in self._exits.items() if exit.domain is not None]
        if len(names) != 1:
            known = ", ".join(names) or "none"
            raise UserError(problem=f"Say which exit: this server's exits to mail are {known}.")
        return names[0]

    def _exit(self, name: object) -> IExit:
        found = self._exits.get(str(name))
        if found is None:
            raise UnknownExit(name=name, known=", ".join(self._exits) or "none")
        return found

    # -- for status ----------------------------------------------------------------------------

    def status(self) -> Mapping[str, Any]:
        """JSON values that identify nobody."""
        return self.desk.status()

    def attention(self) -> Iterator[str]:
        """What there is to do, a sentence each."""
        yield from self.desk.attention(self._exits)


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise UserError(problem=f"The {name} has to be printable ASCII.")
    return value

"""Every kind of path and address, in one table."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from mixminion.client import packets, recipients, routes
from mixminion.client.database import Database, InlineExecutor
from mixminion.client.imported import ImportedServers
from mixminion.client.packets import Letter
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.parts import Exit
from mixminion.directory.parts import Rule as LinkRule
from mixminion.directory.view import View
from mixminion.errors import MixminionError
from mixminion.paths import errors, select
from mixminion.paths.preferences import List, Lists, Preferences, Term
from mixminion.paths.select import Choice
from mixminion.payload import capability
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.directory.network import NOW, published, server, view

T = TypeVar("T")
SEEDS = 24
CAPABILITY = capability.to_text(bytes(range(32)))


def exit(name: str, size: int = 20_000, **policy: object) -> Exit:
    policy = {key.replace("_", "-"): value for key, value in policy.items()}
    return Exit(name=name, module=name, max_message=size, policy=policy)


CLOSED = (LinkRule(allow=False, network="0.0.0.0/0"),)
SERVERS = (
    server("alice", 1, exits=(), family="wonder"),
    server("bob", 2, exits=(exit("smtp"), exit("mbox"), exit("mailbox"))),
    server(
        "carol", 3, exits=(exit("smtp", 99), exit("drop"), exit("pager", 60)), jurisdiction="fr"
    ),
    server("dave", 4, exits=(exit("news", groups=["comp.*"]),), jurisdiction="de"),
    server("erin", 5, exits=(exit("smtp", allow_from=False, max_recipients=2),), family="wonder"),
    server("frank", 6, exits=(), accepts=(LinkRule(allow=False, network="127.1.0.0/16"),)),
    server("grace", 7, exits=(), flags=()),
    server("heidi", 8, exits=(exit("smtp"),), insecure=("classical-links",)),
    server("ivan", 9, exits=(), accepts=CLOSED),
    server("olaf", 14, exits=(), jurisdiction="se", flags=()),
    server("pia", 15, exits=(), jurisdiction="se", flags=()),
    server("quinn", 16, jurisdiction="se", flags=()),
    server("keyless", 12),
)
ALL = "alice bob carol dave erin frank"
"""Those that random hops are drawn from."""


@dataclass
class Case:
    """A path and an address, and who may stand in each hop; or the error, and words of it."""

    path: str | None
    to: str | tuple[str, ...]
    hops: Iterable[str] | type[MixminionError]
    codes: str = ""  #: of warnings; with ? behind it, one that is given sometimes
    default: str = ""
    size: int = 50
    header: bytes = b""
    fragments: bool = False
    lists: Lists = field(default_factory=Lists)
    entries: tuple[str, ...] | None = None
    drawn: bool = False  #: whether its length is


def lists(**given: str) -> Lists:
    terms = {key: tuple(map(Term.parse, text.split())) for key, text in given.items()}
    pairs = [
        List(terms.get(f"allow{role}", ()), terms.get(f"deny{role}", ()))
        for role in ("", "_entry", "_exit")
    ]
    return Lists(*pairs)


MAIL, SMTP = "u@example.org", "bob carol erin"
CASES = (
    # -- names, ?, *n, ~n, one of several
    Case(None, MAIL, (ALL, ALL, ALL, SMTP)),
    Case("?,?,?,?", MAIL, (ALL, ALL, ALL, SMTP)),
    Case("*4", MAIL, (ALL, ALL, ALL, SMTP)),
    Case("alice,*2,BOB", MAIL, ("alice", ALL, ALL, "bob")),
    Case("alice,?,dave,bob", MAIL, ("alice", ALL, "dave", "bob")),
    Case("alice,bob", MAIL, ("alice", "bob"), "path-length"),
    Case("?,dave,?,?", MAIL, (ALL, "dave", ALL, SMTP)),
    Case("~4", MAIL, (ALL, ALL, ALL, SMTP), "path-length?", drawn=True),
    Case("dave,~1,bob", MAIL, ("dave", ALL, ALL, "bob"), "path-length?", drawn=True),
    Case("alice|dave,*2,bob", MAIL, ("alice dave", ALL, ALL, "bob")),
    Case("?,?,?,bob|carol", MAIL, (ALL, ALL, ALL, "bob carol")),
    Case("dave|bob,?,?,bob", MAIL, ("dave", ALL, ALL, "bob")),
    Case("alice|bob,alice|bob,?,carol", MAIL, ("alice bob", "alice bob", ALL, "carol")),
    Case("?,?,?,alice|bob", MAIL, (ALL, ALL, ALL, "bob")),  # alice has no exit
    Case("./judy,?,?,bob", MAIL, ("judy", ALL, ALL, "bob"), "server-imported"),
    Case("judy,?,?,bob", MAIL, ("judy", ALL, ALL, "bob"), "server-imported"),
    Case("?,?,?,'./judy'", MAIL, (ALL, ALL, ALL, "judy"), "server-imported"),
    Case("alice|./judy,?,?,bob", MAIL, ("alice judy", ALL, ALL, "bob"), "server-imported?"),
    # -- what is wrong with them
    Case("alice;bob", MAIL, errors.BadPath),
    Case("alice|?,bob", MAIL, errors.BadPath),
    Case("alice|,bob", MAIL, errors.BadPath),
    Case("alice|alice,bob", MAIL, errors.BadPath),
    Case("*0", MAIL, errors.BadPath),
    Case("'./judy,bob", MAIL, errors.BadPath),
    Case("nobody,?,?,bob", MAIL, errors.UnknownServer),
    Case("alice,?,Alice,bob", MAIL, errors.TwiceInPath),
    Case("bob", MAIL, errors.PathTooShort),
    Case("*5", MAIL, errors.PathTooLong),
    Case("alice,bob,carol,dave,erin", MAIL, errors.PathTooLong),
    Case("~200", MAIL, errors.NeverFits),
    Case("?,?,?,alice", MAIL, errors.UnusableServer),
    Case("keyless,?,?,bob", MAIL, errors.UnusableServer),
    Case("?,?,?,grace|alice", MAIL, errors.UnusableServer),
    Case("./none", MAIL, MixminionError),
    # -- constraints: borne where all that break one were named
    Case("alice,?,?,erin", MAIL, ("alice", ALL, ALL, "erin"), "path-family"),
    Case("?,?,alice,?", MAIL, ("bob carol dave frank", ALL, "alice", "bob carol")),
    Case("alice,frank,?,bob", MAIL, ("alice", "frank", ALL, "bob"), "path-link"),
    Case("ivan,?,?,bob", MAIL, ("ivan", ALL, ALL, "bob"), "path-entry"),
    Case("olaf,pia,quinn", MAIL, ("olaf", "pia", "quinn"),
         "path-jurisdiction path-length server-not-usable"),
    Case("grace,?,?,bob", MAIL, ("grace", ALL, ALL, "bob"), "server-not-usable"),
    Case("?,?,?,heidi", MAIL, (ALL, ALL, ALL, "heidi"), "server-insecure"),
    # -- addresses: an exit of that name, and the server that an address names
    Case(None, "smtp:u@example.org", (ALL, ALL, ALL, SMTP)),
    Case(None, "drop", (ALL, ALL, ALL, "carol")),
    Case(None, "pager:12345", (ALL, ALL, ALL, "carol")),
    Case(None, "news:comp.lang.c", (ALL, ALL, ALL, "dave")),
    Case(None, "news:misc.test", errors.NoNewsgroup),
    Case(None, "fax:12345", errors.NoExit),
    Case(None, "mbox:joe", (ALL, ALL, ALL, "bob")),
    Case(None, "mbox:joe@bob", (ALL, ALL, ALL, "bob")),
    Case(None, f"mailbox:{CAPABILITY}@bob", (ALL, ALL, ALL, "bob")),
    Case("*3", "mbox:joe@bob", (ALL, ALL, ALL, "bob")),
    Case("alice,?,dave", "mbox:joe@bob", ("alice", ALL, "dave", "bob")),
    Case("alice,?,?,bob", "mbox:joe@BOB", ("alice", ALL, ALL, "bob")),
    Case("alice,?,?,carol|bob", "mbox:joe@bob", ("alice", ALL, ALL, "bob")),
    Case("*4", "mbox:joe@bob", errors.PathTooLong),
    Case("bob,?,?", "mbox:joe@bob", errors.TwiceInPath),
    Case(None, "mbox:joe@alice", errors.UnusableServer),
    Case(None, "mbox:joe@nobody", errors.UnknownServer),
    Case(None, "mbox:joe@bob", (ALL, ALL, ALL, "bob"), default="*4"),
    Case(None, "mbox:joe@bob", ("alice", ALL, ALL, "bob"), default="alice,?,?,carol"),
    Case(None, MAIL, ("alice", ALL, ALL, "bob"), default="alice,?,?,bob"),
    Case("*2,?,?", MAIL, (ALL, ALL, ALL, SMTP), default="alice,?,?,bob"),
    # -- exits by size, policy, recipients, fragments
    Case(None, MAIL, (ALL, ALL, ALL, "bob erin"), size=100),
    Case(None, MAIL, errors.ExitTooSmall, size=20_001),
    Case("?,?,?,carol", MAIL, errors.UnusableServer, size=100),
    Case(None, MAIL, (ALL, ALL, ALL, "bob carol"), header=b"From: A <nobody@invalid>\r\n"),
    Case("?,?,?,erin", MAIL, errors.UnusableServer, header=b"From: A <nobody@invalid>\r\n"),
    Case(None, ("a@x.org", "b@x.org"), (ALL, ALL, ALL, SMTP)),
    Case(None, ("a@x.org", "b@x.org", "c@x.org"), (ALL, ALL, ALL, "bob carol")),
    Case("?,?,?,erin", ("a@x.org", "b@x.org", "c@x.org"), errors.UnusableServer),
    Case(None, MAIL, errors.NoFragments, fragments=True),
    # -- lists
    Case(None, MAIL, ("alice dave frank", *["alice dave erin frank"] * 2, "carol"), "",
         lists=lists(
             deny="bob family:nobody", deny_exit="127.5.0.0/16", deny_entry="country:fr erin")),
    Case(None, MAIL, ("alice", ALL, ALL, "bob"),
         lists=lists(allow_entry="alice", allow_exit="bob")),
    Case(None, MAIL, (*["alice bob carol dave"] * 3, "bob carol"),
         lists=lists(allow="alice bob country:fr country:de")),
    Case("erin,?,?,bob", MAIL, ("erin", *["carol dave frank"] * 2, "bob"),
         "server-denied", lists=lists(deny="family:wonder")),
    Case(None, "drop", errors.NoneAllowed, lists=lists(deny_exit="carol")),
    Case(None, MAIL, errors.NoPath, lists=lists(allow="bob carol dave")),
    # -- entries that are kept
    Case(None, MAIL, ("alice dave", ALL, ALL, SMTP), entries=("alice", "dave", "frank")),
    Case("?,dave,?,bob", MAIL, ("alice", "dave", ALL, "bob"), entries=("alice", "dave", "frank")),
    Case("?,?,alice,dave", "news:comp.x", ("frank",  ALL, "alice", "dave"), "path-entry-reserve",
         entries=("alice", "dave", "frank")),
    Case("?,?,?,erin", MAIL, ("dave", ALL, ALL, "erin"), entries=("alice", "dave", "frank")),
    Case("bob,?,?,carol", MAIL, ("bob", ALL, ALL, "carol"), "path-entry-named",
         entries=("alice", "dave", "frank")),
    Case("frank,?,?,carol", MAIL, ("frank", ALL, ALL, "carol"), entries=("alice", "dave", "frank")),
    Case("?,alice,frank,dave", "news:comp.x", errors.NoEntryLeft,
         entries=("alice", "dave", "frank")),
)  # fmt: skip


class PathCasesTests(SyncTestCase):
    """Feature E2."""

    def setUp(self) -> None:
        self.clock = HeapClock(start=NOW)
        folder = Path(self.mktemp()).absolute()
        database = Database(folder / "client.sqlite", InlineExecutor())
        self.addCleanup(lambda: self.ask(database.close()))
        self.imported = ImportedServers(database, InlineExecutor(), self.clock)
        self.ask(self.imported.add(published("judy", 13)))
        self.file = folder / "judy"
        self.file.write_bytes(published("judy", 13))
        self.network = view(SERVERS, without=["keyless"])

    def ask(self, work: Coroutine[Any, Any, T]) -> T:
        return self.clock.result_of(Deferred.fromCoroutine(work))

    def choose(self, case: Case, seed: int) -> Choice:
        written = [case.to] if isinstance(case.to, str) else case.to
        to = recipients.gather(written).address
        path = case.path and case.path.replace("./judy", str(self.file))

        async def look() -> View:
            return await self.imported.beside(self.network)

        text = self.ask(routes.route(to.server, path, case.default, self.imported, look))
        content = case.header + b"\r\n" + bytes(case.size - 2)
        requirement = packets.requirement(
            Letter(to.exit, to.recipients, (content,), text), fragments=case.fragments
        )
        network = self.ask(look())
        preferences = Preferences(lists=case.lists)
        if case.entries is not None:
            kept = tuple(select.find(network, name) for name in case.entries)
            preferences = Preferences(kept[:2], (), kept[2:], case.lists)
        return select.choose(
            network,
            packets.spec(text),
            requirement,
            now=NOW,
            random=SeededRandom(seed.to_bytes(32)),
            preferences=preferences,
        )

    def check(self, case: Case) -> None:
        if isinstance(case.hops, type):
            self.assertRaises(case.hops, self.choose, case, 0)
            return
        hops = [set(hop.split()) for hop in case.hops]
        always = {code for code in case.codes.split() if not code.endswith("?")}
        sometimes = {code.rstrip("?") for code in case.codes.split()}
        seen = [set[str]() for _ in hops]
        for seed in range(SEEDS):
            choice = self.choose(case, seed)
            names = [server.nickname for server in choice.path]
            codes = {warning.code for warning in choice.warnings}
            self.assertTrue(always <= codes <= sometimes, codes)
            self.assertEqual(len(set(names)), len(names))
            if case.drawn:
                self.assertLessEqual(len(names), len(hops))
                names[1:1] = [min(hops[1])] * (len(hops) - len(names))
            for name, found in zip(names, seen, strict=True):
                found.add(name)
        for found, expected in zip(seen, hops, strict=True):
            self.assertLessEqual(found, expected, case)
            if len(expected) < 4:
                self.assertEqual(found, expected, case)

    def test_cases(self) -> None:
        """Who stands where, what is said of it, and what is refused."""
        for case in CASES:
            with self.subTest(path=case.path, to=case.to, default=case.default):
                self.check(case)

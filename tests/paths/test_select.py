"""Choosing paths."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mixminion.crypto.rng import SeededRandom
from mixminion.directory.consensus import Server
from mixminion.directory.errors import KeysMissing, NoKeyPeriod
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.parts import Exit
from mixminion.directory.parts import Rule as LinkRule
from mixminion.directory.view import View
from mixminion.errors import MixminionError, render
from mixminion.paths.constraints import breaches
from mixminion.paths.errors import (
    ExitTooSmall,
    NoExit,
    NoNewsgroup,
    NoPath,
    NotAllowed,
    TooManyRecipients,
    TwiceInPath,
    UnknownServer,
    UnusableServer,
)
from mixminion.paths.language import parse
from mixminion.paths.select import Choice, ExitRequirement, choose
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort
from tests.directory.network import NOW, PERIOD, WEEK, consensus, server, view

MAIL = ExitRequirement("smtp", 1000)


def pick(
    network: View,
    text: str | None = None,
    exit: ExitRequirement | None = MAIL,
    seed: int = 0,
    now: float = NOW,
) -> Choice:
    random = SeededRandom(seed.to_bytes(32, "big"))
    return choose(network, None if text is None else parse(text), exit, now=now, random=random)


def names(choice: Choice) -> list[str]:
    return [hop.nickname for hop in choice.path]


def codes(choice: Choice) -> list[str]:
    return [warning.code for warning in choice.warnings]


def plain(n: int) -> list[Server]:
    """*n* servers that all may stand together."""
    return [server(f"s{i}", i + 1) for i in range(n)]


class ChooseTests(SyncTestCase):
    """What is chosen."""

    def test_default(self):
        """Without a path: the network's length, all different, no warning."""
        choice = pick(view(plain(6)))
        self.assertEqual(len(set(choice.path)), 4)
        self.assertEqual((choice.period, choice.warnings), (PERIOD, ()))

    def test_named(self):
        """Named servers stand where they were named, in any case of letters."""
        network = view(plain(6))
        for seed in range(20):
            found = names(pick(network, "S3,*2,s1", seed=seed))
            self.assertEqual((found[0], found[3]), ("s3", "s1"))
            self.assertEqual(len(set(found)), 4)

    def test_another_length(self):
        """A path of another length is made, and said to stand out."""
        network = view(plain(8), parameters=Parameters(hops=4))
        self.assertEqual(codes(pick(network, "s1,s2")), ["path-length"])
        longer = PacketGeometry.make(hops=6)
        periods = tuple(
            type(each)(
                number=each.number,
                begins=each.begins,
                ends=each.ends,
                geometry=longer,
                keys=each.keys,
            )
            for each in network.consensus.key_periods
        )
        self.assertEqual(len(pick(view(plain(8), key_periods=periods), "*6").path), 6)

    def test_exit(self):
        """Only servers that deliver what is to be delivered come last."""
        big = Exit(name="smtp", module="smtp", max_message=10**6)
        servers = [*plain(5), server("big", 9, exits=(big,)), server("none", 10, exits=())]
        network = view(servers)
        for seed in range(30):
            self.assertNotEqual(names(pick(network, seed=seed))[-1], "none")
            large = pick(network, exit=ExitRequirement("smtp", 10**6), seed=seed)
            self.assertEqual(names(large)[-1], "big")

    def test_policy(self):
        """What a sender says of himself goes to exits that let it pass."""
        asked = frozenset({"allow-from", "allow-reply-to"})
        open_, half, shut, silent = (
            Exit(name="smtp", module="smtp", max_message=10**4, policy=policy)
            for policy in (
                {"allow-from": True, "allow-reply-to": True},
                {"allow-from": True, "allow-reply-to": False},
                {"allow-from": False, "allow-reply-to": False},
                {},
            )
        )
        closed = [server(f"s{i}", i + 1, exits=(half if i else shut,)) for i in range(5)]
        requirement = ExitRequirement("smtp", 100, allowing=asked)
        error = self.assertRaises(NotAllowed, pick, view(closed), exit=requirement)
        self.assertEqual(error.fields["what"], "From and Reply-To")
        error = self.assertRaises(UnusableServer, pick, view(closed), "*3,s0", exit=requirement)
        self.assertIn("does not allow From and allow Reply-To", error.fields["problem"])
        friends = [server("open", 8, exits=(open_,)), server("silent", 9, exits=(silent,))]
        network = view([*closed, *friends])
        last = {names(pick(network, exit=requirement, seed=seed))[-1] for seed in range(40)}
        self.assertEqual(last, {"open", "silent"})
        small = ExitRequirement("smtp", 10**5, allowing=asked)
        self.assertRaises(ExitTooSmall, pick, network, exit=small)

    def test_recipients(self):
        """Exits that take fewer recipients do not come last; what all take too few of is said."""
        few, many, silent = (
            Exit(name="smtp", module="smtp", max_message=10**6, policy=policy)
            for policy in ({"max-recipients": 2}, {"max-recipients": 9}, {})
        )
        servers = [server(f"s{i}", i + 1, exits=(few,)) for i in range(4)]
        ten = ExitRequirement("smtp", 100, recipients=10)
        error = self.assertRaises(TooManyRecipients, pick, view(servers), exit=ten)
        self.assertEqual((error.fields["recipients"], error.fields["most"]), (10, 2))
        error = self.assertRaises(UnusableServer, pick, view(servers), "*3,s0", exit=ten)
        self.assertIn("takes at most 2 recipients", error.fields["problem"])
        servers += [server("many", 8, exits=(many,)), server("silent", 9, exits=(silent,))]
        for recipients, expected in ((3, {"many", "silent"}), (10, {"silent"})):
            exit = ExitRequirement("smtp", 100, recipients=recipients)
            last = {names(pick(view(servers), exit=exit, seed=seed))[-1] for seed in range(40)}
            self.assertEqual(last, expected)

    def test_groups(self):
        """An exit to news posts to all groups of the article, as far as it says; where none does,
        the groups are named."""
        policies: tuple[tuple[str, dict[str, object]], ...] = (
            ("comp", {"groups": ["comp.*"], "deny": ["comp.risks"]}),
            ("all", {"groups": ["*"], "deny": []}),
            ("silent", {}),
            ("odd", {"groups": "x", "deny": None}),
        )
        servers = [
            server(
                name,
                i + 1,
                exits=(Exit(name="news", module="nntp", max_message=10**5, policy=policy),),
            )
            for i, (name, policy) in enumerate(policies)
        ]
        for groups, expected in (
            (("comp.lang.c",), {"comp", "all", "silent", "odd"}),
            (("comp.risks",), {"all", "silent", "odd"}),
            (("comp.lang.c", "misc.test"), {"all", "silent", "odd"}),
        ):
            exit = ExitRequirement("news", 100, recipients=len(groups), groups=groups)
            last = {names(pick(view(servers), exit=exit, seed=seed))[-1] for seed in range(60)}
            self.assertEqual(last, expected)
        exit = ExitRequirement("news", 100, groups=("misc.test", "comp.x"))
        error = self.assertRaises(NoNewsgroup, pick, view([servers[0], *plain(5)[1:]]), exit=exit)
        self.assertIn("misc.test and comp.x", render(error))
        error = self.assertRaises(UnusableServer, pick, view(servers), "*3,comp", exit=exit)
        self.assertIn("does not post to misc.test and comp.x", error.fields["problem"])

    def test_any_last(self):
        """Without something to deliver, any server may come last."""
        network = view([server(f"s{i}", i + 1, exits=()) for i in range(4)])
        lasts = {names(pick(network, exit=None, seed=seed))[-1] for seed in range(60)}
        self.assertEqual(lasts, {"s0", "s1", "s2", "s3"})

    def test_left_out(self):
        """Servers that are not usable are in no path unless they are named."""
        odd = [
            server("flagless", 7, flags=()),
            server("new", 8, usable_from=NOW + 1),
            server("weak", 9, insecure=("classical-links",)),
        ]
        network = view([*plain(5), *odd, server("keyless", 10)], without=["keyless"])
        found = {name for seed in range(60) for name in names(pick(network, seed=seed))}
        self.assertEqual(found, {f"s{i}" for i in range(5)})
        for name, code in (
            ("flagless", "server-not-usable"),
            ("new", "server-new"),
            ("weak", "server-insecure"),
        ):
            self.assertEqual(codes(pick(network, f"{name},*3")), [code])

    def test_period(self):
        """Keys are those of the moment in which the packet leaves."""
        network = view(plain(4))
        self.assertEqual(pick(network, now=(PERIOD + 1) * WEEK).period, PERIOD + 1)
        self.assertRaises(NoKeyPeriod, pick, network, now=(PERIOD + 3) * WEEK)
        self.assertRaises(KeysMissing, pick, View(consensus(plain(4)), []))


class RefusedTests(SyncTestCase):
    """What cannot be chosen, and the sentences that say so."""

    def refused(self, kind: type[MixminionError], network: View, *args: object) -> str:
        error = self.assertRaises(kind, pick, network, *args)
        return render(error)

    def test_unknown(self):
        """A name that is not listed, with near ones."""
        network = view([server("charlie", 1), server("charlotte", 2), server("dora", 3)])
        sentence = self.refused(UnknownServer, network, "dora,charly")
        self.assertIn("no server named 'charly'. Near it: charlie", sentence)
        self.assertNotIn("Near", self.refused(UnknownServer, network, "zzzz"))

    def test_twice(self):
        """One server twice, so that entry would be exit."""
        self.assertIn(
            "s1 stands in the path twice", self.refused(TwiceInPath, view(plain(4)), "s1,?,S1")
        )

    def test_named_cannot(self):
        """Named servers that have no key, no address or not that exit."""
        small = Exit(name="smtp", module="smtp", max_message=999)
        network = view(
            [
                *plain(4),
                server("keyless", 6),
                server("hidden", addresses=()),
                server("none", 8, exits=()),
                server("small", 9, exits=(small,)),
            ],
            without=["keyless"],
        )
        for text, part in (
            ("keyless,?", "keyless cannot be used: it has no packet key for key period"),
            ("hidden,?", "hidden cannot be used: it publishes no address"),
            ("?,none", "none cannot be used: it has no exit 'smtp'"),
            ("?,small", "small cannot be used: its exit 'smtp' takes at most 999 octets"),
        ):
            self.assertIn(part, self.refused(UnusableServer, network, text))

    def test_no_exit(self):
        """No server delivers it, or none takes so much."""
        network = view(plain(4))
        self.assertIn("exit 'news'", self.refused(NoExit, network, None, ExitRequirement("news")))
        sentence = self.refused(ExitTooSmall, network, None, ExitRequirement("smtp", 20_001))
        self.assertIn("has 20001 octets", sentence)
        self.assertIn("takes is 20000", sentence)

    def test_too_few(self):
        """Fewer servers than hops: how many more are needed."""
        for n, part in ((3, "1 more is needed"), (1, "3 more are needed")):
            self.assertIn(part, self.refused(NoPath, view(plain(n))))
        self.refused(NoExit, view([]))

    def test_ends_in_one_family(self):
        """Entry and exit differ in family even in the smallest network."""
        network = view([server(f"s{i}", i + 1, family="one") for i in range(4)])
        self.assertIn("different families", self.refused(NoPath, network))

    def test_no_links(self):
        """Servers that refuse each other make no path."""
        nobody = (LinkRule(allow=False, network="0.0.0.0/0"),)
        network = view([server(f"s{i}", i + 1, accepts=nobody) for i in range(4)])
        self.assertIn("link with each other", self.refused(NoPath, network))

    def test_closed_entry(self):
        """A server that takes links from few is no entry, and anything else."""
        few = (
            LinkRule(allow=True, network="127.0.0.0/8"),
            LinkRule(allow=False, network="0.0.0.0/0"),
        )
        network = view([*plain(4), server("few", 9, accepts=few)])
        found = [names(pick(network, seed=seed)) for seed in range(60)]
        self.assertNotIn("few", [path[0] for path in found])
        self.assertIn("few", [path[1] for path in found])


class DeviationTests(SyncTestCase):
    """Paths that are made all the same, with a warning."""

    def test_named_entry(self):
        """A server that takes links from few, named as the first."""
        few = (LinkRule(allow=False, network="0.0.0.0/0"),)
        choice = pick(view([*plain(4), server("few", 9, accepts=few)]), "few,*3")
        self.assertEqual(codes(choice), ["path-entry"])
        self.assertIn("few does not take links from everybody", str(choice.warnings[0]))

    def test_named_family(self):
        """Two servers of one family that were both named."""
        one, two = server("a", 8, family="x"), server("b", 9, family="x")
        network = view([*plain(4), one, two])
        choice = pick(network, "a,*2,b")
        self.assertEqual(codes(choice), ["path-family"])
        self.assertIn("a and b are of one family", str(choice.warnings[0]))
        for seed in range(40):
            self.assertNotIn("b", names(pick(network, "a,*3", seed=seed)))

    def test_small_network(self):
        """Where no path keeps all rules, entry and exit still differ."""
        servers = [server(f"s{i}", i + 1, family="x" if i < 2 else "y") for i in range(4)]
        for seed in range(30):
            choice = pick(view(servers), seed=seed)
            self.assertNotEqual(choice.path[0].family, choice.path[3].family)
            self.assertEqual(codes(choice), ["path-family"] * 2)

    def test_one_jurisdiction(self):
        """All servers in one country is said, not refused; one elsewhere is used."""
        here = [server(f"s{i}", i + 1, jurisdiction="de") for i in range(5)]
        self.assertEqual(codes(pick(view(here))), ["path-jurisdiction"])
        network = view([*here, server("abroad", 9, jurisdiction="fr")])
        for seed in range(20):
            self.assertIn("abroad", names(pick(network, seed=seed)))

    def test_needle(self):
        """One path among very many is found: 40 servers of one family, three others."""
        borg = [server(f"b{i}", i + 10, family="borg") for i in range(40)]
        choice = pick(view([*borg, *plain(3)]))
        self.assertEqual(choice.warnings, ())
        self.assertEqual(sum(hop.family == "borg" for hop in choice.path), 1)

    def test_chain(self):
        """One order of four servers is found: each dials only the next."""
        servers = [
            server(
                f"s{i}",
                i,
                dials=(
                    LinkRule(allow=True, network=f"127.{i + 1}.0.0/16"),
                    LinkRule(allow=False, network="0.0.0.0/0"),
                ),
            )
            for i in range(1, 5)
        ]
        self.assertEqual(names(pick(view(servers))), ["s1", "s2", "s3", "s4"])


@st.composite
def networks(draw):
    """Networks of 4 to 12 servers with few families, networks and countries."""
    n = draw(st.integers(4, 12))
    return [
        server(
            f"s{i}",
            addresses=(HostPort(f"127.{draw(st.integers(1, 9))}.0.{i + 1}", 48099),),
            family=draw(st.sampled_from(["", "", "a", "b", "c"])),
            jurisdiction=draw(st.sampled_from(["", "de", "fr"])),
            exits=server("x").exits if draw(st.booleans()) else (),
            flags=("usable",) if draw(st.integers(0, 5)) else (),
        )
        for i in range(n)
    ]


class PropertyTests(SyncTestCase):
    """Every chosen path keeps the rules."""

    @settings(max_examples=150, deadline=None)
    @given(
        networks(),
        st.sampled_from([None, "?,?", "*3", "~3", "s0,~2", "?,s1,?"]),
        st.integers(0, 99),
    )
    def test_rules(self, servers, text, seed):
        """No rule is broken without a warning, and none at all where some path keeps them."""
        network = view(servers)
        try:
            choice = pick(network, text, seed=seed)
        except (NoExit, NoPath, UnusableServer):
            return
        path = choice.path
        self.assertEqual(len(set(path)), len(path))
        self.assertIsNotNone(path[-1].exit("smtp"))
        broken = [f"path-{each.rule}" for each in breaches(path)]
        self.assertEqual([c for c in codes(choice) if c in broken], broken)
        wanted = {"s0"} if text == "s0,~2" else {"s1"} if text == "?,s1,?" else set()
        for hop in path:
            self.assertTrue(hop.nickname in wanted or "usable" in hop.flags)
        if broken and text is None:
            usable = [each for each in servers if each.flags]
            assume(len(usable) <= 8)
            for other in permutations(usable, 4):
                self.assertTrue(other[-1].exit("smtp") is None or list(breaches(other)))


class UniformityTests(SyncTestCase):
    """Choice is uniform among all paths that keep the rules."""

    def chi_square(self, network: View, paths: int, draws: int, text: str | None) -> float:
        random = SeededRandom(b"uniform".ljust(32))
        spec = None if text is None else parse(text)
        counts = Counter(
            tuple(names(choose(network, spec, MAIL, now=NOW, random=random))) for _ in range(draws)
        )
        self.assertEqual(len(counts), paths)
        expected = draws / paths
        return sum((count - expected) ** 2 / expected for count in counts.values())

    def test_exits_and_families(self):
        """Five servers, two of one family, two of them exits: every valid path of three."""
        servers = [
            server("a", 1, family="x"),
            server("b", 2, family="x", exits=()),
            server("c", 3),
            server("d", 4, exits=()),
            server("e", 5, exits=()),
        ]
        valid = [
            path
            for path in permutations(servers, 3)
            if path[-1].exit("smtp") and not list(breaches(path))
        ]
        self.assertEqual(len(valid), 16)
        # 15 degrees of freedom: 37.7 is exceeded by chance once in a thousand.
        self.assertLess(self.chi_square(view(servers), len(valid), 8000, "*3"), 37.7)

    def test_all(self):
        """Six plain servers, paths of four: all 360."""
        # 359 degrees of freedom, p = 0.001: 447.
        self.assertLess(self.chi_square(view(plain(6)), 360, 9000, None), 447)

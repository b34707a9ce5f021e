"""A hundred thousand paths through a network in which little goes with anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cached_property
from math import sqrt
from typing import Any

from mixminion.crypto.rng import SeededRandom
from mixminion.directory.consensus import Server
from mixminion.directory.parts import Rule as LinkRule
from mixminion.directory.parts import allowed
from mixminion.paths.preferences import Preferences
from mixminion.paths.select import ExitRequirement, choose
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort
from tests.directory.network import NOW, server, view

PATHS = 100_000
KEPT = 20_000
MAIL = ExitRequirement("smtp", 1000)
Path = tuple[int, ...]


def address(text: str) -> HostPort:
    return HostPort(text, 48099)


def rules(*texts: str) -> tuple[LinkRule, ...]:
    return tuple(map(LinkRule.parse, texts))


def servers() -> list[Server]:
    """Some fifty: families of one to four, networks of IPv4 and IPv6 with one or several of them,
    links that one side or the other refuses, three countries, a few that are no good."""
    random = SeededRandom(b"servers")
    found = []
    for n in range(44):
        four = address(f"127.{1 + n * 5 % 37}.0.{n + 1}")
        six = address(f"2001:db{random.below(9)}:{n + 1:x}::1")
        changes: dict[str, Any] = {
            "addresses": (four, six) if n % 4 == 0 else (six,) if n % 7 == 0 else (four,),
            "family": "" if n % 3 == 0 else f"family{random.below(14)}",
            "jurisdiction": ("de", "de", "fr", "")[random.below(4)],
            "exits": server("x").exits if n % 3 == 1 else (),
        }
        if n % 11 == 3:
            denied = f"deny 127.{1 + random.below(18)}.0.0/16"
            changes["dials"] = rules(denied, "deny 2001:db2::/32")
        if n % 11 == 5:
            changes["accepts"] = rules("allow 127.0.0.0/12", "deny 0.0.0.0/0", "deny ::/0")
        if n % 11 == 7:
            changes["accepts"] = rules(f"deny 127.{1 + random.below(18)}.0.0/16")
        found.append(server(f"s{n}", **changes))
    found += [
        server("down", 200, flags=()),
        server("weak", 201, insecure=("classical-links",)),
        server("new", 202, usable_from=NOW + 1),
        server("hidden", addresses=()),
        server("keyless", 203),
    ]
    return found


class Rules:
    """The rules of DESIGN 10 once more, as sets of bits, and how many paths of four keep them."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers = servers
        n = range(len(servers))
        self.apart = [self._bits(j for j in n if self._are_apart(i, j)) for i in n]
        self.links = [self._bits(j for j in n if self._link(i, j)) for i in n]
        self.exits = self._bits(i for i in n if servers[i].exit("smtp"))
        self.entries = [i for i in n if "deny 0.0.0.0/0" not in map(str, servers[i].accepts)]
        self.country = {
            each: self._bits(i for i in n if servers[i].jurisdiction == each)
            for each in {server.jurisdiction for server in servers} - {""}
        }

    @staticmethod
    def _bits(numbers: Iterator[int]) -> int:
        return sum(1 << number for number in numbers)

    def _are_apart(self, i: int, j: int) -> bool:
        a, b = self.servers[i], self.servers[j]
        networks = [{self._network(place) for place in each.addresses} for each in (a, b)]
        family = a.family != "" and a.family == b.family
        return i != j and not family and not networks[0] & networks[1]

    @staticmethod
    def _network(place: HostPort) -> str:
        if ":" in place.host:
            return ":".join(place.host.split(":")[:2])
        return ".".join(place.host.split(".")[:2])

    def _link(self, i: int, j: int) -> bool:
        a, b = self.servers[i], self.servers[j]
        dials = any(allowed(a.dials, place) for place in b.addresses)
        return dials and any(allowed(b.accepts, place) for place in a.addresses)

    def lasts(self, entry: int, second: int, third: int) -> int:
        """Who may be the last of a path that begins so, as bits."""
        apart = self.apart
        if not (apart[entry] & self.links[entry]) >> second & 1:
            return 0
        if not (apart[entry] & apart[second] & self.links[second]) >> third & 1:
            return 0
        last = apart[entry] & apart[second] & apart[third] & self.links[third] & self.exits
        places = {self.servers[hop].jurisdiction for hop in (entry, second, third)}
        if len(places) == 1 and "" not in places:
            last &= ~self.country[places.pop()]
        return last

    @cached_property
    def paths(self) -> list[tuple[Path, int]]:
        """Every beginning of three that some path has, and the bits of who may be the last."""
        n = range(len(self.servers))
        found = (((a, b, c), self.lasts(a, b, c)) for a in self.entries for b in n for c in n)
        return [(path, last) for path, last in found if last]

    def keeps(self, path: Path) -> bool:
        entry, second, third, last = path
        return entry in self.entries and bool(self.lasts(entry, second, third) >> last & 1)


class ManyTests(SyncTestCase):
    """No rule broken, and every path that keeps them as likely as any other."""

    def setUp(self) -> None:
        listed = servers()
        self.network = view(listed, without=["keyless"])
        usable = [each for each in listed if each.nickname.startswith("s")]
        self.numbers = {each.identity: n for n, each in enumerate(usable)}
        self.rules = Rules(usable)

    def draw(self, paths: int, preferences: Preferences) -> Iterator[Path]:
        random = SeededRandom(b"many")
        for _ in range(paths):
            choice = choose(
                self.network, None, MAIL, now=NOW, random=random, preferences=preferences
            )
            self.assertEqual(choice.warnings, ())
            path = tuple(self.numbers[hop.identity] for hop in choice.path)
            self.assertTrue(self.rules.keeps(path), path)
            yield path

    def assertLikely(self, seen: Counter[Hashable], weights: Counter[Hashable]) -> None:
        """What was *seen* is drawn by these *weights*: chi-square, p > 0.001, of cells in which
        five or more are expected, the rest being one cell."""
        self.assertLessEqual(seen.keys(), weights.keys())
        scale = seen.total() / weights.total()
        cells = [(seen[key], scale * weights[key]) for key in weights]
        rare = [cell for cell in cells if cell[1] < 5]
        cells = [cell for cell in cells if cell[1] >= 5]
        if rare:
            cells.append((sum(count for count, _ in rare), sum(each for _, each in rare)))
        chi = sum((count - expected) ** 2 / expected for count, expected in cells)
        free = len(cells) - 1
        most = free * (1 - 2 / (9 * free) + 3.0902 * sqrt(2 / (9 * free))) ** 3  # Wilson-Hilferty
        self.assertLess(chi, most, f"{free} degrees of freedom")

    def check(
        self,
        drawn: Sequence[Path],
        paths: Sequence[tuple[Path, int]],
        of: Callable[[Path], Hashable],
    ) -> None:
        """Those *drawn* are uniform among *paths*, by what *of* says of each."""
        weights: Counter[Hashable] = Counter()
        exits = [n for n in range(len(self.rules.servers)) if self.rules.exits >> n & 1]
        for begin, last in paths:
            for exit in exits:
                if last >> exit & 1:
                    weights[of((*begin, exit))] += 1
        self.assertLikely(Counter(map(of, drawn)), weights)

    def test_everybodys(self) -> None:
        """Without kept entries."""
        drawn = list(self.draw(PATHS, Preferences()))
        paths = self.rules.paths
        self.assertGreater(sum(last.bit_count() for _, last in paths), 100_000)
        for of in (
            lambda path: path[0],
            lambda path: path[1],
            lambda path: path[3],
            lambda path: (path[0], path[3]),
            lambda path: (path[1], path[2]),
        ):
            self.check(drawn, paths, of)

    def test_kept_entries(self) -> None:
        """With two of them: each as often as the other, and every path that begins at it as likely
        as any other that does."""
        entries = [each for each in self.rules.entries if self.rules.servers[each].family][:2]
        servers = self.rules.servers
        kept = Preferences(tuple(servers[each] for each in entries))
        drawn = list(self.draw(KEPT, kept))
        halves = [[path for path in drawn if path[0] == entry] for entry in entries]
        self.assertLikely(Counter(path[0] for path in drawn), Counter(dict.fromkeys(entries, 1)))
        counts = []
        for entry, half in zip(entries, halves, strict=True):
            paths = [each for each in self.rules.paths if each[0][0] == entry]
            counts.append(sum(last.bit_count() for _, last in paths))
            self.check(half, paths, lambda path: path[1])
            self.check(half, paths, lambda path: path[3])
            self.check(half, paths, lambda path: (path[2], path[3]))
        self.assertGreater(max(counts) / min(counts), 1.2)  # which the entries' own share ignores

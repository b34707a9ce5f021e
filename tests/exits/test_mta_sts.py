"""Policies of domains (RFC 8461): read, kept, fetched, and held to."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.ssl import PrivateCertificate
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from typing_extensions import override

from mixminion.crypto.rng import SeededRandom
from mixminion.exits import mta_sts, mta_sts_fetch, smtp_tls
from mixminion.exits.mta_sts import NoPolicy, Policies, Policy, announced_id, parse
from mixminion.exits.mta_sts_cache import MOST, DiskCache
from mixminion.exits.mta_sts_fetch import HttpsFetch
from mixminion.exits.mx import Mx
from mixminion.exits.mx_names import Names, resolver
from mixminion.exits.mx_route import Terms
from mixminion.exits.smtp_session import Manner, Timeouts
from mixminion.interfaces import Outcome, OutcomeKind
from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from mixminion.testing.certificates import Authority
from mixminion.testing.clock import HeapClock
from mixminion.testing.smtp import Sink
from tests.exits import kit
from tests.exits.zone import Zone, a, mx, txt

reactor: Any = installed

TEXT = b"version: STSv1\r\nmode: enforce\r\nmx: one.test\r\nmx: *.hosts.test\r\nmax_age: 86400\r\n"
DOMAIN = "example.test"


class ParseTests(SyncTestCase):
    def test_policy(self) -> None:
        """What a file says; a name with a star is for one label."""
        policy = parse(TEXT, "1", 1000.0)
        self.assertEqual((policy.mode, policy.until), ("enforce", 87_400.0))
        for host, takes in (
            ("one.test", True),
            ("a.hosts.test", True),
            ("a.b.hosts.test", False),
            ("hosts.test", False),
            ("two.test", False),
        ):
            self.assertEqual(policy.takes(host), takes, host)

    def test_no_policy(self) -> None:
        """What lacks something, or has it wrong, is none."""
        for spoilt in (
            b"",
            b"\xff",
            TEXT.replace(b"STSv1", b"STSv2"),
            TEXT.replace(b"enforce", b"force"),
            TEXT.replace(b"86400", b"-1"),
            TEXT.replace(b"86400", b"9" * 11),
            TEXT.replace(b"mx: one.test", b"mx: one test"),
            TEXT.replace(b"mx:", b"my:"),
            TEXT + b"mx: a.test\n" * 100,
        ):
            with self.assertRaises(NoPolicy):
                parse(spoilt, "1", 0.0)
        age = parse(TEXT.replace(b"86400", b"9999999999"), "1", 0.0).until
        self.assertEqual(age, mta_sts.LONGEST_AGE)

    @given(st.binary() | st.lists(st.sampled_from(TEXT.splitlines(True))).map(b"".join))
    def test_any_octets(self, octets: bytes) -> None:
        """A policy or none, whatever is there."""
        with contextlib.suppress(NoPolicy):
            parse(octets, "1", 0.0).takes("one.test")
        announced_id([octets])

    def test_announced(self) -> None:
        """Just one record with an id."""
        self.assertEqual(announced_id([b"v=spf1", b"v=STSv1; id=2027a;"]), "2027a")
        for texts in ([], [b"v=STSv1; id=1"] * 2, [b"v=STSv1;"], [b"v=STSv1; id=a-b"], [b"id=1"]):
            self.assertIsNone(announced_id(texts), texts)


class MemoryCache:
    def __init__(self) -> None:
        self.policies: dict[str, Policy] = {}

    async def get(self, domain: str) -> Policy | None:
        return self.policies.get(domain)

    def put(self, domain: str, policy: Policy) -> None:
        self.policies[domain] = policy


class PoliciesTests(SyncTestCase):
    def setUp(self) -> None:
        self.clock = HeapClock()
        self.zone = Zone()
        self.cache = MemoryCache()
        self.text: bytes | None = TEXT
        self.fetched = 0
        names = Names(lambda: self.zone)
        self.policies = Policies(self.clock, names, self.fetch, self.cache)
        self.announce("1")

    def announce(self, id: str) -> None:
        self.zone.records[f"_mta-sts.{DOMAIN}"] = [txt(f"v=STSv1; id={id};")]

    async def fetch(self, domain: str) -> bytes:
        self.fetched += 1
        if self.text is None:
            raise NoPolicy
        return self.text

    def policy(self) -> Policy | None:
        return self.successResultOf(ensureDeferred(self.policies.of(DOMAIN)))

    def test_kept(self) -> None:
        """Fetched once for each id; it holds when the announcement or the file is gone, or the
        name server fails, until it is over."""
        self.assertIsNotNone(self.policy())
        self.assertIsNotNone(self.policy())
        self.assertEqual(self.fetched, 1)
        self.announce("2")
        self.text = None
        self.assertIsNotNone(self.policy())
        self.zone.records.clear()
        self.assertIsNotNone(self.policy())
        self.zone.broken.add(f"_mta-sts.{DOMAIN}")
        self.assertIsNotNone(self.policy())
        self.clock.advance(86_401)
        self.assertIsNone(self.policy())

    def test_new_one(self) -> None:
        """A new id brings the new policy; one that enforces nothing holds nobody."""
        self.policy()
        for mode in (b"testing", b"none"):
            self.announce(mode.decode())
            self.text = TEXT.replace(b"enforce", mode)
            self.assertIsNone(self.policy())

    def test_none(self) -> None:
        """Without announcement nothing is fetched; what cannot be is left alone for a while."""
        self.text = None
        for _ in range(3):
            self.assertIsNone(self.policy())
        self.assertEqual(self.fetched, 1)
        self.clock.advance(mta_sts.PAUSE + 1)
        self.text = TEXT
        self.assertIsNotNone(self.policy())
        self.zone.records.clear()
        self.cache.policies.clear()
        self.assertIsNone(self.policy())
        self.assertEqual(self.fetched, 2)


class CacheTests(SyncTestCase):
    def made(self) -> DiskCache:
        return DiskCache(self.path, lambda work: maybeDeferred(work))

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute() / "mta-sts.json"

    def get(self, cache: DiskCache, domain: str) -> Policy | None:
        return self.successResultOf(ensureDeferred(cache.get(domain)))

    def test_restart(self) -> None:
        """What was kept is there again, in a private file; of too many the oldest go."""
        cache = self.made()
        for n in range(MOST + 5):
            cache.put(f"d{n}.test", Policy("1", "enforce", ("one.test",), float(n)))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        again = self.made()
        self.assertEqual(self.get(again, f"d{MOST}.test"), self.get(cache, f"d{MOST}.test"))
        self.assertIsNotNone(self.get(again, "d5.test"))
        self.assertIsNone(self.get(again, "d4.test"))

    def test_spoilt(self) -> None:
        """A file that is none of ours is not believed; what comes is kept in its place."""
        self.path.parent.mkdir()
        for octets in (b"", b"{}", b'{"version":2,"policies":{}}', b"\xff" * 10):
            self.path.write_bytes(octets)
            self.path.chmod(0o600)
            cache = self.made()
            self.assertIsNone(self.get(cache, DOMAIN))
            cache.put(DOMAIN, Policy("1", "enforce", ("one.test",), 1.0))
            self.assertIsNotNone(self.get(self.made(), DOMAIN))

    def test_writes_in_order(self) -> None:
        """One write at a time, and the last one has everything; a disk that fails stops
        nothing."""
        works: list[tuple[Any, Deferred[Any]]] = []

        def later(work: Any) -> Deferred[Any]:
            works.append((work, Deferred()))
            return works[-1][1]

        cache = DiskCache(self.path, later)
        for n in range(3):
            cache.put(f"d{n}.test", Policy("1", "enforce", ("one.test",), 1.0))
        self.assertEqual(len(works), 1)
        works[0][1].errback(OSError())
        cache.put("d3.test", Policy("1", "enforce", ("one.test",), 1.0))
        work, ended = works[1]
        ended.callback(work())
        self.assertIsNotNone(self.get(self.made(), "d3.test"))


class PolicyFile(Resource):
    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.code, self.kind, self.text = 200, b"text/plain; charset=utf-8", TEXT
        self.hosts: list[bytes] = []

    def render_GET(self, request: Request) -> bytes:
        self.hosts.append(request.getRequestHostname() + request.uri)
        request.setResponseCode(self.code)
        request.setHeader(b"content-type", self.kind)
        request.setHeader(b"location", b"https://mta-sts.other.test/")
        return self.text


class FetchCase(AsyncTestCase):
    @override
    def setUp(self) -> None:
        self.zone = Zone()
        udp = self.zone.listen(reactor)
        self.addCleanup(udp.stopListening)
        self.names = Names(lambda: resolver(reactor, [("127.0.0.1", udp.getHost().port)]))
        self.authority = Authority(time.time())
        self.ca_file = Path(self.mktemp()).absolute()
        self.ca_file.write_bytes(self.authority.pem)
        self.file = PolicyFile()
        site = Site(self.file)
        site.noisy = False
        options = self.options("mta-sts.example.test")
        self.web = reactor.listenSSL(0, site, options, interface="127.0.0.2")
        self.addCleanup(self.web.stopListening)
        self.zone.records[f"mta-sts.{DOMAIN}"] = [a("127.0.0.9"), a("127.0.0.2")]
        self.zone.records["mta-sts.other.test"] = [a("127.0.0.2")]

    def options(self, *names: str) -> Any:
        certificate, key = self.authority.issue(list(names))
        return PrivateCertificate.loadPEM(certificate + key).options()

    def checked(self, host: str) -> Any:
        return smtp_tls.client(smtp_tls.REQUIRED, host, self.ca_file)

    def fetch(self, *, internal: bool = True) -> HttpsFetch:
        port = self.web.getHost().port
        return HttpsFetch(reactor, self.names, self.checked, internal=internal, port=port)


class FetchTests(FetchCase):
    async def test_fetched(self) -> None:
        """From the well-known place, at the second address when the first is away."""
        self.assertEqual(await self.fetch()(DOMAIN), TEXT)
        self.assertEqual(self.file.hosts, [b"mta-sts.example.test/.well-known/mta-sts.txt"])

    async def test_refused(self) -> None:
        """Another name than the certificate's, an address that is not public, a redirection,
        another type, too much of it, or nobody there."""
        fetch = self.fetch()
        for wanted in (self.fetch(internal=False)(DOMAIN), fetch("other.test"), fetch("no.test")):
            with self.assertRaises(NoPolicy):
                await wanted
        for name, value in (
            ("code", 301),
            ("code", 500),
            ("kind", b"text/html"),
            ("text", b"x" * (mta_sts_fetch.LONGEST + 1)),
        ):
            before = getattr(self.file, name)
            setattr(self.file, name, value)
            with self.assertRaises(NoPolicy):
                await fetch(DOMAIN)
            setattr(self.file, name, before)
        self.assertEqual(await fetch(DOMAIN), TEXT)


class MxTests(FetchCase):
    """A mail server at 127.0.0.2 whose certificate is for one.test."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.sink = Sink(reactor, tls=self.options("one.test"))
        port = reactor.listenTCP(0, self.sink, interface="127.0.0.2")
        self.addCleanup(port.stopListening)
        self.zone.records |= {
            f"_mta-sts.{DOMAIN}": [txt("v=STSv1; id=1;")],
            "one.test": [a("127.0.0.2")],
            "two.test": [a("127.0.0.2")],
            "x.hosts.test": [a("127.0.0.2")],
        }
        manner = Manner("us.test", Timeouts(5, 5, 1))
        terms = Terms(port.getHost().port, 5, 4, internal=True)
        policies = Policies(reactor, self.names, self.fetch(), MemoryCache())
        self.way = Mx(
            reactor,
            SeededRandom(b"mx"),
            self.names,
            terms,
            manner,
            lambda host: smtp_tls.client(smtp_tls.OPPORTUNISTIC, host, None),
            self.checked,
            policies,
        )
        self.addCleanup(lambda: ensureDeferred(self.way.stop()))

    async def send(self, *hosts: str) -> Outcome:
        """To *hosts* in this order."""
        self.zone.records[DOMAIN] = [mx(n, host) for n, host in enumerate(hosts)]
        self.way._down.clear()
        [outcome] = (await self.way.send(kit.to_bob())).values()
        return outcome

    async def test_enforced(self) -> None:
        """Mail goes to hosts of the policy alone, and only with a certificate for them; never in
        the clear."""
        delivered = Outcome(OutcomeKind.DELIVERED, "smtp-250")
        self.assertEqual(await self.send("two.test", "one.test"), delivered)
        self.assertTrue(self.sink.received[0].tls)
        self.assertEqual(await self.send("two.test"), Outcome(OutcomeKind.TEMPORARY, "mta-sts"))
        wrong = Outcome(OutcomeKind.TEMPORARY, "tls-failed")
        self.assertEqual(await self.send("x.hosts.test"), wrong)
        await self.way.stop()
        self.assertEqual(len(self.sink.received), 1)

    async def test_missing(self) -> None:
        """A server without TLS gets nothing where a policy wants it, and mail where none does."""
        self.sink.tls = None
        missing = Outcome(OutcomeKind.TEMPORARY, "tls-missing")
        self.assertEqual(await self.send("one.test"), missing)
        del self.zone.records[f"_mta-sts.{DOMAIN}"]
        assert self.way._policies is not None
        self.way._policies = None
        self.assertEqual((await self.send("one.test")).kind, OutcomeKind.DELIVERED)

"""Mail straight to the recipients' servers: names from a real name server, real servers."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import DeferredList, ensureDeferred
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher
from twisted.names import dns
from typing_extensions import override

from mixminion.config import ConfigErrors
from mixminion.exits import mx_names
from mixminion.exits.mx import Mx
from mixminion.exits.mx_names import Names, NoAnswer
from mixminion.exits.smtp import Section, SmtpExit, make
from mixminion.interfaces import Message, Outcome
from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from mixminion.testing.certificates import Authority
from mixminion.testing.commands import free_port
from mixminion.testing.smtp import Sink
from tests.exits import kit
from tests.exits.zone import Zone, a, aaaa, mx

reactor: Any = installed

BOB = "bob@example.test"
CONTENT = "Content-Type: text/plain; charset=utf-8\r\n\r\nä secret\r\n".encode()


def message(*recipients: str, n: int = 1, content: bytes = CONTENT) -> Message:
    names = recipients or (BOB,)
    return Message("smtp", names, content, None, f"<{n}@mix.test>", 1_800_000_000)


def kind(outcome: Outcome) -> tuple[str, str]:
    return outcome.kind.value, outcome.reason


class MxCase(AsyncTestCase):
    """A zone, two servers on 127.0.0.2 and 127.0.0.3, and at the end nothing left open and no
    address, domain or text in the log."""

    @override
    def setUp(self) -> None:
        self.logged = kit.Events()
        globalLogPublisher.addObserver(self.logged)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged)
        self.zone = Zone()
        udp = self.zone.listen(reactor)
        self.addCleanup(udp.stopListening)
        self.resolver = udp.getHost().port
        self.exits: list[SmtpExit] = []
        self.one, self.two = Sink(reactor), Sink(reactor)
        self.port = free_port(["127.0.0.1", "127.0.0.2", "127.0.0.3"])
        first = reactor.listenTCP(self.port, self.one, interface="127.0.0.2")
        second = reactor.listenTCP(self.port, self.two, interface="127.0.0.3")
        self.ports = [first, second]
        self.zone.records = {
            "example.test": [mx(20, "two.test"), mx(10, "one.test")],
            "one.test": [a("127.0.0.2")],
            "two.test": [a("127.0.0.3")],
        }
        self.addCleanup(self.finish)

    async def finish(self) -> None:
        for exit in self.exits:
            await exit.stop()
        for port in self.ports:
            if port.connected:
                await port.stopListening()
        sessions = [*self.one.sessions, *self.two.sessions]
        for _ in range(100):
            if not any(session.open for session in sessions):
                break
            await deferLater(reactor, 0.02)
        self.assertEqual([session for session in sessions if session.open], [])
        for event in self.logged.seen:
            for secret in ("bob", "secret", "scripted", "example.test"):
                self.assertNotIn(secret, str(event))

    def exit(self, keys: str = "tls = no\ninternal-addresses = yes", **shorter: Any) -> SmtpExit:
        text = (
            "[Exit smtp]\nmodule = smtp\ndomain = mix.test\ntransport = mx\nhello = us.test\n"
            f"mx-port = {self.port}\nresolver = 127.0.0.1:{self.resolver}\n"
            f"{kit.NO_LIMITS}\n{keys}\n"
        )
        [section] = kit.config(text).named(Section).values()
        exit = make("smtp", replace(section, **shorter), kit.Environment(reactor))
        self.exits.append(exit)
        return exit


class RouteTests(MxCase):
    async def test_preference(self) -> None:
        """The best host gets it; one that is away is passed over, by connection or by word."""
        exit = self.exit()
        self.assertEqual(kind(await exit.deliver(message())), ("delivered", "smtp-250"))
        self.assertEqual((len(self.one.received), len(self.two.received)), (1, 0))
        self.one.script.greeting = 554
        other = self.exit()
        self.assertEqual(kind(await other.deliver(message())), ("delivered", "smtp-250"))
        await self.ports[0].stopListening()
        other = self.exit()
        self.assertEqual(kind(await other.deliver(message())), ("delivered", "smtp-250"))
        self.assertEqual((len(self.one.received), len(self.two.received)), (1, 2))

    async def test_equals(self) -> None:
        """Hosts of one preference are tried in an order that is drawn."""
        self.zone.records["example.test"] = [mx(10, "one.test"), mx(10, "two.test")]
        way = self.exit()._way
        assert isinstance(way, Mx)
        routes = [await way._routes.to("example.test", None) for _ in range(20)]
        self.assertEqual({route.places[0][0] for route in routes}, {"one.test", "two.test"})

    async def test_half_a_zone(self) -> None:
        """A host whose name cannot be resolved now is passed over; alone it is for now."""
        self.zone.broken.add("one.test")
        self.assertEqual(kind(await self.exit().deliver(message())), ("delivered", "smtp-250"))
        self.assertEqual(len(self.two.received), 1)
        self.zone.broken.add("two.test")
        self.assertEqual(kind(await self.exit().deliver(message())), ("temporary", "dns"))
        self.flushLoggedErrors(RuntimeError)  # the name server's

    async def test_refusals_are_not_passed_over(self) -> None:
        """What a server says of a recipient counts; the next one is not asked."""
        for code, expected in ((550, "permanent"), (450, "temporary")):
            self.one.script.recipient = {BOB: code}.__getitem__
            outcome = await self.exit().deliver(message())
            self.assertEqual(kind(outcome), (expected, f"smtp-{code}"))
        self.assertEqual(self.two.sessions, [])

    async def test_without_mx(self) -> None:
        """A domain without MX is its own host."""
        self.zone.records["example.test"] = [a("127.0.0.3")]
        self.assertEqual(kind(await self.exit().deliver(message())), ("delivered", "smtp-250"))
        self.assertEqual(len(self.two.received), 1)

    async def test_domains_without_mail(self) -> None:
        """Null MX, no such name: for good.  No address, a name server that fails or is silent:
        for now."""
        for records, expected in (
            ([mx(0, "")], ("permanent", "null-mx")),
            (None, ("permanent", "no-domain")),
            ([], ("temporary", "no-host")),
            ([mx(10, "none.test")], ("temporary", "no-host")),
            ([mx(10, "127.0.0.2")], ("temporary", "no-host")),
        ):
            self.zone.records.pop("example.test", None)
            if records is not None:
                self.zone.records["example.test"] = records
            self.assertEqual(kind(await self.exit().deliver(message())), expected, records)
        self.zone.broken.add("example.test")
        self.assertEqual(kind(await self.exit().deliver(message())), ("temporary", "dns"))
        self.flushLoggedErrors(RuntimeError)  # the name server's
        self.zone.broken.clear()
        self.zone.silent.add("example.test")
        self.patch(mx_names, "TIMEOUTS", (1,))
        self.assertEqual(kind(await self.exit().deliver(message())), ("temporary", "dns"))

    async def test_loops(self) -> None:
        """Where we are a host ourselves only better ones are used; an address of our own is
        none to send to."""
        records = [mx(10, "us.test"), mx(20, "two.test")]
        self.zone.records["example.test"] = records
        self.assertEqual(kind(await self.exit().deliver(message())), ("permanent", "loop"))
        records.append(mx(5, "one.test"))
        self.assertEqual(kind(await self.exit().deliver(message())), ("delivered", "smtp-250"))
        self.zone.records["example.test"] = [a("127.0.0.1")]
        self.ports.append(reactor.listenTCP(self.port, self.one, interface="127.0.0.1"))
        self.assertEqual(kind(await self.exit().deliver(message())), ("permanent", "loop"))
        self.assertEqual((len(self.one.received), len(self.two.received)), (1, 0))

    async def test_internal(self) -> None:
        """Nobody leads us to addresses that are not public."""
        for address in ("127.0.0.2", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"):
            self.zone.records["one.test"] = self.zone.records["two.test"] = [a(address)]
            outcome = await self.exit("tls = no").deliver(message())
            self.assertEqual(kind(outcome), ("permanent", "not-public"), address)
        self.assertEqual(self.one.sessions, [])

    async def test_versions(self) -> None:
        """IPv6 is not used without an address of ours, comes last while that has no name, and
        first when its name leads back to it."""
        self.zone.records["example.test"] = [mx(1, "one.test")]
        self.zone.records["one.test"] = [a("192.0.2.1"), aaaa("2001:db8::1")]
        pointer = "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa"

        async def route(keys: str) -> list[str]:
            way = self.exit(f"tls = no\ninternal-addresses = yes\n{keys}")._way
            assert isinstance(way, Mx)
            return [address for _, address in (await way._routes.to("example.test", None)).places]

        self.assertEqual(await route(""), ["192.0.2.1"])
        source = "source6 = 2001:db8::1"
        four_first = ["192.0.2.1", "2001:db8::1"]
        self.assertEqual(await route(source), four_first)
        self.zone.records[pointer] = [dns.Record_PTR("us.test")]
        self.assertEqual(await route(source), four_first)
        self.zone.records["us.test"] = [aaaa("2001:db8::2")]
        self.assertEqual(await route(source), four_first)
        self.zone.records["us.test"].append(aaaa("2001:db8::1"))
        self.assertEqual(await route(source), four_first[::-1])

    async def test_bounds(self) -> None:
        """However many hosts a domain names, a few are tried."""
        hosts = [f"h{n}.test" for n in range(40)]
        self.zone.records["example.test"] = [mx(n, host) for n, host in enumerate(hosts)]
        for n, host in enumerate(hosts):
            self.zone.records[host] = [a(f"127.0.1.{n + 1}"), a(f"127.0.2.{n + 1}")]
        way = self.exit()._way
        assert isinstance(way, Mx)
        self.assertEqual(len((await way._routes.to("example.test", None)).places), 5)
        self.assertEqual(kind(await self.exit().deliver(message()))[0], "temporary")


class SessionTests(MxCase):
    async def test_domains(self) -> None:
        """Each domain of a message gets it once, with its own outcome; one that is away keeps
        nobody waiting, and is left alone afterwards."""
        self.zone.records["other.test"] = [mx(1, "two.test")]
        self.zone.records["away.test"] = [a("127.0.0.9")]
        exit = self.exit()
        names = (BOB, "alice@example.test", "eve@other.test", "joe@away.test")
        self.assertEqual(kind(await exit.deliver(message(*names))), ("temporary", "refused"))
        self.assertEqual([mail.recipients for mail in self.one.received], [names[:2]])
        self.assertEqual([mail.recipients for mail in self.two.received], [names[2:3]])
        asked = len(self.zone.asked)
        self.assertEqual(kind(await exit.deliver(message(*names))), ("temporary", "left-alone"))
        self.assertEqual(len(self.zone.asked), asked)
        self.assertEqual((len(self.one.received), len(self.two.received)), (1, 1))

    async def test_reuse(self) -> None:
        """A session is kept for the next mail to the same server."""
        exit = self.exit()
        for n in range(3):
            await exit.deliver(message(n=n))
        self.assertEqual((len(self.one.sessions), len(self.one.received)), (1, 3))

    async def test_busy(self) -> None:
        """No domain gets more sessions at once than configured; the rest is put off."""
        self.one.script.delay = 0.3
        exit = self.exit("tls = no\ninternal-addresses = yes\ndestination-sessions = 2")
        sending = [ensureDeferred(exit.deliver(message(n=n))) for n in range(3)]
        outcomes = [kind(outcome) for _, outcome in await DeferredList(sending)]
        self.assertEqual(
            outcomes, [("delivered", "smtp-250"), ("delivered", "smtp-250"), ("temporary", "busy")]
        )

    async def test_cut(self) -> None:
        """After a cut in the middle of a mail the next host gets it; after one between its end
        and the answer nobody does, for now."""
        long = message(content=b"\n" + b"x\n" * 100_000)
        self.one.script.cut_after = 1000
        self.assertEqual(kind(await self.exit().deliver(long)), ("delivered", "smtp-250"))
        self.one.script.cut_after = None
        self.one.script.cut_before_answer = True
        outcome = await self.exit().deliver(message())
        self.assertEqual(kind(outcome), ("temporary", "disconnected"))
        self.assertEqual((len(self.one.received), len(self.two.received)), (1, 1))

    async def test_eight_bit(self) -> None:
        """What one domain's server cannot take fails there, and arrives elsewhere."""
        self.zone.records["other.test"] = [mx(1, "two.test")]
        self.one.script.extensions = ()
        parts = b"Content-Type: multipart/signed; boundary=b\n\n--b\n\n\xff\n--b--\n"
        outcome = await self.exit().deliver(message(BOB, "eve@other.test", content=parts))
        self.assertEqual(kind(outcome), ("delivered", "in-part"))
        self.assertEqual(len(self.two.received), 1)

    async def test_stop(self) -> None:
        """An exit that stops waits for mails under way, and for no name."""
        self.one.script.delay = 0.3
        self.zone.silent.add("other.test")
        self.patch(mx_names, "TIMEOUTS", (2,))
        exit = self.exit()
        under_way = ensureDeferred(exit.deliver(message()))
        asking = ensureDeferred(exit.deliver(message("eve@other.test", n=2)))
        await deferLater(reactor, 0.1)
        await exit.stop()
        self.assertEqual(kind(self.successResultOf(under_way)), ("delivered", "smtp-250"))
        self.assertEqual(kind(self.successResultOf(asking)), ("temporary", "dns"))
        outcome = await exit.deliver(message(n=3))
        self.assertEqual(kind(outcome), ("unreachable", "stopping"))
        await deferLater(reactor, 2.1)  # Twisted's resolver has no end of its own

    async def test_source(self) -> None:
        """Mail comes from the address that was configured."""
        exit = self.exit("tls = no\ninternal-addresses = yes\nsource = 127.0.0.7")
        await exit.deliver(message())
        self.assertEqual(self.one.sessions[0].transport.getPeer().host, "127.0.0.7")


class TlsTests(MxCase):
    @override
    def setUp(self) -> None:
        super().setUp()
        authority = Authority(time.time())
        certificate, key = authority.issue(["one.test"])
        self.one.tls = PrivateCertificate.loadPEM(certificate + key).options()
        self.ca_file = Path(self.mktemp()).absolute()
        self.ca_file.write_bytes(authority.pem)

    async def test_opportunistic(self) -> None:
        """TLS where it is offered, by any certificate; where it fails, none."""
        keys = "internal-addresses = yes"
        await self.exit(keys).deliver(message())
        self.one.script.injected = b"\x15\x03\x03\x00\x02\x02\x28"
        outcome = await self.exit(keys).deliver(message())
        self.assertEqual(kind(outcome)[0], "delivered")
        self.assertEqual([mail.tls for mail in self.one.received], [True])

    async def test_required(self) -> None:
        """Only to a server whose certificate is for its name, and no other."""
        keys = f"internal-addresses = yes\ntls = required\nca-file = {self.ca_file}"
        self.assertEqual(kind(await self.exit(keys).deliver(message())), ("delivered", "smtp-250"))
        self.zone.records["example.test"] = [mx(1, "alias.test")]
        self.zone.records["alias.test"] = [a("127.0.0.2")]
        outcome = await self.exit(keys).deliver(message())
        self.assertEqual(kind(outcome), ("temporary", "tls-failed"))
        self.assertEqual([mail.tls for mail in self.one.received], [True])


class NamesTests(SyncTestCase):
    def test_system_servers(self) -> None:
        """The machine's resolvers, or the one on loopback."""
        path = Path(self.mktemp())
        self.assertEqual(mx_names.system_servers(path), [("127.0.0.1", 53)])
        path.write_text("# nameserver 192.0.2.9\nnameserver 192.0.2.1\nnameserver x\nnameserver\n")
        self.assertEqual(mx_names.system_servers(path), [("192.0.2.1", 53)])

    def test_any_failure(self) -> None:
        """Whatever a resolver raises is no answer, and says no name."""

        class Broken:
            def query(self, query: object, timeout: object) -> None:
                raise RuntimeError("bob")

        failure = self.failureResultOf(ensureDeferred(Names(Broken).hosts("x.test")), NoAnswer)
        self.assertNotIn("bob", failure.getTraceback())

    def test_words(self) -> None:
        """What is no address of ours, and what does not go together."""
        for line in (
            *("source = ::1", "source6 = 192.0.2.1", "tls = implicit", "resolver = x"),
            *("dane = yes", "dane = yes\nresolver = 192.0.2.1:53"),
        ):
            text = f"[Exit smtp]\nmodule = smtp\ndomain = mix.test\ntransport = mx\n{line}\n"
            with self.assertRaises(ConfigErrors):
                kit.config(text)
        for line in ("source = 192.0.2.1", "source6 = ::1", "resolver = 127.0.0.1:53"):
            text = f"[Exit smtp]\nmodule = smtp\ndomain = mix.test\n{line}\n"
            with self.assertRaises(ConfigErrors):
                kit.config(text)
            kit.config(text + "transport = mx\n")

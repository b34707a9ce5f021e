"""What an exit needs in the DNS, looked up at a real DNS server on loopback."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.names.client import Resolver

from mixminion.exits import deliverability, dkim
from mixminion.exits.deliverability import Finding, Names, State
from mixminion.exits.records import Exit, host_name, reversed_in, wanted
from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from mixminion.testing.names import NameServer, Zone
from mixminion.testing.smtp import Sink

reactor: Any = installed

DOMAIN, HOST = "mix.example.test", "out.example.test"
FOUR, SIX = ip_address("192.0.2.7"), ip_address("2001:db8::7")
LIST = "list.example.test"


def keys(folder: Path) -> tuple[dkim.Key, ...]:
    """A key of each kind."""
    folder.mkdir()
    files = []
    for kind in dkim.ALGORITHMS:
        path = folder / kind
        path.touch(0o600)
        path.write_bytes(dkim.generate(kind))
        files.append(dkim.KeyFile(f"s-{kind}", path))
    return tuple(dkim.load(DOMAIN, files))


class RecordTests(SyncTestCase):
    def test_zone_lines(self) -> None:
        """Every record, as a zone file has it; long texts in several strings."""
        made = keys(Path(self.mktemp()).absolute())
        exit = Exit("smtp", DOMAIN, HOST, (FOUR, SIX), made)
        lines = [each.zone_line for each in wanted(exit)]
        self.assertIn(f'{DOMAIN}. IN TXT "v=spf1 ip4:192.0.2.7 ip6:2001:db8::7 -all"', lines)
        self.assertIn(f"{DOMAIN}. IN MX 10 {HOST}.", lines)
        self.assertIn(f"{HOST}. IN AAAA 2001:db8::7", lines)
        self.assertIn(f"7.2.0.192.in-addr.arpa. IN PTR {HOST}.", lines)
        self.assertIn(made[0].zone_line, lines)
        self.assertTrue(any(line.startswith(f"_dmarc.{DOMAIN}. IN TXT") for line in lines))
        self.assertTrue(all(each.why for each in wanted(exit)))

    def test_without_addresses(self) -> None:
        """SPF names the host then; a domain stands in for an address in brackets."""
        exit = Exit("smtp", DOMAIN, host_name("[192.0.2.7]", DOMAIN), (), ())
        [spf, *_] = wanted(exit)
        self.assertEqual(spf.text, f"v=spf1 a:{DOMAIN} -all")
        self.assertEqual(host_name("Out.Example.test", DOMAIN), HOST)

    def test_block_lists(self) -> None:
        """Addresses backwards, in the list's zone."""
        self.assertEqual(reversed_in(FOUR, LIST), f"7.2.0.192.{LIST}")
        self.assertTrue(reversed_in(SIX, LIST).endswith(f".8.b.d.0.1.0.0.2.{LIST}"))


class LookCase(AsyncTestCase):
    def setUp(self) -> None:
        self.zone = Zone()
        server = NameServer(reactor, self.zone)
        self.addCleanup(server.stop)
        resolver = Resolver(servers=[("127.0.0.1", server.port)], timeout=(1, 2), reactor=reactor)
        self.names = Names(resolver)
        made = keys(Path(self.mktemp()).absolute())
        self.exit = Exit("smtp", DOMAIN, HOST, (FOUR, SIX), made)

    def complete(self) -> None:
        """What the exit needs."""
        for each in wanted(self.exit):
            self.zone.add(each.name, each.type, each.text)

    async def look(self, exit: Exit | None = None) -> dict[str, Finding]:
        found = deliverability.look(exit or self.exit, self.names, [LIST])
        return {each.what: each async for each in found}

    def states(self, found: dict[str, Finding], state: State) -> set[str]:
        return {name for name, each in found.items() if each.state is state}


class LookTests(LookCase):
    async def test_complete(self) -> None:
        """With the records that `exit dns` prints, all is well."""
        self.complete()
        found = await self.look()
        self.assertEqual(self.states(found, State.OK), set(found), found)
        self.assertEqual(len(found), 11)

    async def test_nothing(self) -> None:
        """Without any, each is missed; a block list that knows nothing is no complaint."""
        found = await self.look()
        self.assertEqual(self.states(found, State.OK), {f"{LIST} {FOUR}", f"{LIST} {SIX}"})
        self.assertEqual(self.states(found, State.WARNING), set())

    async def test_wrong(self) -> None:
        """Records of another key, policy, address and name."""
        self.complete()
        records = self.zone.records
        records[f"s-rsa._domainkey.{DOMAIN}", "TXT"] = ["v=DKIM1; k=rsa; p=AAAA"]
        records[f"_dmarc.{DOMAIN}", "TXT"] = ["v=DMARC1; p=none"]
        records[DOMAIN, "TXT"] = ["v=spf1 ip4:192.0.2.7 -all", "other=1"]
        records[HOST, "AAAA"] = ["2001:db8::8"]
        records["7.2.0.192.in-addr.arpa", "PTR"] = ["pool-7.example.test"]
        records[reversed_in(FOUR, LIST), "A"] = ["127.0.0.2"]
        records[reversed_in(SIX, LIST), "A"] = ["127.255.255.254"]
        found = await self.look()
        wrong = {"SPF", "DKIM s-rsa", f"EHLO {SIX}", f"{LIST} {FOUR}"}
        self.assertEqual(self.states(found, State.WRONG), wrong)
        unsure = {"DMARC", f"PTR {FOUR}", f"{LIST} {SIX}"}
        self.assertEqual(self.states(found, State.WARNING), unsure)
        self.assertIn(str(SIX), found["SPF"].said)

    async def test_no_answer(self) -> None:
        """A DNS server that fails says nothing about the exit."""
        self.complete()
        self.zone.broken.add(DOMAIN)
        found = await self.look()
        self.assertEqual(self.states(found, State.WARNING), {"SPF", "MX"})

    async def test_nothing_to_look_up(self) -> None:
        """Without keys and addresses that is said."""
        found = await self.look(Exit("smtp", DOMAIN, HOST, (), ()))
        self.assertLessEqual({"DKIM", "addresses"}, self.states(found, State.WARNING))

    async def test_spf(self) -> None:
        """Each mechanism, what it lets pass and what not, and records without an end."""
        self.complete()
        self.zone.add("pass.test", "TXT", "v=spf1 ip4:192.0.2.0/24 -all")
        self.zone.add("loop.test", "TXT", "v=spf1 include:loop.test -all")
        self.zone.add("out.test", "A", "192.0.2.7")
        self.zone.add("near.test", "A", "192.0.2.200")
        self.zone.add("mx.test", "MX", "10 out.test")
        exit = Exit("smtp", DOMAIN, HOST, (FOUR,), ())
        for record, state in (
            ("v=spf1 a:out.test -all", State.OK),
            ("v=spf1 a:near.test -all", State.WRONG),
            ("v=spf1 a:near.test/24 -all", State.OK),
            ("v=spf1 mx:mx.test ~all", State.OK),
            ("v=spf1 include:pass.test -all", State.OK),
            ("v=spf1 redirect=pass.test", State.OK),
            ("v=spf1 -ip4:192.0.2.7 +all", State.WRONG),
            ("v=spf1 ip4:nonsense -all", State.WRONG),
            ("v=spf1 include:loop.test -all", State.WRONG),
            ("v=spf1 ip4:192.0.2.7", State.WARNING),
            ("v=spf10 ip4:192.0.2.7 -all", State.WRONG),
        ):
            self.zone.records[DOMAIN, "TXT"] = [record]
            found = await self.look(exit)
            self.assertEqual(found["SPF"].state, state, (record, found["SPF"]))


class Closing(Protocol):
    """Says nothing, and goes."""

    transport: Any

    def connectionMade(self) -> None:
        self.transport.loseConnection()


class PortTests(AsyncTestCase):
    async def test_port_25(self) -> None:
        """A mail server that greets, one that refuses, one that is none, and none at all."""
        sink = Sink(reactor)
        none = Factory.forProtocol(Closing)
        for factory, greeting, state in (
            (sink, 220, State.OK),
            (sink, 554, State.WRONG),
            (none, 0, State.WRONG),
        ):
            sink.script.greeting = greeting
            port = reactor.listenTCP(0, factory, interface="127.0.0.1")
            endpoint = HostnameEndpoint(reactor, "127.0.0.1", port.getHost().port)
            found = await deliverability.port_25("mx.test", endpoint, reactor)
            self.assertEqual(found.state, state)
            await port.stopListening()
            while any(each.open for each in sink.sessions):
                await deferLater(reactor, 0.01)
        found = await deliverability.port_25("mx.test", endpoint, reactor)
        self.assertEqual((found.what, found.state), ("port 25 of mx.test", State.WRONG))
        self.assertTrue(re.search("closes port 25", found.said))

"""Servers from files: imported, named in paths, refused; and pings."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from mixminion import api
from mixminion.client.errors import BadInput
from mixminion.client.path_errors import AlreadyImported, NameTaken, NotADescriptor, NotImported
from mixminion.errors import MixminionError, render
from mixminion.mmtp.errors import DialFailed, DialTooSlow
from mixminion.net.errors import WrongIdentity
from mixminion.paths.errors import AmbiguousServer, UnusableServer
from tests.client.network import DAY, DROP, SMTP, Mix, VirtualCase


class ImportedCase(VirtualCase):
    """Five servers in the directory, and one beside it."""

    def setUp(self) -> None:
        super().setUp()
        self.mix6 = Mix(self.network, 6, (DROP, SMTP))
        self.file = self.folder / "descriptor"
        self.file.write_bytes(self.published(self.mix6))
        self.network.mixes.append(self.mix6)  # behind the directory's back
        self.events: list[api.Event] = []
        self.addCleanup(lambda: self.ask(self.client.close()))

    def published(self, mix: Mix, later: int = 0) -> bytes:
        now = int(self.clock.seconds()) + later
        return mix.published(now, self.network.parameters)

    def view(self) -> api.View:
        view: api.View = self.ask(self.client.view())
        return view

    def add(self, octets: bytes) -> api.ImportedServer:
        view = self.view()
        found: api.ImportedServer = self.ask(self.client.imported.add(octets, view))
        return found

    def refused(self, kind: type[MixminionError], work: Any) -> str:
        working = Deferred.fromCoroutine(work)
        self.clock.run_until(lambda: working.called, at_most=3600)
        return render(self.failureResultOf(working, kind).value)

    def send(self, path: str) -> list[str]:
        """A message by *path*; the servers that its packet went through."""
        self.ask(self.client.send("drop", b"x", path=path, progress=self.events.append))
        (packet,) = self.network.arrived
        way: list[str] = self.network.open(packet)[0]
        return way

    def warnings(self) -> list[str]:
        (chosen,) = [each for each in self.events if isinstance(each, api.PathChosen)]
        return [each.code for each in chosen.warnings]


class ImportTests(ImportedCase):
    """What is imported."""

    def test_named(self) -> None:
        """It is used where a path names it, also in another run, and the path says so."""
        self.assertFalse(self.add(self.file.read_bytes()).listed)
        self.ask(self.client.close())
        self.client = self.make_client()
        way = self.send("*3,mix6")
        self.assertEqual(way[-1], "mix6")
        self.assertEqual(self.warnings(), ["server-imported"])

    def test_first(self) -> None:
        """Packets are handed to it, and again when it was away."""
        self.add(self.file.read_bytes())
        self.wire.part(["127.0.0.1"], [self.mix6.host])
        self.refused(api.NotHandedOver, self.client.send("drop", b"x", path="mix6,*3"))
        self.wire.heal()
        self.assertEqual(len(self.ask(self.client.flush()).handed), 1)
        self.assertEqual(len(self.mix6.intake.packets), 1)

    def test_file_in_a_path(self) -> None:
        """A file's name in a path imports it."""
        self.assertEqual(self.send(f"*3,'{self.file}'")[-1], "mix6")
        (found,) = self.ask(self.client.imported.all())
        self.assertEqual(found.descriptor.nickname, "mix6")

    def test_unasked(self) -> None:
        """Random hops, entries and lists of servers do not have it."""
        self.add(self.file.read_bytes())
        for _ in range(20):
            self.ask(self.client.send("drop", b"x"))
        ways = [self.network.open(packet)[0] for packet in self.network.arrived]
        self.assertNotIn("mix6", {name for way in ways for name in way})
        self.assertNotIn("mix6", [each.nickname for each in self.ask(self.client.servers())])

    def test_listed(self) -> None:
        """What the directory says of a server counts, and one of it may be imported."""
        self.assertTrue(self.add(self.published(self.network.mix("mix4"))).listed)
        self.assertEqual(self.send("*3,mix4")[-1], "mix4")
        self.assertEqual(self.warnings(), [])

    def test_newer(self) -> None:
        """A newer descriptor replaces an older one, and not the other way round."""
        old, new = self.published(self.mix6, -3600), self.published(self.mix6)
        self.add(old)
        self.add(new)
        work = self.client.imported.add(old)
        self.assertIn("newer", self.refused(AlreadyImported, work))
        (found,) = self.ask(self.client.imported.all())
        self.assertEqual(found.descriptor.published, int(self.clock.seconds()))

    def test_names(self) -> None:
        """Nobody takes a name that another server has, listed or imported."""
        other = Mix(self.network, 7, ())
        other.nickname = "MIX1"
        work = self.client.imported.add(self.published(other), self.view())
        self.assertIn("The directory lists", self.refused(NameTaken, work))
        self.add(self.file.read_bytes())
        other.nickname = "Mix6"
        work = self.client.imported.add(self.published(other), self.view())
        self.assertIn("You have imported", self.refused(NameTaken, work))

    def test_name_listed_later(self) -> None:
        """A name that the directory gives to somebody else later stands for nobody."""
        self.add(self.file.read_bytes())
        self.network.mixes.remove(self.mix6)
        self.network.mixes[0].nickname = "mix6"
        self.clock.advance(60)
        self.network.sign()
        self.ask(self.client.update())
        sentence = self.refused(AmbiguousServer, self.client.send("drop", b"x", path="mix6,*3"))
        self.assertIn("import-server --remove mix6", sentence)
        self.ask(self.client.imported.remove("MIX6"))
        self.ask(self.client.send("drop", b"x", path="mix6,*3"))

    def test_over(self) -> None:
        """One whose time is over has no keys; the sentence says what to do."""
        self.add(self.file.read_bytes())
        self.clock.advance(31 * DAY)
        self.network.mixes.remove(self.mix6)
        self.network.sign()
        self.ask(self.client.update())
        sentence = self.refused(UnusableServer, self.client.send("drop", b"x", path="*3,mix6"))
        self.assertIn("import a newer one", sentence)

    def test_refused(self) -> None:
        """What is no descriptor, not signed by its server, or too old; files that are not there;
        names of nobody."""
        good = self.file.read_bytes()
        for octets in (b"", b"hello", good[:-9], good.replace(b'"sig":"', b'"sig":"AA', 1)):
            self.assertIn(
                "no descriptor", self.refused(NotADescriptor, self.client.imported.add(octets))
            )
        self.clock.advance(31 * DAY)
        self.refused(NotADescriptor, self.client.imported.add(good))
        self.refused(BadInput, self.client.imported.add_file(str(self.folder / "none")))
        self.refused(NotImported, self.client.imported.remove("nobody"))
        self.assertEqual(self.ask(self.client.imported.all()), [])


class PingTests(ImportedCase):
    """Whether a server answers."""

    def ping(self, name: str) -> list[api.Ping]:
        found: list[api.Ping] = self.ask(self.client.ping(name))
        return found

    def test_answers(self) -> None:
        """Each address with the time that it took; nothing is left at the server."""
        (ping,) = self.ping("MIX1")
        self.assertEqual(str(ping.place), self.network.mixes[0].address)
        assert ping.seconds is not None
        self.assertTrue(0.02 < ping.seconds < 1, ping.seconds)
        self.assertEqual(self.network.arrived, [])
        self.assertEqual(self.wire.connections(self.network.mixes[0].host), [])

    def test_imported(self) -> None:
        """Imported servers answer as others do."""
        self.add(self.file.read_bytes())
        self.assertIsNone(self.ping("mix6")[0].error)

    def test_silent(self) -> None:
        """No connection, and another server at its address."""
        self.wire.part(["127.0.0.1"], [self.network.mixes[0].host])
        (ping,) = self.ping("mix1")
        self.assertIsNone(ping.seconds)
        self.assertIsInstance(ping.error, DialFailed | DialTooSlow)
        self.mix6.host, self.mix6.port = self.network.mixes[1].host, self.network.mixes[1].port
        self.add(self.published(self.mix6))
        (ping,) = self.ping("mix6")
        self.assertIsInstance(ping.error, WrongIdentity)

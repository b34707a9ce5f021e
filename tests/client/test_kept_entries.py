"""Kept entries on a virtual clock: every packet begins at one of two, whatever happens to them."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from mixminion import api
from mixminion.client.path_errors import NotAnEntry
from mixminion.crypto.rng import SeededRandom
from tests.client.answers import Owner
from tests.client.network import VirtualCase

US = "127.0.0.1"


class KeptEntriesCase(VirtualCase):
    def setUp(self) -> None:
        super().setUp()
        self.events: list[api.Event] = []
        self.closing = [self.client]
        self.addCleanup(lambda: [self.ask(each.close()) for each in self.closing])

    def again(self, more: str = "") -> None:
        """Another run of the client, with the state of the one before."""
        self.ask(self.closing.pop().close())
        self.config.write_text(self.network.config(more))
        self.client = self.make_client()
        self.closing.append(self.client)

    def send(self, **options: Any) -> api.Sent:
        sent: api.Sent = self.ask(
            self.client.send("drop", b"x", progress=self.events.append, **options)
        )
        return sent

    def fail_to_send(self, **options: Any) -> api.NotHandedOver:
        sending = Deferred.fromCoroutine(self.client.send("drop", b"x", **options))
        self.clock.run_until(lambda: sending.called, at_most=3600)
        error: api.NotHandedOver = self.failureResultOf(sending, api.NotHandedOver).value
        return error

    def standing(self) -> list[tuple[api.KeptEntry, api.EntryRole]]:
        async def look() -> list[tuple[api.KeptEntry, api.EntryRole]]:
            return await self.client.entries.standing(await self.client.view())

        found: list[tuple[api.KeptEntry, api.EntryRole]] = self.ask(look())
        return found

    def names(self, role: api.EntryRole = api.EntryRole.USED) -> list[str]:
        return [entry.nickname for entry, each in self.standing() if each is role]

    def entered(self) -> set[str]:
        """Where packets have arrived."""
        return {mix.nickname for mix in self.network.mixes if mix.intake.packets}

    def part(self, *names: str) -> None:
        self.wire.part([US], [self.network.mix(name).host for name in names])

    def codes(self) -> list[str]:
        warned = [each.warning for each in self.events if isinstance(each, api.Warned)]
        chosen = [each for each in self.events if isinstance(each, api.PathChosen)]
        return [each.code for each in (*warned, *(w for e in chosen for w in e.warnings))]


class EveryPacketTests(KeptEntriesCase):
    """Whatever it is."""

    def test_messages(self) -> None:
        """Over many messages and runs of the client both entries are used, and no third."""
        for _ in range(3):
            for _ in range(8):
                self.assertIn(self.send().entry, self.names())
            self.again()
        self.assertEqual(self.entered(), set(self.names()))

    def test_fragments(self) -> None:
        """The packets of a large message, and of copies."""
        self.ask(self.client.send("drop", SeededRandom(b"large").octets(200_000)))
        self.send(copies=3)
        self.assertGreater(len(self.network.arrived), 12)
        self.assertLessEqual(self.entered(), set(self.names()))  # one may be the exit of all

    def test_replies(self) -> None:
        """Answers to reply blocks, which themselves begin anywhere."""
        owner = Owner(self.network, SeededRandom(b"owner"))
        for _ in range(18):
            self.ask(self.client.reply([owner.block()], b"an answer"))
        self.assertEqual(self.entered(), set(self.names()))

    def test_named(self) -> None:
        """A path that names its first server is followed; with a warning, unless that is one of
        the entries."""
        kept = self.names()
        other = next(each.nickname for each in self.network.mixes if each.nickname not in kept)
        self.assertEqual(self.send(path=f"{kept[1]},*3").entry, kept[1])
        self.assertNotIn("path-entry-named", self.codes())
        reserve = self.names(api.EntryRole.RESERVE)
        outside = next(m.nickname for m in self.network.mixes if m.nickname not in kept + reserve)
        self.assertEqual(self.send(path=f"{other},*3").entry, other)
        self.assertEqual(self.send(path=f"{outside},*3").entry, outside)
        self.assertIn("path-entry-named", self.codes())

    def test_lists(self) -> None:
        """Lists hold for entries that were drawn before there were lists, and are told of."""
        first = self.names()[0]
        self.again(f"[Paths]\ndeny-entry = {first}\ndeny = nobody\n")
        for _ in range(6):
            self.assertNotEqual(self.send().entry, first)
        self.assertNotIn(first, [entry.nickname for entry, _ in self.standing()])
        self.assertEqual(set(self.codes()), {"path-lists", "list-unknown"})


class SilentTests(KeptEntriesCase):
    """Entries that take nothing."""

    def test_one(self) -> None:
        """The other one stands in, and the message leaves; later packets do not try the silent one
        in that hour, and do in the next."""
        silent, other = self.names()
        self.part(silent)
        for _ in range(16):
            self.assertEqual(self.send().entry, other)
        self.assertEqual(self.codes().count("entry-silent"), 1)
        self.assertEqual(self.ask(self.client.waiting()), [])
        self.assertIsNotNone(self.standing()[0][0].silent)
        self.wire.heal()
        self.clock.advance(3600)
        for _ in range(16):
            self.send()
        self.assertEqual(self.entered(), {silent, other})
        self.assertIsNone(self.standing()[0][0].silent)

    def test_fragments(self) -> None:
        """Packets of a large message, too."""
        silent, other = self.names()
        self.part(silent)
        exit = "mix4" if other == "mix5" else "mix5"
        large = SeededRandom(b"large").octets(100_000)
        self.ask(self.client.send("drop", large, path=f"*3,{exit}"))
        self.assertEqual(self.entered(), {other})
        self.assertEqual(self.ask(self.client.waiting()), [])

    def test_exit(self) -> None:
        """Where the other one is the last server of a path, the message waits: nobody of the
        reserve stands in for one that does not answer."""
        for mix in self.network.mixes:
            mix.exits = self.network.mixes[4].exits
        self.network.sign()
        self.ask(self.client.update())
        silent, other = self.names()
        self.part(silent)
        for _ in range(2):  # the second one knows already that it is silent
            error = self.fail_to_send(path=f"*3,{other}")
            self.assertEqual(error.fields["entry"], silent)
        self.assertEqual(self.network.arrived, [])

    def test_kept_packet(self) -> None:
        """A packet that was kept for one is built for the other when it is tried again."""
        silent, other = self.names()
        self.part(silent, other)
        self.fail_to_send()
        self.wire.heal()
        entry = self.ask(self.client.waiting())[0].entry
        self.part(next(mix.nickname for mix in self.network.mixes if mix.identity == entry))
        self.assertEqual(len(self.ask(self.client.flush()).handed), 1)
        self.assertEqual(len(self.network.arrived), 1)

    def test_both(self) -> None:
        """The message waits: no third server is asked, not after a week either."""
        both = self.names()
        self.part(*both)
        error = self.fail_to_send()
        self.assertIn(error.fields["entry"], both)
        for _ in range(10):
            self.clock.advance(86_400)
            self.network.sign()
            self.ask(self.client.update())
            self.ask(self.client.flush())
        self.assertEqual(self.network.arrived, [])
        self.assertEqual(self.names(), both)
        self.wire.heal()
        self.assertEqual(len(self.ask(self.client.flush()).handed), 1)
        self.assertEqual(len(self.network.arrived), 1)

    def test_refused(self) -> None:
        """A packet that somebody may have goes nowhere else."""
        both = self.names()
        for name in both:
            self.network.mix(name).intake.silent = True
        self.fail_to_send()
        self.assertEqual(len({*self.network.arrived}), 1)


class ReplaceTests(KeptEntriesCase):
    """By hand."""

    def test_forget(self) -> None:
        """One that is named, and all; an unknown name changes nothing."""
        before = [entry for entry, _ in self.standing()]
        self.ask(self.client.entries.forget([before[0].nickname.upper()]))
        after = [entry for entry, _ in self.standing()]
        self.assertEqual(after[: len(before) - 1], before[1:])
        forgetting = Deferred.fromCoroutine(
            self.client.entries.forget([after[0].nickname, "nobody"])
        )
        error = self.failureResultOf(forgetting, NotAnEntry).value
        self.assertEqual(error.fields, {"name": "nobody"})
        self.assertEqual([entry for entry, _ in self.standing()], after)
        self.clock.advance(3600)
        self.ask(self.client.entries.forget([]))
        fresh = [entry for entry, _ in self.standing()]
        self.assertTrue(all(entry.drawn > after[0].drawn for entry in fresh))

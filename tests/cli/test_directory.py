"""``mixminion directory show``, ``diff`` and ``verify``."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mixminion import __version__
from mixminion.crypto import kdf
from mixminion.crypto import sign as ed25519
from mixminion.directory import certificate
from mixminion.directory.bootstrap import Authority, Bootstrap
from mixminion.directory.certificate import Role
from mixminion.directory.consensus import Consensus
from mixminion.directory.envelope import Envelope, PayloadType, Signer, sign
from mixminion.directory.vote import Recommended
from mixminion.util import times
from tests.cli.clients import CommandCase
from tests.client.network import Shelf, reactor


class DirectoryCase(CommandCase):
    """A network of three authorities: auth1, auth2 and auth3."""

    def configure(self, more="", sources=None):
        text = self.network.config(more, sources)
        for number, (_, public) in enumerate(self.network.authorities, 1):
            text = text.replace(public.hex(), f"auth{number} {public.hex()}")
        self.config.write_text(text)

    def newest(self) -> Consensus:
        return Consensus.open(self.network.shelf.signed.octets)[0]

    def named(self, text: str) -> str:
        """*text* with names instead of keys, digests and moments."""
        names = {
            public.hex(): f"AUTH{n}" for n, (_, public) in enumerate(self.network.authorities, 1)
        }
        names |= {mix.identity.hex(): mix.nickname.upper() for mix in self.network.mixes}
        for number, known in enumerate(reversed(self.network.shelf.known), 1):
            names[known.digest.hex()] = f"DIGEST{number}"
            names[times.to_text(known.valid_after)] = f"TIME{number}"
            names[times.to_text(known.valid_after + 604_800)] = f"TIME{number}+7d"
        for value, name in names.items():
            text = text.replace(value, name)
        return re.sub(r"\b[0-9a-f]{64}\b", "DIGEST", text)

    def resigned(self, *signers: Signer) -> bytes:
        """The newest consensus, signed by others."""
        return self.newest().sign(signers)


class ShowTests(DirectoryCase):
    """What is held, for people and programs."""

    async def test_text(self):
        """Two directories, who signed them, parameters, and what is unusual about those."""
        authorities = self.network.authorities
        self.network.sign(reactor.seconds() - 500, [private for private, _ in authorities[:2]])
        await self.run_command("update")
        previous = self.network.shelf.known[0].digest
        self.network.sign(previous=previous)
        await self.run_command("update")
        self.network.shelf.known = self.network.shelf.known[:2]
        done = await self.run_command("directory", "show")
        self.assertEqual((done.code, done.err), (0, ""))
        self.assertEqual(
            re.sub(r"due at \S+Z", "due at LATER", self.named(done.out)).splitlines(),
            """\
Directory of TIME2, used
  fresh until  TIME2+7d
  valid until  TIME2+7d, fresh
  digest       DIGEST2
  previous     DIGEST1, held
  method       1
  servers      5, 5 usable
  signatures   3 of 3, which is enough
    auth1  AUTH1  signed
    auth2  AUTH2  signed
    auth3  AUTH3  signed

Directory of TIME1, kept
  fresh until  TIME1+7d
  valid until  TIME1+7d, fresh
  digest       DIGEST1
  previous     none: the network's first
  method       1
  servers      5, 5 usable
  signatures   2 of 3, which is enough
    auth1  AUTH1  signed
    auth2  AUTH2  signed
    auth3  AUTH3  absent

Parameters
  mean-delay-ms       500      usually 240000
  delay-cap-ms        5000     usually 2400000
  tick-ms             50       usually 100
  strategy            poisson
  pool-interval       900
  pool-minimum        45
  pool-percent        65
  hops                4
  consensus-interval  604800   usually 3600
  consensus-fresh     604800   usually 3600
  consensus-valid     604800   usually 10800
  key-period          604800
  peer-queue-expiry   86400
  mmtp-window         256
  fragments           40
  mix-loops-per-hour  0        usually 75

The next fetch is due at LATER.
""".splitlines(),
        )

    async def test_json(self):
        """The same for programs."""
        self.network.sign(previous=b"p" * 32)
        await self.run_command("update")
        done = await self.run_command("directory", "show", "--json")
        found = json.loads(done.out)
        (held,) = found["held"]
        newest = self.newest()
        self.assertEqual(
            {name: held[name] for name in ("age", "digest", "previous", "chain", "servers")},
            {
                "age": "fresh",
                "digest": self.network.shelf.known[0].digest.hex(),
                "previous": "70" * 32,
                "chain": "not-held",
                "servers": 5,
            },
        )
        self.assertEqual(held["valid-after"], times.to_text(newest.valid_after))
        self.assertEqual(len(held["key-periods"]), 2)
        signatures = held["signatures"]
        self.assertEqual(
            (signatures["signed"], signatures["needed"], signatures["enough"]), (3, 2, True)
        )
        self.assertEqual(
            signatures["authorities"][0],
            {
                "nickname": "auth1",
                "identity": self.network.authorities[0][1].hex(),
                "standing": "signed",
            },
        )
        self.assertEqual(found["parameters"]["hops"], {"value": 4, "usual": 4})
        self.assertEqual(found["parameters"]["tick-ms"], {"value": 50, "usual": 100})
        self.assertEqual((found["evidence"], found["warnings"]), ([], []))

    async def test_nothing(self):
        """Nothing held, and something that cannot be believed, without asking anybody."""
        done = await self.run_command("directory", "show")
        self.assertRefused(done, 69, "There is no directory here yet")
        await self.run_command("update")
        keys = [ed25519.generate()[1].hex() for _ in range(3)]
        self.config.write_text(
            f"[Directory]\nauthorities = {', '.join(keys)}\nsources = 127.0.0.1:1\n"
        )
        asked = self.network.shelf.asked
        done = await self.run_command("directory", "show")
        self.assertRefused(done, 69, "is signed by 0 of the 3 authorities in your configuration")
        self.assertEqual(self.network.shelf.asked, asked)

    async def test_fork(self):
        """Evidence: which two, whose signatures are on both, where the files are; told of at every
        message, and by its code to programs."""
        common, mixes = self.network.shelf, self.network.mixes
        moment = reactor.seconds() - 500
        self.network.sign(moment)
        await self.run_command("update")
        self.network.shelf, self.network.mixes = Shelf(), mixes[:4]
        self.network.sign(moment, [private for private, _ in self.network.authorities[1:]])
        fork, self.network.shelf, self.network.mixes = self.network.shelf, common, mixes
        for mix in mixes:
            mix.door.own = fork
        done = await self.run_command("update")
        self.assertRefused(done, 69, "authorities have signed twice", "The first one stays")
        for mix in mixes:
            mix.door.own = None
        done = await self.run_command("directory", "show")
        tail = done.out[done.out.index("Two directories") :]
        folder = str(self.folder / "state" / "directory" / "evidence") + "/"
        seconds = str(int(moment))
        digests = sorted(each.known[0].digest.hex() for each in (common, fork))
        time = times.to_text(moment)
        self.assertEqual(
            re.sub(r"due at \S+Z", "due at LATER", tail).splitlines(),
            [
                f"Two directories were signed for {time}:",
                f"  {folder}{seconds}-{digests[0]}",
                f"  {folder}{seconds}-{digests[1]}",
                "Both are signed by: auth2, auth3.",
                "Send both files to the network's operators, then remove them.",
                "",
                "The next fetch is due at LATER.",
                f"Warning: Authorities have signed two directories for {time};"
                " `mixminion directory show` says which and what to do.",
            ],
        )
        done = await self.run_command("directory", "show", "--json")
        found = json.loads(done.out)
        self.assertEqual([each["code"] for each in found["warnings"]], ["two-directories"])
        (evidence,) = found["evidence"]
        self.assertEqual([each["nickname"] for each in evidence["offenders"]], ["auth2", "auth3"])
        for path in evidence["files"]:
            done = await self.run_command("directory", "verify", path)
            self.assertEqual(done.code, 0, done.err)
        done = await self.run_command("send", "-t", "drop")
        self.assertIn("\nwarning: Authorities have signed two directories for ", done.err)
        for path in evidence["files"]:
            Path(path).unlink()
        done = await self.run_command("send", "-t", "drop")
        self.assertNotIn("warning", done.err)


class DiffTests(DirectoryCase):
    """What changed."""

    async def test_held(self):
        """From the one before to the newest."""
        self.network.sign(reactor.seconds() - 500)
        await self.run_command("update")
        mixes = self.network.mixes
        self.network.mix("mix4").exits = ()
        self.network.mix("mix2").changes = {"family": "big"}
        self.network.mixes = [mixes[0], *mixes[1:4]]
        self.network.sign()
        self.network.mixes = mixes
        await self.run_command("update")
        self.network.shelf.known = self.network.shelf.known[:2]
        done = await self.run_command("directory", "diff", "held-1", "held")
        self.assertEqual((done.code, done.err), (0, ""))
        text = self.named(done.out)
        self.assertEqual(
            [line for line in text.splitlines() if "usable-from" not in line],
            [
                "From the directory of TIME1 to the one of TIME2:",
                "- mix5 MIX5",
                "  mix1 MIX1",
                "    descriptor: DIGEST -> DIGEST",
                "  mix2 MIX2",
                "    family: family-mix2 -> big",
                "    descriptor: DIGEST -> DIGEST",
                "  mix3 MIX3",
                "    descriptor: DIGEST -> DIGEST",
                "  mix4 MIX4",
                '    exits: [{"name": "drop", "module": "drop", "max-message": 33554432,'
                ' "policy": {"fragments": 432000}},'
                ' {"name": "smtp", "module": "smtp", "max-message": 24000}] -> (none)',
                "    descriptor: DIGEST -> DIGEST",
                "  network",
                *(
                    f"    key-period-{period.number}/keys: DIGEST -> DIGEST"
                    for period in self.newest().key_periods
                ),
            ],
        )
        done = await self.run_command("directory", "diff", "held", "held-1", "--json")
        found = json.loads(done.out)
        self.assertEqual([each["nickname"] for each in found["added"]], ["mix5"])
        self.assertEqual((found["removed"], found["parameters"]), ([], {}))
        changed = {each["nickname"]: each["members"] for each in found["changed"]}
        self.assertEqual(changed["mix2"]["family"], {"old": "big", "new": "family-mix2"})
        self.assertEqual(
            found["old"],
            {
                "valid-after": times.to_text(self.newest().valid_after),
                "digest": self.network.shelf.known[0].digest.hex(),
            },
        )
        done = await self.run_command("directory", "diff", "held", "held-2")
        self.assertRefused(done, 69, "There is no directory here yet")

    async def test_files(self):
        """Files need no configuration, and none is made."""
        paths = []
        for number in (1, 2):
            self.network.sign(reactor.seconds() - 1000 + number)
            path = self.folder / f"consensus{number}"
            path.write_bytes(self.network.shelf.signed.octets)
            paths.append(str(path))
        done = await self.run_command("directory", "diff", *paths, environment={})
        self.assertEqual(done.code, 0, done.err)
        self.assertTrue(done.out.startswith("From the directory of "))
        done = await self.run_command("directory", "diff", paths[0], paths[0], environment={})
        self.assertEqual(done.out.splitlines()[1:], ["  nothing changed but the dates"])
        self.assertFalse((self.folder / ".config").exists())

    async def test_wrong(self):
        """What is no directory."""
        path = self.folder / "x"
        path.write_bytes(b"{}")
        done = await self.run_command("directory", "diff", str(path), str(path))
        self.assertRefused(done, 65, "This consensus is malformed")
        done = await self.run_command("directory", "diff", "held-3", str(path))
        self.assertRefused(done, 65, "'held-3' cannot be read")


class VerifyTests(DirectoryCase):
    """Whether a file can be believed: the exit code says."""

    def setUp(self):
        super().setUp()
        self.path = self.folder / "file"

    async def verify(self, octets: bytes, *arguments: str):
        self.path.write_bytes(octets)
        return await self.run_command("directory", "verify", str(self.path), *arguments)

    async def test_believed(self):
        """Signed by enough and valid: 0, offline."""
        self.configure(sources="127.0.0.1:1")
        self.network.shelf.known = self.network.shelf.known[:1]
        done = await self.verify(self.network.shelf.signed.octets)
        self.assertEqual((done.code, done.err), (0, ""))
        self.assertEqual(
            self.named(done.out).splitlines(),
            [
                "Directory of TIME1, valid until TIME1+7d",
                "  digest      DIGEST1",
                "  signatures  3 of 3, which is enough",
                "    auth1  AUTH1  signed",
                "    auth2  AUTH2  signed",
                "    auth3  AUTH3  signed",
            ],
        )

    async def test_signatures(self):
        """Each known authority signed, absent or bad, and the unknown ones; too few is 65."""
        (one, _), (two, public), _ = self.network.authorities
        stranger, third = ed25519.generate(), ed25519.generate()
        now = int(reactor.seconds())

        def certified(identity: bytes, key: bytes, until: int) -> Signer:
            dates = {"valid_after": now - 1000, "valid_until": until}
            return Signer.of(
                key,
                certificate.certify(Role.AUTHORITY, identity, ed25519.public(key), **dates),
            )

        octets = self.resigned(
            Signer.of(one),
            certified(two, third[0], now - 10),
            certified(stranger[0], ed25519.generate()[0], now + 1000),
            Signer.of(ed25519.generate()[0]),
        )
        done = await self.verify(octets)
        self.assertEqual(done.code, 65)
        self.assertIn("is signed by 1 of the 3 authorities in your configuration", done.err)
        text = done.out.replace(stranger[1].hex(), "STRANGER")
        rows = [" ".join(line.split()) for line in self.named(text).splitlines()[2:]]
        self.assertEqual(
            rows[:4],
            [
                "signatures 1 of 3, and it takes 2",
                "auth1 AUTH1 signed",
                "auth2 AUTH2 bad",
                "auth3 AUTH3 absent",
            ],
        )
        self.assertEqual(len(rows), 6)
        self.assertIn("- STRANGER unknown", rows[4:])
        self.assertTrue(any(re.fullmatch(r"- key id \w{16}\.\.\. unknown", row) for row in rows))
        done = await self.verify(octets, "--json")
        found = json.loads(done.out)
        self.assertEqual((done.code, found["believed"]), (65, False))
        self.assertEqual(found["error"], "directory-signatures")
        standings = [each["standing"] for each in found["signatures"]["authorities"]]
        self.assertEqual(standings, ["signed", "bad", "absent"])
        identities = [each["identity"] for each in found["signatures"]["unknown"]]
        self.assertEqual({*identities}, {stranger[1].hex(), None})
        self.assertEqual(found["digest"], kdf.sha256(self.newest().encode()).hex())
        self.assertNotEqual(public, third[1])

    async def test_dates(self):
        """Expired and early are 65, unless it is asked for another moment."""
        self.network.sign(reactor.seconds() - 8 * 86_400)
        octets = self.network.shelf.signed.octets
        done = await self.verify(octets)
        self.assertEqual(done.code, 65)
        self.assertIn("The directory expired at", done.err)
        moment = times.to_text(self.newest().valid_after + 60)
        self.assertEqual((await self.verify(octets, "--at", moment)).code, 0)
        before = times.to_text(self.newest().valid_after - 60)
        done = await self.verify(octets, "--at", before)
        self.assertEqual(done.code, 65)
        self.assertIn("valid only from", done.err)
        done = await self.verify(octets, "--at", "yesterday")
        self.assertRefused(done, 64, "a time has the form")

    async def test_network(self):
        """By a bootstrap file's authorities, without a configuration."""
        known = [
            Authority(public, f"a{n}", "http://192.0.2.1/")
            for n, (_, public) in enumerate(self.network.authorities)
        ]
        path = self.folder / "net.conf"
        octets = self.network.shelf.signed.octets
        for authorities, code in ((known, 0), ([Authority(b"x" * 32, "x", "http://h/")], 65)):
            path.write_text(Bootstrap("example", tuple(authorities)).text())
            self.path.write_bytes(octets)
            done = await self.run_command(
                "directory", "verify", str(self.path), "--network", str(path), environment={}
            )
            self.assertEqual(done.code, code, done.err)
        self.assertFalse((self.folder / ".config").exists())

    async def test_wrong(self):
        """Damaged, of another kind, not there."""
        octets = self.network.shelf.signed.octets
        self.assertRefused(await self.verify(octets[:-1]), 65, "This consensus is malformed")
        vote: Envelope = sign(PayloadType.VOTE, b"{}", [])
        done = await self.verify(vote.encode())
        self.assertRefused(done, 65, "it is of another type")
        done = await self.run_command("directory", "verify", "nowhere")
        self.assertRefused(done, 65, "'nowhere' cannot be read")


class ReleaseTests(DirectoryCase):
    """A release that the network does not recommend."""

    async def test_warned(self):
        """By version, send and the directory; not when it is recommended, or nothing is held."""
        done = await self.run_command("version")
        self.assertEqual((done.code, done.err), (0, ""))
        for clients, warned, ago in (
            (("99.1", "99.2"), True, 500),
            (("99.1", __version__), False, 0),
        ):
            self.network.sign(reactor.seconds() - ago)
            shelf = self.network.shelf
            consensus = self.newest()
            changes = {"recommended": Recommended(clients=clients)}
            fields = {name: getattr(consensus, name) for name in consensus.__struct_fields__}
            signers = [Signer.of(private) for private, _ in self.network.authorities]
            shelf._signed.octets = Consensus(**(fields | changes)).sign(signers)
            await self.run_command("update")
            said = f"This is Mixminion {__version__}, and the network recommends 99.1 or 99.2;"
            for arguments in (("version",), ("version", "--json"), ("send", "-t", "drop")):
                done = await self.run_command(*arguments)
                self.assertEqual(done.code, 0)
                self.assertEqual(said in done.err, warned, done.err)

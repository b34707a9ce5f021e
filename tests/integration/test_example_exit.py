"""Somebody else's exit: installed as a package, run by a server, its section as strict as ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from base64 import b64decode
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from typing_extensions import override

from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from mixminion.testing.commands import PYTHON
from tests.app import kit
from tests.source import ROOT

reactor: Any = installed

SOURCE = ROOT / "contrib" / "example-exit"
SECTION = "\n[Exit shelf]\nmodule = shelf\nfolder = shelf\n"


def install(folder: Path) -> Path:
    """Where pip has put the package."""
    shutil.copytree(SOURCE, folder / "source")
    target = folder / "installed"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run(
        [*pip, "--no-deps", "--target", target, folder / "source"],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return target


def remember(case: AsyncTestCase | SyncTestCase) -> Path:
    """Have every process that *case* starts find the installed package; a folder for it."""
    folder = Path(tempfile.mkdtemp())
    case.addCleanup(shutil.rmtree, folder)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(install(folder))

    def restore() -> None:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before

    case.addCleanup(restore)
    return folder


class RunTests(AsyncTestCase):
    timeout = 120

    @override
    def setUp(self) -> None:
        self.home = kit.Home(remember(self) / "home")
        with self.home.config.open("a") as file:
            file.write(SECTION)
        self.addCleanup(kit.end, self.home)

    async def test_run(self) -> None:
        """A server with it starts, publishes it, and puts messages where the section says; one
        that does not fit is refused; one under another name is another exit."""
        with self.home.config.open("a") as file:
            file.write("[Exit other]\nmodule = shelf\nfolder = other\nending = txt\n")
        started = self.home.twistd("--nodaemon")
        self.addCleanup(started.kill)
        await kit.until(lambda: self.home.ready)
        view = self.home.view
        texts = [b"message %d" % n for n in range(5)]
        packets = [kit.packet(view, text, "shelf") for text in texts]
        packets.append(kit.packet(view, b"for the other", "other"))
        await kit.send(view, self.home.address, packets)
        shelf, other = self.home.folder / "shelf", self.home.folder / "other"
        await kit.until(lambda: len(list(shelf.glob("*.eml"))) == 5)
        self.assertEqual(sorted(path.read_bytes() for path in shelf.iterdir()), texts)
        await kit.until(lambda: bool(list(other.glob("*.txt"))))
        await kit.until(lambda: self.home.ask()["counters"]["delivered"] == 6)
        published = json.loads((self.home.folder / "descriptor").read_bytes())["payload"]
        exits = {each["name"]: each for each in json.loads(b64decode(published))["exits"]}
        said = {
            "module": "shelf",
            "max-message": 32_768,
            "policy": {"fragments": 432_000, "receipts": True},
        }
        for name in ("shelf", "other"):
            self.assertEqual(exits[name], {"name": name, **said})


class StrictTests(SyncTestCase):
    def setUp(self) -> None:
        self.home = kit.Home(remember(self) / "home")
        self.text = self.home.config.read_text()

    def check(self, section: str) -> str:
        """What ``check-config`` says of a configuration with *section*."""
        self.home.config.write_text(self.text + section)
        command = ["-m", "mixminion", "server", "check-config", "--home", str(self.home.folder)]
        done = subprocess.run([*PYTHON, *command], capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.returncode, 0 if done.stdout.startswith("OK") else 78)
        return done.stdout

    def test_wrong_values(self) -> None:
        """Each kind of wrong value is told with file, line and what was expected."""
        self.assertEqual(self.check(SECTION), f"OK: {self.home.config}\n")
        first = self.text.count("\n") + 5
        for line, expected in (
            ("foldr = x", "unknown key; did you mean folder?"),
            ("ending = doc", "expected eml or txt"),
            ("most-files = many", "expected a whole number, at least 1 and at most 100000"),
            ("most-files = 0", "expected a whole number, at least 1 and at most 100000"),
            ("max-message = 2 MiB", "expected a size such as 32 KiB, 500 MB or 1.5 GB, at least"),
            ("max-message = 5", "expected a size such as"),
            ("retry-first = soon", "expected a time such as"),
            ("most-files = 2", "expected at least concurrency"),
            ("folder = x", "was given at line"),
        ):
            said = self.check(SECTION + line + "\n")
            self.assertIn("1 error:", said, line)
            key = line.partition(" ")[0]
            self.assertIn(f"{self.home.config}:{first}: [Exit shelf] {key}: ", said)
            self.assertIn(expected, said)
        missing = self.check("\n[Exit shelf]\nmodule = shelf\n")
        self.assertIn("[Exit shelf] folder: is missing: expected a path", missing)

    def test_several_at_once(self) -> None:
        """All of them are told at once."""
        said = self.check(SECTION + "ending = doc\nmost-files = x\nshelves = 3\n")
        self.assertIn("3 errors:", said)

    def test_outside_the_file(self) -> None:
        """What is wrong outside the file keeps the server from starting, in a sentence of the
        module's."""
        self.home.config.write_text(
            self.text + "\n[Exit shelf]\nmodule = shelf\nfolder = no/shelf\n"
        )
        done = self.home.twistd("--nodaemon").done()
        self.assertEqual(done.code, 78)
        self.assertIn(f"The folder {self.home.folder / 'no'} is not there", done.err)

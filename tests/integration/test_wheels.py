"""A client is installed without a compiler on Windows and macOS: everything it needs has wheels."""

from __future__ import annotations

import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

from mixminion.testing.cases import SyncTestCase
from tests.source import ROOT

PLATFORMS = ("win_amd64", "macosx_11_0_arm64")
"""Intel's Macs are not here: cryptography has no wheels for them after its version 48, and 50 is
the first with the OpenSSL that we need."""
SERVERS = {"lmdb"}
"""What the client's rooms never import; see ``tests.client.test_imports``."""


def setup() -> ConfigParser:
    """setup.cfg."""
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg")
    return parser


def requirements() -> list[str]:
    """What a client needs."""
    lines = setup()["options"]["install_requires"].strip().splitlines()
    return [
        line for line in lines if (name := re.match(r"[\w.-]+", line)) and name[0] not in SERVERS
    ]


def pythons() -> list[str]:
    """Those we support."""
    return re.findall(r"Python :: (3\.\d+)", setup()["metadata"]["classifiers"])


class WheelTests(SyncTestCase):
    def test_wheels(self) -> None:
        """For every Python that we support, from the registry that pip is set up for."""
        self.assertGreaterEqual(len(pythons()), 3)
        self.assertGreaterEqual(len(requirements()), 6)
        for platform in PLATFORMS:
            for python in pythons():
                target = Path(self.mktemp()).absolute()
                done = subprocess.run(
                    [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet"]
                    + ["--target", str(target), "--only-binary", ":all:"]
                    + ["--platform", platform, "--python-version", python]
                    + ["--implementation", "cp", *requirements()],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                self.assertEqual(done.returncode, 0, (platform, python, done.stderr))

"""Keys for DKIM, and what OpenDKIM says of mails signed with them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from mixminion.exits import dkim
from mixminion.exits.dkim import ALGORITHMS, KeyFile
from tests.integration.postfix import INSTALL

ALL_PASS = [("pass", "rsa-sha256"), ("pass", "ed25519-sha256")]
ALL_FAIL = [("fail", "rsa-sha256"), ("fail", "ed25519-sha256")]


class OpenDkim:
    """Keys of *domain* in *folder*, which is made, and their records as OpenDKIM finds them;
    installs the package if missing.  ``line`` is what an exit's section needs."""

    def __init__(self, folder: Path, domain: str) -> None:
        subprocess.run(["bash", INSTALL, "opendkim"], check=True)
        self.folder = folder.absolute()
        self.folder.mkdir(mode=0o700)
        files = []
        for name in ALGORITHMS:
            path = self.folder / f"{name}.pem"
            path.touch(0o600)
            path.write_bytes(dkim.generate(name))
            files.append(KeyFile(f"{name}1", path))
        self.line = "dkim-keys = " + ", ".join(map(str, files))
        records = self.folder / "records"
        keys = dkim.load(domain, files)
        records.write_text("".join(f"{key.name} {key.record}\n" for key in keys))
        (self.folder / "opendkim.conf").write_text(
            f"Mode v\nUserID root\nAlwaysAddARHeader yes\nTestDNSData file:{records}\n"
        )

    def verdicts(self, mail: bytes) -> list[tuple[str, str]]:
        """A word and the algorithm for each signature, from the top."""
        file = self.folder / "mail"
        file.write_bytes(mail)
        said = subprocess.run(
            ["opendkim", "-x", self.folder / "opendkim.conf", "-vv", "-t", file],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return re.findall(r"dkim=(\w+).*?header\.a=([\w-]+)", said.stdout)

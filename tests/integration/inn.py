"""A private INN on loopback, on IPv4 and IPv6, with a few groups."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from mixminion.mail import data
from mixminion.testing.certificates import Authority
from tests.integration.postfix import INSTALL, free_ports

BIN = Path("/usr/lib/news/bin")
GROUPS = {
    "local.test": "y",
    "local.other": "y",
    "local.moderated": "m",
    "local.closed": "n",
    "users.test": "y",
}
USER, PASSWORD = "mixer", "correct horse"

CONFIGURATION = """\
organization: test
mta: "/bin/false %s"
ovmethod: tradindexed
hismethod: hisv6
pathhost: news.example.test
domain: example.test
fromhost: example.test
pathnews: /usr/lib/news
pathetc: {base}/etc
pathdb: {base}/db
pathrun: {base}/run
pathlog: {base}/log
pathspool: {base}/spool
pathhttp: {base}/http
pathfilter: {base}/etc/filter
runasuser: news
runasgroup: news
port: {port}
nnrpdpostport: {port}
bindaddress: 127.0.0.1
bindaddress6: "::1"
pgpverify: false
server: 127.0.0.1
doinnwatch: false
maxartsize: 0
localmaxartsize: 0
icdsynccount: 1
tlscafile: {base}/etc/ca.pem
tlscertfile: {base}/etc/chain.pem
tlskeyfile: {base}/etc/key.pem
"""
FILES = {
    "storage.conf": "method tradspool {\n newsgroups: *\n class: 0\n}\n",
    "newsfeeds": "ME:*::\n",
    # Nobody that connects from here is a peer: all are readers.
    "incoming.conf": 'peer ME {\n hostname: "127.0.0.2"\n}\n',
    # Groups below users are for those who have said who they are.
    "readers.conf": 'auth "all" {\n hosts: "localhost, 127.0.0.1, ::1"\n default: "<all>"\n'
    ' auth: "ckpasswd -f PASSWORDS"\n}\n'
    'access "all" {\n users: "<all>"\n newsgroups: "local.*"\n access: RPANI\n}\n'
    'access "users" {\n users: "mixer*"\n newsgroups: "*"\n access: RPANI\n}\n',
}


class Inn:
    """One instance with everything of its own; needs root, installs what is missing.

    It offers STARTTLS; ``ca_file`` is what the certificate for 127.0.0.1 is checked against.
    """

    def __init__(self) -> None:
        if os.getuid() != 0:
            raise RuntimeError("a private INN needs root")
        subprocess.run(["bash", INSTALL, "postfix"], check=True)  # or inn2 brings another MTA
        subprocess.run(["bash", INSTALL, "inn2", "openssl"], check=True)
        self.base = Path(tempfile.mkdtemp(prefix="mixminion-inn-", dir="/tmp"))
        [self.port] = free_ports(1)
        self.ca_file = self.base / "etc" / "ca.pem"
        self._server: subprocess.Popen[bytes] | None = None
        try:
            self._configure()
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it and remove everything."""
        if self._server is not None:
            if self._server.poll() is None:
                self._run(BIN / "ctlinnd", "-t", "10", "shutdown", "over")
            self._server.wait(30)
        shutil.rmtree(self.base)

    def articles(self, group: str) -> list[bytes]:
        """What stands in *group*, in the order of arrival, lines ended by CRLF."""
        folder = self.base / "spool" / "articles" / group.replace(".", "/")
        numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())
        # Its spool has articles as they went over the wire.
        stored = [(folder / str(number)).read_bytes() for number in numbers]
        return [data.decode(each.removesuffix(b".\r\n")) for each in stored]

    def _configure(self) -> None:
        for name in ("etc/filter", "db", "run", "log", "http", "spool/incoming/tmp"):
            (self.base / name).mkdir(parents=True)
        for name in ("articles", "incoming/bad", "outgoing", "overview", "archive", "innfeed"):
            (self.base / "spool" / name).mkdir(parents=True)
        shutil.copytree("/etc/news", self.base / "etc", dirs_exist_ok=True)
        files = {**FILES, "inn.conf": CONFIGURATION.format(base=self.base, port=self.port)}
        passwords = self.base / "etc" / "passwords"
        for name, text in files.items():
            (self.base / "etc" / name).write_text(text.replace("PASSWORDS", str(passwords)))
        crypt = ["openssl", "passwd", "-6", PASSWORD]
        made = subprocess.run(crypt, check=True, capture_output=True, text=True).stdout
        passwords.write_text(f"{USER}:{made}")
        authority = Authority(time.time())
        certificate, key = authority.issue(["127.0.0.1"])
        for name, octets in (("ca", authority.pem), ("chain", certificate), ("key", key)):
            (self.base / "etc" / f"{name}.pem").write_bytes(octets)
        groups = {"control": "n", "control.cancel": "n", "junk": "n"} | GROUPS
        lines = [f"{name} 0000000000 0000000001 {status}\n" for name, status in groups.items()]
        (self.base / "db" / "active").write_text("".join(lines))
        for name in ("newsgroups", "active.times", ".news.daily", "history"):
            (self.base / "db" / name).touch()
        subprocess.run(["chown", "-R", "news:news", self.base], check=True)
        (self.base).chmod(0o755)
        for path in (*(self.base / "etc").glob("*.conf"), passwords):
            path.chmod(0o640)
        (self.base / "etc" / "key.pem").chmod(0o600)
        self._run(BIN / "makedbz", "-i", "-o", "-s", "10000")

    def _run(self, *command: object) -> None:
        subprocess.run(self._as_news(*command), cwd=self.base / "db", env=self._env, check=True)

    def _as_news(self, *command: object) -> list[str]:
        drop = ["setpriv", "--reuid=news", "--regid=news", "--clear-groups"]
        return [*drop, *map(str, command)]

    @property
    def _env(self) -> dict[str, str]:
        config = str(self.base / "etc" / "inn.conf")
        return {**os.environ, "INNCONF": config, "HOME": str(self.base)}

    def _start(self) -> None:
        with (self.base / "innd.log").open("wb") as log:
            self._server = subprocess.Popen(
                self._as_news(BIN / "innd", "-f", f"-P{self.port}"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
            )
        for _ in range(200):
            if self._server.poll() is not None:
                break
            try:
                for host in ("127.0.0.1", "::1"):
                    with socket.create_connection((host, self.port), 5) as trial:
                        trial.settimeout(5)
                        if not trial.recv(100).startswith(b"200"):
                            raise ConnectionError
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError((self.base / "innd.log").read_text() or "INN does not listen")

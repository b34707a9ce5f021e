"""A private Dovecot on loopback that takes mail: IMAP over Maildirs of its own, LMTP into them."""

from __future__ import annotations

import contextlib
import imaplib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.integration.postfix import INSTALL, free_ports

UID = GID = 65534
FULL = "fred"
"""A user besides, whose mailbox has no room for a mail."""

CONFIGURATION = """\
base_dir = {base}/run
log_path = {base}/log
protocols = imap lmtp
listen = 127.0.0.1
mail_location = maildir:{base}/mail/%n
first_valid_uid = 0
first_valid_gid = 0
mail_uid = {uid}
mail_gid = {gid}
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
auth_username_format = %Ln
default_internal_user = dovecot
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {base}/users
  default_fields = uid={uid} gid={gid} home={base}/mail/%n
}}
mail_plugins = quota
plugin {{
  quota = maildir:User quota
  quota_rule = *:bytes=0
}}
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
"""


class Dovecot:
    """One instance with everything of its own; needs root, installs what is missing.

    ``mail`` is the folder of the Maildirs, ``lmtp_port`` takes mail over TCP and
    ``lmtp_socket`` in the file system.
    """

    def __init__(self, *users: str) -> None:
        if os.getuid() != 0:
            raise RuntimeError("a private Dovecot needs root")
        subprocess.run(["bash", INSTALL, "dovecot-imapd", "dovecot-lmtpd"], check=True)
        self.base = Path(tempfile.mkdtemp(prefix="mixminion-dovecot-", dir="/tmp"))
        self.base.chmod(0o755)
        self.imap_port, self.lmtp_port = free_ports(2)
        self.mail = self.base / "mail"
        self.lmtp_socket = self.base / "run" / "lmtp"
        try:
            self._configure(users)
            self._run("dovecot", "-c", self._file)
            self._wait()
        except BaseException:
            self.stop()
            raise

    def halt(self) -> None:
        """Stop it."""
        running = self.base / "run" / "master.pid"
        if running.exists():
            self._run("doveadm", "-c", self._file, "stop")
        for _ in range(100):
            if not running.exists():
                return
            time.sleep(0.1)
        raise RuntimeError("Dovecot does not stop")

    def stop(self) -> None:
        """Stop it, and remove everything."""
        self.halt()
        shutil.rmtree(self.base)

    def mails(self, user: str) -> list[bytes]:
        """Every mail of *user* as IMAP gives it."""
        with self._session(user) as session:
            session.select(readonly=True)
            _, [numbers] = session.search(None, "ALL")
            return [self._fetch(session, number.decode()) for number in numbers.split()]

    def _fetch(self, session: imaplib.IMAP4, number: str) -> bytes:
        _, parts = session.fetch(number, "(BODY.PEEK[])")
        [mail] = [part[1] for part in parts if isinstance(part, tuple)]
        return mail

    @contextlib.contextmanager
    def as_owner(self) -> Iterator[None]:
        """This process as the user whose the Maildirs are."""
        os.setegid(GID)
        os.seteuid(UID)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)

    @contextlib.contextmanager
    def _session(self, user: str) -> Iterator[imaplib.IMAP4]:
        session = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=10)
        try:
            session.login(user, "secret")
            yield session
        finally:
            session.logout()

    def _configure(self, users: tuple[str, ...]) -> None:
        self._file = self.base / "dovecot.conf"
        (self.base / "run").mkdir()
        self.mail.mkdir()
        for user in users:
            for name in ("", "cur", "new", "tmp"):
                (self.mail / user / name).mkdir()
        for path in (self.mail, *self.mail.rglob("*")):
            os.chown(path, UID, GID)
        (self.base / "users").write_text(
            "".join(f"{user}::::::\n" for user in users)
            + f"{FULL}:::::::userdb_quota_rule=*:bytes=100\n"
        )
        self._file.write_text(
            CONFIGURATION.format(
                base=self.base, uid=UID, gid=GID, imap=self.imap_port, lmtp=self.lmtp_port
            )
        )

    def _run(self, *command: str | Path) -> None:
        # What inherits a pipe would keep it open for as long as Dovecot runs.
        with (self.base / "start.log").open("ab") as log:
            subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60, check=True
            )

    def _wait(self) -> None:
        for _ in range(100):
            try:
                for port in (self.imap_port, self.lmtp_port):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("Dovecot does not listen")

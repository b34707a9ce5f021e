"""A private Dovecot on loopback: it knows users for Postfix, and shows their mail by IMAP."""

from __future__ import annotations

import imaplib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.integration.postfix import INSTALL, Postfix, free_ports

PASSWORDS = {"mixer": "correct horse", "bob": "bob's", "alice": "alice's"}

CONFIGURATION = """\
base_dir = {base}/run
log_path = {base}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{mail}/%n
first_valid_uid = 1
first_valid_gid = 1
auth_mechanisms = plain login
auth_username_format = %Ln
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {base}/passwords
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={mail}/%n allow_all_users=yes
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service auth {{
  unix_listener {auth} {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
"""


class Dovecot:
    """One instance over the Maildirs of *postfix*, which asks it about users."""

    def __init__(self, postfix: Postfix) -> None:
        subprocess.run(["bash", INSTALL, "dovecot-imapd"], check=True)
        self.base = Path(tempfile.mkdtemp(prefix="mixminion-dovecot-", dir="/tmp"))
        self.base.chmod(0o755)
        [self.port] = free_ports(1)
        passwords = [f"{user}:{{PLAIN}}{each}::::::\n" for user, each in PASSWORDS.items()]
        (self.base / "passwords").write_text("".join(passwords))
        self._configuration = self.base / "dovecot.conf"
        mail, auth = postfix.base / "mail", postfix.base / "auth"
        self._configuration.write_text(
            CONFIGURATION.format(base=self.base, mail=mail, auth=auth, port=self.port)
        )
        self._running = False
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it and remove everything."""
        if self._running:
            stop = ["doveadm", "-c", str(self._configuration), "stop"]
            subprocess.run(stop, stdin=subprocess.DEVNULL, timeout=60, check=True)
        shutil.rmtree(self.base)

    def mails(self, user: str) -> list[bytes]:
        """What *user* reads by IMAP, in no order."""
        with imaplib.IMAP4("127.0.0.1", self.port, 30) as session:
            session.login(user, PASSWORDS[user].replace('"', '\\"'))
            session.select("INBOX", readonly=True)
            _, [numbers] = session.search(None, "ALL")
            mails = []
            for number in numbers.split():
                _, answer = session.fetch(number.decode(), "(RFC822)")
                assert isinstance(answer[0], tuple)
                mails.append(answer[0][1])
            return mails

    def _start(self) -> None:
        # A daemon that inherits an output keeps a pipe open for ever.
        with (self.base / "start").open("wb") as log:
            subprocess.run(
                ["dovecot", "-c", str(self._configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=60,
                check=True,
                env={**os.environ, "LC_ALL": "C"},
            )
        self._running = True
        for _ in range(100):
            try:
                imaplib.IMAP4("127.0.0.1", self.port, 5).logout()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("Dovecot does not listen")

"""A private Postfix on loopback: STARTTLS required, mail for example.test into Maildirs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from mixminion.testing.certificates import Authority

MANUAL = Path(__file__).parents[2] / "doc" / "operate" / "postfix-master.cf"
INSTALL = Path(__file__).parents[2] / ".ci" / "install"
USERS = ("bob", "alice", "grey", "slow", "full")
SLOW = 3  #: seconds that it takes to answer for slow@example.test
ACCESS = """\
full@example.test 452 4.2.2 Mailbox full
over@example.test 552 5.2.2 Mailbox full
grey@example.test grey
slow@example.test slow
"""

MAIN = """\
compatibility_level = 3.6
queue_directory = {base}/queue
data_directory = {base}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.example.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
smtputf8_enable = no
virtual_mailbox_domains = example.test
virtual_mailbox_base = {base}/mail
virtual_mailbox_maps = texthash:{base}/etc/users
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
message_size_limit = 52428800
virtual_mailbox_limit = 0
smtpd_tls_chain_files = {base}/etc/chain.pem
smtpd_tls_security_level = encrypt
smtpd_tls_received_header = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_restriction_classes = grey, slow
grey = check_policy_service unix:private/grey
slow = sleep {slow}
smtpd_recipient_restrictions = check_recipient_access texthash:{base}/etc/access
smtpd_sasl_type = dovecot
smtpd_sasl_path = {base}/auth
smtpd_tls_auth_only = yes
relayhost = [127.0.0.1]:1
smtp_dns_support_level = disabled
maillog_file = {base}/maillog
maillog_file_prefixes = /tmp, /var
"""

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{seven_bit_port} inet n - n - - smtpd -o smtpd_discard_ehlo_keywords=8bitmime
127.0.0.1:{plain_port} inet n - n - - smtpd -o smtpd_tls_security_level=none
127.0.0.1:{tls_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
127.0.0.1:{auth_port} inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
 -o smtpd_sender_restrictions=permit_sasl_authenticated,reject
grey unix - n n - 0 spawn user=nobody argv=/usr/bin/python3 {base}/grey.py
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


GREY = """\
# Postfix's policy protocol: the first attempt for each recipient is put off.
import pathlib, sys
asked = {}
for line in sys.stdin:
    if line.strip():
        name, _, value = line.strip().partition("=")
        asked[name] = value
        continue
    seen = pathlib.Path("%s") / asked["recipient"]
    known = seen.exists()
    seen.touch()
    print("action=" + ("DUNNO" if known else "DEFER_IF_PERMIT greylisted") + "\\n", flush=True)
    asked = {}
"""


class Postfix:
    """One instance with everything of its own; needs root, installs the package if missing.

    ``port`` offers 8BITMIME, ``seven_bit_port`` does not; ``plain_port`` has no TLS,
    ``tls_port`` begins with it; ``auth_port`` takes mail from those who log in, whom a
    :class:`~tests.integration.dovecot.Dovecot` knows by the socket ``auth``; ``manual_port`` is
    the one of the manual.  ``ca_file`` is what the certificate for 127.0.0.1 is checked against.
    """

    def __init__(self) -> None:
        if os.getuid() != 0:
            raise RuntimeError("a private Postfix needs root")
        subprocess.run(["bash", INSTALL, "postfix"], check=True)
        self.base = Path(tempfile.mkdtemp(prefix="mixminion-postfix-", dir="/tmp"))
        ports = free_ports(6)
        self.port, self.seven_bit_port, self.plain_port, self.tls_port, self.auth_port = ports[:5]
        self.manual_port = ports[5]
        self.ca_file = self.base / "etc" / "ca.pem"
        try:
            self._configure()
            self._control("check")
            self._control("start")
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it, whatever it does, and remove everything."""
        if (self.base / "queue" / "pid" / "master.pid").exists():
            self._control("abort")
        shutil.rmtree(self.base)

    def reload(self) -> None:
        """Make it read its tables again, at the latest in its next process."""
        self._control("reload")

    def mails(self, user: str) -> list[bytes]:
        """What has arrived for *user*, lines ended by CRLF, in no order."""
        folder = self.base / "mail" / user / "new"
        files = folder.iterdir() if folder.exists() else ()
        return [path.read_bytes().replace(b"\n", b"\r\n") for path in files]

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self.base / "maillog").read_text()

    def clear(self) -> None:
        """Remove what has arrived."""
        for path in (self.base / "mail").glob("*/new/*"):
            path.unlink()

    def _configure(self) -> None:
        self.base.chmod(0o755)
        for name in ("etc", "queue/pid", "data", "mail"):
            (self.base / name).mkdir(parents=True)
            (self.base / name).chmod(0o755)
        (self.base / "queue").chmod(0o755)
        shutil.chown(self.base / "data", "postfix")
        os.chown(self.base / "mail", 65534, 65534)
        etc = self.base / "etc"
        authority = Authority(time.time())
        certificate, key = authority.issue(["127.0.0.1"])
        self.ca_file.write_bytes(authority.pem)
        (etc / "chain.pem").touch(0o600)
        (etc / "chain.pem").write_bytes(key + certificate)
        (etc / "main.cf").write_text(MAIN.format(base=self.base, slow=SLOW))
        master = MASTER.format_map({"base": self.base} | vars(self))
        manual = MANUAL.read_text().replace("mix.example", "mix.test")
        master += manual.replace(":2526", f":{self.manual_port}")
        (etc / "master.cf").write_text(master)
        (etc / "access").write_text(ACCESS)
        (self.base / "greylist").mkdir()
        shutil.chown(self.base / "greylist", "nobody")
        (self.base / "grey.py").write_text(GREY % (self.base / "greylist"))
        (etc / "users").write_text("".join(f"{user}@example.test {user}/\n" for user in USERS))
        # Postfix insists on a default configuration, whatever it is told to use.
        for name in ("main.cf", "master.cf"):
            default = Path("/etc/postfix") / name
            if not default.exists():
                default.write_text(master if name == "master.cf" else "")

    def _control(self, command: str) -> None:
        with (self.base / "control.log").open("ab") as log:
            subprocess.run(
                ["postfix", "-c", str(self.base / "etc"), command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=60,
                check=True,
            )

    def _wait(self) -> None:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.seven_bit_port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("Postfix does not listen")


def free_ports(n: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports

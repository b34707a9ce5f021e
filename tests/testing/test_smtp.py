"""The mail server of the test kit, as a process of its own."""

from __future__ import annotations

import os
import signal
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

from mixminion.testing.cases import SyncTestCase


class ProcessTests(SyncTestCase):
    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "mixminion.testing.smtp", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_keeps_mails(self) -> None:
        """It says where it listens, keeps each mail as one whole file, ends on a signal."""
        folder = Path(self.mktemp())
        process = self.start("--listen", "127.0.0.1:0", "--folder", str(folder))
        assert process.stdout is not None
        word, on, where = process.stdout.readline().split()
        self.assertEqual((word, on), ("listening", "on"))
        host, _, port = where.rpartition(":")
        mail = EmailMessage()
        mail["Subject"] = "hello"
        mail.set_content(".one dot\n..two\nGrüße\n", cte="8bit")
        with smtplib.SMTP(host, int(port), timeout=10) as client:
            for recipients in (["bob@x.test"], ["bob@x.test", "eve@x.test"]):
                client.send_message(mail, "alice@x.test", recipients)
        files = sorted((folder / "new").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        self.assertEqual(os.listdir(folder / "tmp"), [])
        self.assertEqual(
            [path.read_bytes().splitlines()[:3] for path in files],
            [
                [
                    b"Return-Path: <alice@x.test>",
                    b"Delivered-To: bob@x.test",
                    b"Subject: hello",
                ],
                [
                    b"Return-Path: <alice@x.test>",
                    b"Delivered-To: bob@x.test",
                    b"Delivered-To: eve@x.test",
                ],
            ],
        )
        body = files[0].read_bytes().partition(b"\r\n\r\n")[2]
        self.assertEqual(body, ".one dot\r\n..two\r\nGrüße\r\n".encode())
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=10)
        self.assertEqual((process.returncode, rest, errors), (0, "", ""))

    def test_busy_port(self) -> None:
        """A port in use ends it at once, with one line and the code for that."""
        first = self.start("--listen", "127.0.0.1:0", "--folder", self.mktemp())
        assert first.stdout is not None
        where = first.stdout.readline().split()[-1]
        second = self.start("--listen", where, "--folder", self.mktemp())
        _, errors = second.communicate(timeout=10)
        self.assertEqual((second.returncode, errors), (69, f"cannot listen on {where}\n"))

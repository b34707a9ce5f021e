"""Of a fault its kind and places are told, and nothing that it says."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from mixminion.testing.cases import SyncTestCase
from mixminion.util import faults

SECRET = "bob@example.test"


def fail() -> None:
    """Quotes somebody, and is caused by somebody quoted."""
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        raise ValueError(SECRET) from error


class ReportTests(SyncTestCase):
    def caught(self) -> str:
        try:
            fail()
        except ValueError as error:
            return faults.report(error)
        raise AssertionError

    def test_report(self) -> None:
        """Kinds, files, lines and functions, of the cause too; no text and no value."""
        text = self.caught()
        self.assertNotIn(SECRET, text)
        self.assertRegex(text, r"^ValueError\n  .*test_faults\.py:\d+ in caught\n")
        self.assertRegex(text, r"in fail\nbecause of\nKeyError\n  .*test_faults\.py:\d+ in fail$")

    def test_circle(self) -> None:
        """Causes that go in a circle come to an end."""
        one, two = ValueError(SECRET), TypeError(SECRET)
        one.__cause__, two.__cause__ = two, one
        self.assertLess(len(faults.report(one)), 1000)

    def test_group(self) -> None:
        """Of a group each member."""
        text = faults.report(ExceptionGroup(SECRET, [ValueError(SECRET), OSError(SECRET)]))
        self.assertIn("\nValueError\n", text)
        self.assertIn("\nOSError", text)
        self.assertNotIn(SECRET, text)

    def test_kind(self) -> None:
        """With the module, where it is not Python's own."""
        self.assertEqual(faults.kind(OSError()), "OSError")
        self.assertEqual(
            faults.kind(subprocess.TimeoutExpired("x", 1)), "subprocess.TimeoutExpired"
        )

    def test_place(self) -> None:
        """A file's name, where it is one: whoever compiles code may call its file anything."""
        self.assertEqual(
            faults.place("/usr/lib/python3/x-y/a_b.py", 7), "/usr/lib/python3/x-y/a_b.py:7"
        )
        self.assertEqual(faults.place("<string>", 7), "<string>:7")
        self.assertEqual(faults.place(f"<{SECRET}>", 7), "?:7")
        self.assertEqual(faults.place(SECRET, 7), "?:7")


class HushTests(SyncTestCase):
    def test_nobody_caught(self) -> None:
        """In a process of its own: what no one catches, here, in a thread, in a finalizer, and a
        warning; each is told, none with its text."""
        program = f"""
            import sys, threading, warnings
            from mixminion.util import faults
            faults.hush(lambda text: print(text, file=sys.stderr))
            secret = {SECRET!r}
            def thread(): raise KeyError(secret)
            one = threading.Thread(target=thread, name=secret); one.start(); one.join()
            class Final:
                def __del__(self): raise OSError(secret)
                def __repr__(self): return secret
            Final()
            warnings.warn(secret)
            async def never(secret): pass
            never(secret)
            raise ValueError(secret)
        """
        done = subprocess.run(
            [sys.executable, "-P", "-c", textwrap.dedent(program)], capture_output=True, text=True
        )
        for kind in ("KeyError", "OSError", "UserWarning", "RuntimeWarning", "ValueError"):
            self.assertIn(kind, done.stderr)
        self.assertNotIn(SECRET, done.stdout + done.stderr)
        self.assertEqual(done.returncode, 1)

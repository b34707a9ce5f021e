"""What our code may not use: the global reactor, other clocks and dice, old cryptography."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache

from mixminion.testing.cases import SyncTestCase
from tests.source import Module, dotted, imports, modules, planted, walk

PURE = {
    *("config", "crypto", "counters", "sphinx", "payload"),
    *("mail", "directory", "paths", "mixing"),
}
REACTOR_ROOMS = {"app", "cli"}
MEASURING_ROOMS = {"benchmarks"}

# Who else may, and why.  These lists only shrink.
REACTOR = {"mixminion/testing/smtp.py": "is run as a process of its own"}
CLOCKS = {
    "mixminion/cli/server_init.py": "dates the first certificates; runs no reactor",
    "mixminion/cli/server_certify.py": "dates the next certificates; runs no reactor",
    "mixminion/cli/authority_init.py": "dates the first certificate; runs no reactor",
    "mixminion/cli/authority_certify.py": "dates the next certificate; runs no reactor",
    "mixminion/cli/waiting.py": "waits for another process; runs no reactor",
    "mixminion/testing/commands.py": "waits for processes; runs no reactor",
    "mixminion/testing/trial.py": "says how long the tests took",
    "mixminion/testing/directories.py": "dates a directory; runs no reactor",
    "mixminion/testing/authorities.py": "reads receipts of processes; runs no reactor",
    "mixminion/testing/demo.py": "says how long it took; runs no reactor",
}
DICE = {
    "mixminion/crypto/rng.py": "the generator that everybody else is given",
    "mixminion/benchmarks/spool.py": "fills records",
    "mixminion/testing/commands.py": "tries ports",
}
FOREIGN_CRYPTOGRAPHY = {  # words, at foreign borders only
    "mixminion/exits/dkim.py": {"rsa", "RSA", "RSAPrivateKey"},  # what readers of mail know
    "mixminion/mail/lists.py": {"Content-MD5"},  # a header field of other people's mail
}

CLOCK = re.compile(
    r"time\.(time|monotonic|perf_counter|process_time|clock_gettime)(_ns)?|time\.sleep"
    r"|(datetime\.)?(datetime|date)\.(now|utcnow|today)"
)
RANDOM = re.compile(r"(random|secrets)(\..*)?|os\.(urandom|getrandom)|uuid\.uuid[14]")
OPENS = re.compile(
    r"(socket|subprocess|asyncio|threading|tempfile|shutil|sqlite3|lmdb|OpenSSL"
    r"|twisted\.internet\.(?!interfaces|error)\w+|twisted\.web|twisted\.mail)(\..*)?"
)
FILES = {"read_text", "read_bytes", "write_text", "write_bytes"}
OLD = re.compile(
    r"(?i:.*(?<![a-z])(sha_?-?1(?!\d)|md5).*)"
    r"|(?i:(.*[^a-z])?rsa([^a-z].*)?)|RSA[A-Z]\w*|(?i:.*with_?rsa.*)"
)


@cache
def names(module: Module) -> list[tuple[str, int]]:
    """Every dotted name used or imported, with import aliases undone: (name, line).

    What is asked of a call's result or of another expression begins with a dot.
    """
    nodes = list(walk(module.tree))
    known: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            known |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            known |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    found = list(imports(module))
    for node in nodes:
        if isinstance(node, ast.Attribute | ast.Name):
            first, dot, rest = (dotted(node) or f".{_attribute(node)}").partition(".")
            found.append((known.get(first, first) + dot + rest, node.lineno))
    return found


def _attribute(node: ast.Attribute | ast.Name) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""


def in_functions(module: Module) -> set[int]:
    """The lines that stand inside a function."""
    return {
        line
        for node in walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }


def reactor(module: Module) -> Iterator[int]:
    """The global reactor anywhere but inside a function of an entry point."""
    entrance = module.room in REACTOR_ROOMS or module.path in REACTOR
    inside = in_functions(module) if entrance else set()
    for name, line in names(module):
        if name == "twisted.internet.reactor" and line not in inside:
            yield line


def clock(module: Module) -> Iterator[int]:
    """Time that is not the injected clock's."""
    if module.path not in CLOCKS and module.room not in MEASURING_ROOMS:
        yield from (line for name, line in names(module) if CLOCK.fullmatch(name))


def dice(module: Module) -> Iterator[int]:
    """Randomness that is not the injected generator's."""
    if module.path not in DICE:
        for name, line in names(module):
            if RANDOM.fullmatch(name) and _imported(module, name.partition(".")[0]):
                yield line


def _imported(module: Module, name: str) -> bool:
    """Whether *name* is a module that was imported, and not an argument of that name."""
    return any(imported.partition(".")[0] == name for imported, _ in imports(module))


def opening(module: Module) -> Iterator[int]:
    """Files, sockets, threads, databases or the reactor in a pure room."""
    if module.room in PURE:
        for name, line in names(module):
            if name == "open" or OPENS.fullmatch(name) or name.rpartition(".")[2] in FILES:
                yield line


def inline_callbacks(module: Module) -> Iterator[int]:
    """``inlineCallbacks``, where ``async def`` belongs."""
    for name, line in names(module):
        if name.rpartition(".")[2] in {"inlineCallbacks", "returnValue"}:
            yield line


def old_cryptography(module: Module) -> Iterator[int]:
    """SHA-1, MD5 or RSA, by name or as an algorithm's string."""
    allowed = FOREIGN_CRYPTOGRAPHY.get(module.path, set())
    words = [(part, line) for name, line in names(module) for part in name.split(".")]
    for node in walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            if " " not in text:  # prose may say what we do not use
                words.append((text, node.lineno))
    for word, line in words:
        if OLD.fullmatch(word) and word not in allowed:
            yield line


RULES = (reactor, clock, dice, opening, inline_callbacks, old_cryptography)


def violations(found: Iterable[Module]) -> list[str]:
    """Every broken rule, with its place."""
    return sorted(
        {
            f"{module.path}:{line}: {rule.__doc__}"
            for module in found
            for rule in RULES
            for line in rule(module)
        }
    )


class BanTests(SyncTestCase):
    def test_our_code(self) -> None:
        """Nothing banned is in the package or its plugins."""
        self.assertEqual("\n".join(violations(modules("mixminion", "twisted"))), "")

    def test_the_lists_name_files_that_need_it(self) -> None:
        """An exemption that nobody needs any more is taken off its list."""
        found = {module.path: module for module in modules("mixminion")}
        for exempt, pattern in (
            (REACTOR, re.compile(r"twisted\.internet\.reactor")),
            (CLOCKS, CLOCK),
            (DICE, RANDOM),
            (FOREIGN_CRYPTOGRAPHY, None),
        ):
            for path in exempt:
                self.assertIn(path, found)
                used = pattern is None or any(pattern.fullmatch(n) for n, _ in names(found[path]))
                self.assertTrue(used, path)

    def test_planted(self) -> None:
        """Each rule finds what it is for, in each form."""
        for room, text in (
            ("net", "from twisted.internet import reactor"),
            ("net", "def f():\n    from twisted.internet import reactor"),
            ("net", "import twisted.internet\ntwisted.internet.reactor.run()"),
            ("app", "from twisted.internet import reactor"),
            ("mix", "import time\ntime.time()"),
            ("mix", "from time import monotonic as m\nm()"),
            ("mix", "import datetime as d\nd.datetime.now(d.UTC)"),
            ("mix", "from datetime import datetime\ndatetime.utcnow()"),
            ("mix", "import time\nasync def f():\n    time.sleep(1)"),
            ("mix", "import random"),
            ("mix", "import os\nos.urandom(8)"),
            ("mix", "from os import urandom"),
            ("mix", "import secrets\nsecrets.token_bytes(8)"),
            ("mix", "import uuid\nuuid.uuid4()"),
            ("config", "open('file')"),
            ("config", "from pathlib import Path\nPath('x').read_text()"),
            ("sphinx", "import socket"),
            ("sphinx", "from twisted.internet import defer"),
            ("mix", "from twisted.internet.defer import inlineCallbacks"),
            ("mix", "from twisted.internet import defer\n@defer.inlineCallbacks\ndef f(): yield"),
            ("net", "import hashlib\nhashlib.sha1()"),
            ("net", "import hashlib\nhashlib.new('md5')"),
            ("net", "from cryptography.hazmat.primitives.hashes import SHA1"),
            ("net", "from cryptography.hazmat.primitives.asymmetric import rsa"),
            ("net", "algorithm = 'sha1WithRSA'"),
            ("net", "algorithm = b'ssh-rsa'"),
        ):
            with self.subTest(text=text):
                self.assertTrue(violations([planted(f"mixminion.{room}.x", text)]), text)

    def test_what_is_fine(self) -> None:
        """The rules do not cry at what looks alike."""
        for room, text in (
            ("app", "def f():\n    from twisted.internet import reactor\n    reactor.run()"),
            ("mix", "def f(clock, random):\n    return clock.seconds(), random.octets(8)"),
            ("mix", "import datetime\ndatetime.datetime.fromtimestamp(0, datetime.UTC)"),
            ("sphinx", "import hashlib\nhashlib.sha256()"),
            ("sphinx", "from twisted.internet.interfaces import IReactorTime"),
            ("mix", "universal = version = 'sha128'"),
        ):
            with self.subTest(text=text):
                self.assertEqual(violations([planted(f"mixminion.{room}.x", text)]), [], text)

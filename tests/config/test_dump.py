"""A configuration written out says where all of it comes from, and is the same when read again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mixminion.config import Config, ConfigErrors, dump, option, parse, section, values
from mixminion.config.dump import shown, source
from mixminion.config.secret import SecretSource
from mixminion.config.values import Value
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort

careless: Value[str] = Value("any word", lambda text: text.strip("<>"), lambda text: f"<{text}\n>")
"""A third party's type whose writing cannot be read: a line feed too many."""


@section("Node")
class NodeSection:
    """One key of each type."""

    home: Path = option(values.home, default=".", doc="Where.")
    name: str = option(values.nickname, doc="Who.")
    title: str | None = option(values.text_up_to(40), default=None, doc="What.")
    notes: str = option(values.lines, default="", doc="More.")
    quick: bool = option(values.boolean, default="no", doc="How.")
    count: int = option(values.integer(), default=3, doc="How many.")
    wait: float = option(values.duration, default="90 s", doc="How long.")
    room: int = option(values.size, default="1 GiB", doc="How much.")
    key: Path = option(values.path, default="keys/a", doc="Which.")
    logs: tuple[Path, ...] = option(values.list_of(values.path), default=("a", "b"), doc="Logs.")
    peer: HostPort = option(values.host_port, default="a.example:1", doc="Whom.")
    listen: tuple[HostPort, ...] = option(values.list_of(values.listener), default=(), doc="At.")
    secret: SecretSource | None = option(values.secret, default=None, doc="Hidden.")
    public: bytes | None = option(values.hex_key(), default=None, doc="Open.")
    level: str = option(values.choice("high", "low"), default="low", doc="Which.")
    word: str = option(careless, default="word", doc="A word.")


@section("Exit", named=True)
class ExitSection:
    """An exit."""

    module: str = option(values.text, doc="Which module.")
    tries: int = option(values.integer(1, 9), default=4, doc="How often.")


@section("Exit", named=True)
class OtherSection:
    """A module that declares its own keys only, and says one of the common ones otherwise."""

    tries: int = option(values.integer(1, 99), default=12, doc="How often.")
    relay: HostPort = option(values.host_port, doc="The relay.")
    folder: Path = option(values.path, default="out", doc="Where.")


def resolve(kind: str, name: str, texts: Mapping[str, str]) -> type:
    return OtherSection if texts.get("module") == "other" else ExitSection


def read(text: str, filename: str = "/etc/mix/m.conf") -> Config:
    return parse(
        text, filename=filename, sections=(NodeSection, ExitSection), named_resolver=resolve
    )


def content(config: Config) -> Any:
    """All that a program gets of a configuration."""
    return config.home, config[NodeSection], dict(config.named(ExitSection))


def pairs(config: Config) -> dict[str, tuple[str | None, str]]:
    return {
        f"{each.title} {each.option.key}": (shown(each, config.home), source(each))
        for each in config.settings()
    }


class DumpTests(SyncTestCase):
    def test_sources(self):
        """Each key with its value and its line, or as a default; absent sections, too."""
        config = read("[Exit mail]\nmodule = other\n\nrelay=MX.example:25\n[Node]\nname = a\n")
        found = pairs(config)
        self.assertEqual(found["[Node] name"], ("a", "/etc/mix/m.conf:6"))
        self.assertEqual(found["[Node] wait"], ("90 s", "default"))
        self.assertEqual(found["[Node] title"], (None, "default"))
        self.assertEqual(found["[Exit mail] module"], ("other", "/etc/mix/m.conf:2"))
        self.assertEqual(found["[Exit mail] relay"], ("mx.example:25", "/etc/mix/m.conf:4"))
        self.assertEqual(found["[Exit mail] tries"], ("12", "default"))
        self.assertEqual(
            [each.title for each in config.settings() if each.option.key in ("name", "module")],
            ["[Node]", "[Exit mail]"],
        )
        lines = dump(config).splitlines()
        at = lines.index("relay = mx.example:25")
        self.assertEqual(lines[at - 1], "# /etc/mix/m.conf:4")
        self.assertEqual(lines[lines.index("#title =") - 1], "# default")

    def test_paths(self):
        """Relative paths are shown as what they are, so that the file may lie anywhere."""
        config = read(
            "[Node]\nname=a\nhome=srv\nsecret=file  p\nlogs = x, /y\n"
            "[Exit o]\nmodule=other\nrelay=a:1\n"
        )
        found = pairs(config)
        for key, expected in (
            ("[Node] home", "/etc/mix/srv"),
            ("[Node] key", "/etc/mix/srv/keys/a"),
            ("[Node] logs", "/etc/mix/srv/x, /y"),
            ("[Node] secret", "file /etc/mix/srv/p"),
            ("[Exit o] folder", "/etc/mix/srv/out"),
        ):
            self.assertEqual(found[key][0], expected)
        self.assertEqual(content(read(dump(config), "/tmp/x.conf")), content(config))

    def test_secrets(self):
        """A secret's source is shown, whatever it is, and nothing of it is opened."""
        for text, said in (
            ("file /nowhere/at all", "file /nowhere/at all"),
            ("descriptor 7", "descriptor 7"),
            ("prompt", "prompt"),
        ):
            config = read(f"[Node]\nname=a\nsecret={text}")
            self.assertEqual(pairs(config)["[Node] secret"][0], said)

    def test_what_a_type_cannot_write(self):
        """A value whose own writing is not read as it stands as it was given, or, where it was
        not given, in a comment; the values are the same in either case."""
        for text, line in (("word = one", "word = one"), ("", "#word = <word?>")):
            config = read(f"[Node]\nname=a\n{text}\n")
            self.assertIn(line, dump(config).splitlines())
            self.assertEqual(content(read(dump(config))), content(config))

    def test_odd_folders(self):
        """A folder's name that no file can say does not spoil the rest."""
        for folder in ("/etc/a\nb", "/etc/a, b", "/etc/a ", "/etc/#a"):
            config = read("[Node]\nname=a\nlogs=x\n", f"{folder}/m.conf")
            again = read(dump(config), f"{folder}/other.conf")
            self.assertEqual(content(again), content(config), folder)

    def test_text(self):
        """Texts of several lines, and such as look like something else."""
        for notes in ("one\n  two\n three", "# one\n [two]", "[one]", "one = 1\n\ttwo = 2", ""):
            config = read(f"[Node]\nname=a\nnotes={notes}\n")
            self.assertEqual(content(read(dump(config))), content(config), notes)


PLAIN = st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp", "Zs"])
WORDS = st.text(st.one_of(PLAIN, st.sampled_from(" ,#;=[]/.~\\'\"")), max_size=30)
NUMBERS = st.one_of(
    st.integers(0, 10**15 - 1).map(str),
    st.tuples(st.integers(0, 10**15 - 1), st.integers(0, 999_999)).map(lambda n: f"{n[0]}.{n[1]}"),
    st.sampled_from(["0", "1.5", "0.000001", "999999999999999.999999", "4503599627.370497"]),
)
KEY = st.binary(min_size=32, max_size=32).map(bytes.hex)
TEXTS: dict[str, st.SearchStrategy[str]] = {
    "home": WORDS,
    "title": WORDS,
    "notes": st.lists(WORDS, max_size=4).map("\n ".join),
    "quick": st.sampled_from(["yes", "no"]),
    "count": st.integers(-(10**18) + 1, 10**18 - 1).map(str),
    "wait": st.tuples(
        NUMBERS, st.sampled_from(["ms", "s", "seconds", "min", "h", "hours", "d", "days", "weeks"])
    ).map(" ".join),
    "room": st.tuples(NUMBERS, st.sampled_from(["B", "kB", "KiB", "MB", "GiB", "TB", "TiB"])).map(
        " ".join
    ),
    "key": WORDS,
    "logs": st.lists(WORDS, max_size=3).map(",\n ".join),
    "peer": st.sampled_from(["A.Example:1", "[2001:DB8::0]:80", "192.0.2.1:65535"]),
    "listen": st.sampled_from(["", "0.0.0.0:0,[::]:0", "\n 127.0.0.1:1\n 127.0.0.2:1"]),
    "secret": st.one_of(
        st.sampled_from(["prompt", "descriptor 0", "descriptor  0099"]),
        WORDS.map(lambda path: f"file {path}"),
    ),
    "public": KEY,
    "level": st.sampled_from(["high", "low"]),
    "word": WORDS,
}


@st.composite
def configurations(draw: st.DrawFn) -> str:
    """Texts most of which are configurations."""
    lines = ["[Node]", "name = Mix-1"]
    for key in draw(st.lists(st.sampled_from(sorted(TEXTS)), max_size=6, unique=True)):
        lines.append(f"{key} = {draw(TEXTS[key])}")
    for name in draw(st.lists(st.sampled_from(["a", "b.c", "9"]), max_size=2, unique=True)):
        if draw(st.booleans()):
            lines += [f"[Exit {name}]", "module = other", f"folder = {draw(WORDS)}", "relay = a:1"]
        else:
            lines += [f"[Exit {name}]", f"module = {draw(WORDS)}", "tries = 9"]
    return "\n".join(lines)


class PropertyTests(SyncTestCase):
    def test_again(self):
        """Whatever is a configuration is the same after it was written out, in whatever folder;
        and what is written out twice is the same text but for its places."""
        valid = []

        @settings(max_examples=400, deadline=None)
        @given(configurations())
        @example("[Node]\nname=a\nhome=.\nlogs=\nwait=999999999999999.999999 weeks\nroom=1.5 TiB")
        @example("[Node]\nname=a\nwait=1234567.000001 s\nroom=999999999999999 TiB")
        @example("[Node]\nname=a\nwait=0.000001 ms\nroom=0.001 kB")
        def check(text: str) -> None:
            try:
                config = read(text)
            except ConfigErrors:
                return
            valid.append(text)
            again = read(dump(config), "/srv/other/m.conf")
            self.assertEqual(content(again), content(config))
            self.assertEqual(
                {key: value for key, (value, _) in pairs(again).items()},
                {key: value for key, (value, _) in pairs(config).items()},
            )

        check()
        self.assertGreater(len(valid), 100)

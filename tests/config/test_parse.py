"""From a text to sections, with every error at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.config import BadValue, ConfigErrors, option, parse, section, values
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort


@section("Node")
class NodeSection:
    """A node."""

    home: Path = option(values.home, default=".", doc="Where.")
    name: str = option(values.nickname, doc="Who.")
    key: Path | None = option(values.path, default=None, doc="Which.")
    logs: tuple[Path, ...] = option(values.list_of(values.path), default=("a", "b"), doc="Logs.")
    from_: str = option(values.text, default="nobody", doc="From.")


@section("Ports")
class PortsSection:
    """Ports."""

    listen: tuple[HostPort, ...] = option(
        values.list_of(values.listener), default=("0.0.0.0:48099",), doc="Where."
    )
    low: int = option(values.integer(), default=1, doc="Low.")
    high: int = option(values.integer(), default=2, doc="High.")

    def problems(self) -> Iterator[tuple[str, str]]:
        """Low is below high."""
        if self.low >= self.high:
            yield "high", "expected more than low"


@section("Exit", named=True)
class ExitSection:
    """An exit."""

    module: str = option(values.choice("drop", "smtp"), doc="Which module.")


@section("Exit", named=True)
class SmtpSection:
    """A module's own keys."""

    relay: HostPort = option(values.host_port, doc="The relay.")


SECTIONS = (NodeSection, PortsSection, ExitSection)


def resolve(kind: str, name: str, texts: Mapping[str, str]) -> type:
    module = texts.get("module", "")
    if module == "missing":
        raise BadValue("no such module", key="module")
    return SmtpSection if module == "smtp" else ExitSection


def read(text: str, filename: str = "/etc/mix/m.conf"):
    return parse(text, filename=filename, sections=SECTIONS, named_resolver=resolve)


class ParseTests(SyncTestCase):
    def test_defaults(self):
        """Absent keys and sections take their defaults, read like texts; paths lie in the home."""
        config = read("[Node]\nname = a\n")
        node = config[NodeSection]
        self.assertEqual(config.home, Path("/etc/mix"))
        self.assertEqual(node.logs, (Path("/etc/mix/a"), Path("/etc/mix/b")))
        self.assertIsNone(node.key)
        self.assertEqual(config[PortsSection].listen, (HostPort("0.0.0.0", 48099),))
        self.assertEqual(config.named(ExitSection), {})

    def test_home(self):
        """The home is relative to the file, paths to the home, and full paths stay."""
        for home, key, expected in [
            ("srv", "k", "/etc/mix/srv/k"),
            ("/srv/mix", "k", "/srv/mix/k"),
            ("srv", "/k", "/k"),
            ("..", "k", "/etc/mix/../k"),
        ]:
            config = read(f"[Node]\nname=a\nkey={key}\nhome={home}\n")
            self.assertEqual(str(config[NodeSection].key), expected)
            self.assertEqual(config[NodeSection].home, config.home)

    def test_keyword(self):
        """A key that is a word of Python's has an attribute with an underscore."""
        self.assertEqual(read("[Node]\nname=a\nfrom=me\n")[NodeSection].from_, "me")

    def test_named(self):
        """Named sections come by name, each of the class its module wants."""
        config = read(
            "[Node]\nname=a\n[Exit news]\nmodule=drop\n"
            "[Exit mail]\nmodule=smtp\nrelay=mx.example:25\n"
        )
        exits = config.named(ExitSection)
        self.assertEqual(list(exits), ["news", "mail"])
        self.assertEqual(exits["news"], ExitSection(module="drop"))
        self.assertEqual(exits["mail"], SmtpSection(relay=HostPort("mx.example", 25)))

    def test_frozen(self):
        """A section is a value: nobody changes it later."""
        node = read("[Node]\nname=a\n")[NodeSection]
        self.assertRaises(AttributeError, setattr, node, "name", "b")

    def test_errors(self):
        """Each fault is told with its line, its key and what was expected."""
        for text, line, part in [
            ("", 0, "[Node] name: is missing"),
            ("[Node]\n", 1, "[Node] name: is missing"),
            ("[Node]\nname=1\n", 2, "[Node] name: expected a nickname"),
            ("[Node]\nname=a\nhome=~\n", 3, "[Node] home: ~ is not expanded"),
            ("[Node]\nname=a\nnane=b\n", 3, "[Node] nane: unknown key; did you mean name?"),
            ("[Node]\nname=a\n[Prots]\n", 3, "[Prots]: unknown section; did you mean Ports?"),
            ("[Node x]\n[Node]\nname=a\n", 1, "[Node x]: this section takes no name"),
            ("[Node]\nname=a\n[Exit]\n", 3, "[Exit]: this section needs a name"),
            ("[Node]\nname=a\n[Exit x]\nmodule=missing\n", 4, "[Exit x] module: no such module"),
            ("[Node]\nname=a\n[Exit x]\nmodule=smtp\n", 3, "[Exit x] relay: is missing"),
            ("[Node]\nname=a\n[Exit x]\n", 3, "[Exit x] module: is missing"),
            (
                "[Node]\nname=a\n[Exit x]\nmodule=drop\nrelay=a:1\n",
                5,
                "[Exit x] relay: unknown key",
            ),
            ("[Node]\nname=a\n[Ports]\nlow=1\nhigh=1\n", 5, "[Ports] high: expected more than low"),
            ("[Node]\nname=a\n[Ports]\nlow=3\n", 3, "[Ports] high: expected more than low"),
        ]:
            with self.assertRaises(ConfigErrors, msg=text) as caught:
                read(text)
            (problem,) = caught.exception.problems
            at = f"/etc/mix/m.conf:{line}" if line else "/etc/mix/m.conf"
            self.assertTrue(str(problem).startswith(f"{at}: {part}"), str(problem))

    def test_all_at_once(self):
        """One reading tells every fault, in the order of the file, and the exit code is 78."""
        with self.assertRaises(ConfigErrors) as caught:
            read("[Ports]\nlow=x\nhigh=y\nhgih=1\n[Nodes]\n[Node\n[Exit a]\nmodule=c\n")
        error = caught.exception
        self.assertEqual([p.position.line for p in error.problems], [0, 2, 3, 4, 5, 6, 8])
        self.assertEqual(error.exit_code, 78)
        self.assertEqual(len(render(error).splitlines()), 8)

    def test_anything(self):
        """Whatever the text, it is a configuration or one ConfigErrors."""
        pieces = ["[Node]", "[Ports]", "[Exit a]", "[Exit]", "name", "home", "listen", "relay",
                  "module", "=", "\n", " ", ",", "smtp", "a", "1:2", "~", "\x00",
                  "é", "[", "]"]  # fmt: skip

        @settings(max_examples=150, deadline=None)
        @given(st.lists(st.sampled_from(pieces), max_size=40))
        def check(words: list[str]) -> None:
            try:
                read("".join(words))
            except ConfigErrors as error:
                self.assertTrue(error.problems)

        check()

    def test_problem(self):
        """Who knows more than the file can point into it."""
        config = read("[Node]\nname=a\n[Exit b]\nmodule=drop\n")
        for problem, expected in [
            (config.problem(NodeSection, "name", "x"), "/etc/mix/m.conf:2: [Node] name: x"),
            (config.problem(NodeSection, "key", "x"), "/etc/mix/m.conf:1: [Node] key: x"),
            (config.problem(PortsSection, "low", "x"), "/etc/mix/m.conf: [Ports] low: x"),
            (
                config.problem(ExitSection, "module", "x", "b"),
                "/etc/mix/m.conf:4: [Exit b] module: x",
            ),
        ]:
            self.assertEqual(str(problem), expected)

"""The rooms of the package: imports point downward only, and never in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from mixminion.testing.cases import SyncTestCase
from tests.source import Module, imports, modules, planted, room_of

FOUNDATION = {"errors", "interfaces", "util"}  # every room may import these
LEVEL_1 = {"config", "crypto", "mail", "counters", "disk"}
LEVEL_2 = {"sphinx", "directory", "mixing", "net", "control", "store"}
LEVEL_3 = {"payload", "paths", "queues", "mmtp", "dirhttp"}
LOW = LEVEL_1 | LEVEL_2 | LEVEL_3
APP = LOW | {"authority", "exits", "mix", "client", "api", "agent", "gateway", "nym", "pinger"}

MAY_IMPORT: dict[str, set[str]] = {
    # 0: the foundation, in its own order
    "": set(),
    "errors": set(),
    "interfaces": {"errors"},
    "util": {"errors", "interfaces"},
    # 1
    "config": set(),
    "crypto": set(),
    "mail": set(),
    "counters": set(),
    "disk": {"crypto"},
    # 2
    "sphinx": {"config", "crypto"},
    "directory": {"config", "crypto"},
    "mixing": {"config", "crypto"},
    "net": {"config", "crypto", "counters", "disk"},
    "control": {"config", "disk", "counters"},
    "store": {"config", "disk", "crypto", "counters"},
    # 3
    "payload": {"config", "crypto", "sphinx", "mail"},
    "paths": {"config", "crypto", "directory"},
    "queues": {"config", "store", "counters"},
    "mmtp": {"config", "crypto", "sphinx", "net", "counters"},
    "dirhttp": {"config", "directory", "disk", "net", "counters"},
    # 4
    "authority": LOW - {"sphinx", "store", "mmtp"},
    "exits": {
        *("config", "crypto", "counters", "dirhttp", "disk", "mail", "net"),
        *("payload", "queues", "store"),
    },
    # 5
    "mix": LOW,
    "client": LOW - {"store", "queues"},
    # 6
    "api": {"config", "client"},
    "agent": {"api"} | LEVEL_1 | LEVEL_2,
    "gateway": {"api", "exits", "payload"} | LEVEL_1 | LEVEL_2,
    "nym": {"api", "exits", "payload"} | LEVEL_1 | LEVEL_2,
    "pinger": {"api", "dirhttp"} | LEVEL_1 | LEVEL_2,
    # 7
    "app": APP,
    "cli": {"app", "api", "client", "authority", "control", "config", "directory", "paths", "disk"},
    "__main__": {"cli"},
    "testing": APP | {"app"},
    "simulation": APP | {"app", "testing"},
    "benchmarks": APP | {"app", "testing"},
}

ABSENT_ON_CLIENTS = {"lmdb", "fcntl", "pwd", "grp", "resource"}
CLIENT_ROOMS = {"client", "api", *MAY_IMPORT["client"]} - {"disk", "net"}


def violations(found: Iterable[Module]) -> Iterator[str]:
    """Each import that points upward or sideways, and each room the table does not know."""
    for module in found:
        if module.room not in MAY_IMPORT:
            yield f"{module.path}: the table has no room {module.room}"
            continue
        allowed = MAY_IMPORT[module.room] | {module.room, ""}
        if module.room not in FOUNDATION:
            allowed |= FOUNDATION
        for name, line in imports(module):
            room = room_of(name)
            if name.startswith("mixminion.") and room in MAY_IMPORT and room not in allowed:
                yield f"{module.path}:{line}: {module.room or 'mixminion'} imports {room}"


def circle(found: Iterable[Module]) -> list[str]:
    """A circle of modules that import each other, or nothing."""
    by_name = {module.name: module for module in found}
    graph: dict[str, set[str]] = {}
    for name, module in by_name.items():
        targets = set()
        for imported, _ in imports(module, typing=False):
            target = imported if imported in by_name else imported.rpartition(".")[0]
            if target in by_name and target != name:
                targets.add(target)
        graph[name] = targets
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


class LayerTests(SyncTestCase):
    def test_the_table_is_downward(self) -> None:
        """The table itself has no circle and names only rooms that it has."""
        TopologicalSorter(MAY_IMPORT).prepare()
        self.assertLessEqual(set().union(*MAY_IMPORT.values()), set(MAY_IMPORT))

    def test_imports_point_downward(self) -> None:
        """No module imports a room above or beside its own."""
        self.assertEqual("\n".join(violations(modules("mixminion"))), "")

    def test_no_circles(self) -> None:
        """No module imports, through others, itself; wherever the import stands."""
        self.assertEqual(circle(modules("mixminion")), [])

    def test_client_rooms_load_anywhere(self) -> None:
        """The client's rooms load where these modules are absent."""
        wrong = [
            f"{module.path}:{line}: {name}"
            for module in modules("mixminion")
            if module.room in CLIENT_ROOMS
            for name, line in imports(module)
            if name.partition(".")[0] in ABSENT_ON_CLIENTS
        ]
        self.assertEqual(wrong, [])

    def test_a_planted_violation_is_found(self) -> None:
        """In every form an import can have, and in a room nobody knows."""
        for text in (
            "import mixminion.mix.server",
            "from mixminion import mix",
            "from mixminion.mix import server",
            "from ..mix import server",
            "def later():\n    from mixminion.mix.server import Server",
            "if TYPE_CHECKING:\n    import mixminion.mix",
        ):
            bad = planted("mixminion.sphinx.build", text)
            self.assertEqual(len(list(violations([bad]))), 1, text)
        self.assertEqual(len(list(violations([planted("mixminion.attic.old", "")]))), 1)
        good = planted("mixminion.sphinx.build", "from mixminion.crypto import kem, lioness")
        self.assertEqual(list(violations([good])), [])

    def test_a_planted_circle_is_found(self) -> None:
        """Also when one of its imports is inside a function; not when it is for types alone."""
        one = planted("mixminion.sphinx.one", "from mixminion.sphinx import two")
        late = "def f():\n    from mixminion.sphinx.one import x"
        self.assertTrue(circle([one, planted("mixminion.sphinx.two", late)]))
        typed = "if TYPE_CHECKING:\n    from mixminion.sphinx.one import x"
        self.assertEqual(circle([one, planted("mixminion.sphinx.two", typed)]), [])

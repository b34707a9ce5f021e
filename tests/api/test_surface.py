"""The API is what it was: what a program may use goes only after it was deprecated."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from mixminion import api
from mixminion.testing.cases import SyncTestCase
from tests.api.surface import ALLOWED, RECORD, broken, surface
from tests.source import ROOT

PAGE = ROOT / "doc" / "develop" / "api.rst"


class SurfaceTests(SyncTestCase):
    def setUp(self) -> None:
        self.recorded: Any = json.loads(RECORD.read_text())

    def test_nothing_is_missing(self) -> None:
        """A program that was written for the recorded API runs with this one; what was deprecated
        long enough is on the list of what may go."""
        allowed = json.loads(ALLOWED.read_text())
        problems = [each for each in broken(self.recorded, surface()) if each not in allowed]
        self.assertEqual(problems, [])

    def test_planted(self) -> None:
        """Each kind of change that would hurt somebody is found, and additions are none."""
        send = self.recorded["names"]["Client"]["has"]["send"]["signature"]["parameters"]
        at = {each["name"]: n for n, each in enumerate(send)}

        def signature(new: Any) -> Any:
            return new["names"]["Client"]["has"]["send"]["signature"]

        changes: list[Callable[[Any], object]] = [
            lambda new: new["names"].pop("Sent"),
            lambda new: new["names"]["Sent"]["fields"].pop("delay"),
            lambda new: new["names"]["Sent"]["fields"].update(delay="int"),
            lambda new: new["names"]["Kind"]["members"].pop("REPLY"),
            lambda new: new["names"]["Client"]["has"].pop("flush"),
            lambda new: new["events"].remove("Kept"),
            lambda new: new["errors"].pop("not-sent"),
            lambda new: new["errors"].update({"not-sent": 1}),
            lambda new: new["names"]["NotHandedOver"].update(code="other"),
            lambda new: signature(new)["parameters"].pop(at["subject"]),
            lambda new: signature(new)["parameters"][at["subject"]].update(default=None),
            lambda new: signature(new)["parameters"][at["subject"]].update(type="int"),
            lambda new: signature(new)["parameters"].reverse(),
            lambda new: signature(new).update(waits=False),
            lambda new: signature(new)["parameters"].append(
                {"name": "more", "kind": "KEYWORD_ONLY", "type": "int", "default": None}
            ),
        ]
        for number, change in enumerate(changes):
            new = copy.deepcopy(self.recorded)
            change(new)
            self.assertNotEqual(broken(self.recorded, new), [], number)
        new = copy.deepcopy(self.recorded)
        new["names"]["More"] = {"kind": "other"}
        new["events"].append("More")
        new["errors"]["more"] = 1
        new["names"]["Sent"]["fields"]["more"] = "int"
        signature(new)["parameters"].append(
            {"name": "more", "kind": "KEYWORD_ONLY", "type": "int", "default": "1"}
        )
        self.assertEqual(broken(self.recorded, new), [])

    def test_names(self) -> None:
        """Everything that is exported is there, once, in order."""
        self.assertEqual(sorted(set(api.__all__)), sorted(api.__all__))

    def test_page(self) -> None:
        """The rule is written down, with the command and the version."""
        page = PAGE.read_text()
        self.assertIn("tests.api.surface --record", page)
        self.assertIn(RECORD.name, page)

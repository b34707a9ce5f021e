"""Events for programs: each has a form, and the form is what the schema says."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, get_args

from mixminion.client.events import to_json
from mixminion.client.progress import (
    Asked,
    AskingForKey,
    BlockPassedOver,
    BlocksMade,
    BlocksUsed,
    Compared,
    Deleted,
    Encrypted,
    Event,
    Fetching,
    Finding,
    HandedOver,
    InFragments,
    Kept,
    KeptLong,
    LeftOut,
    PathChosen,
    Sent,
    Warned,
)
from mixminion.dirhttp.errors import NoDirectory
from mixminion.paths.deviations import Deviation
from mixminion.testing.cases import SyncTestCase
from tests.client.schema import Schema
from tests.source import ROOT

SCHEMA = ROOT / "doc" / "use" / "status-fd.schema.json"
WARNING = Deviation("path-length", "It stands out.")
PATH: Any = (SimpleNamespace(nickname="mix1"), SimpleNamespace(nickname="mix4"))

EXAMPLES: tuple[tuple[Event, dict[str, Any]], ...] = (
    (LeftOut(("From",)), {"event": "left-out", "fields": ["From"]}),
    (Fetching(), {"event": "fetching"}),
    (
        Asked("https://127.1.0.1/", "consensus", None),
        {
            "event": "asked",
            "source": "https://127.1.0.1/",
            "document": "consensus",
            "error": None,
        },
    ),
    (
        Asked("x", "consensus", NoDirectory()),
        {"event": "asked", "source": "x", "document": "consensus", "error": "no-directory"},
    ),
    *(
        (Compared("x", each), {"event": "compared", "source": "x", "finding": each.value})
        for each in Finding
    ),
    (
        Warned(WARNING),
        {"event": "warned", "code": "path-length", "sentence": "It stands out."},
    ),
    (
        PathChosen(PATH, (WARNING,)),
        {
            "event": "path-chosen",
            "path": ["mix1", "mix4"],
            "warnings": [{"code": "path-length", "sentence": "It stands out."}],
        },
    ),
    (
        AskingForKey("net", "https://example.org/", tells=True),
        {
            "event": "asking-for-key",
            "source": "net",
            "where": "https://example.org/",
            "tells": True,
        },
    ),
    *(
        (
            Encrypted(address, "aa bb", verified=False, changed=True),
            {
                "event": "encrypted",
                "address": address,
                "fingerprint": "aa bb",
                "verified": False,
                "changed": True,
            },
        )
        for address in (None, "alice@example.org")
    ),
    (
        KeptLong(2, 1_800_000_000),
        {"event": "kept-long", "packets": 2, "since": "2027-01-15T08:00:00Z"},
    ),
    (
        Deleted(2, 1_800_000_000),
        {"event": "deleted", "packets": 2, "since": "2027-01-15T08:00:00Z"},
    ),
    (
        BlockPassedOver(2, "used before"),
        {"event": "block-passed-over", "block": 2, "why": "used before", "early": False},
    ),
    (
        BlocksMade("bob", "bob@example.org", (bytes(16), b"a" * 16), 1_800_000_000),
        {
            "event": "blocks-made",
            "identity": "bob",
            "address": "bob@example.org",
            "handles": ["00" * 16, "61" * 16],
            "not-after": "2027-01-15T08:00:00Z",
        },
    ),
    (BlocksUsed(1, 3), {"event": "blocks-used", "used": 1, "left": 3}),
    (InFragments(7, 4), {"event": "in-fragments", "packets": 7, "needed": 4}),
    (HandedOver(3, 7), {"event": "handed-over", "packets": 3, "of": 7}),
    (Kept(1), {"event": "kept", "id": 1}),
    (
        Sent(1, "mix1", ("mix1", "mix4"), 2.5, 1_800_000_000.5),
        {
            "event": "sent",
            "id": 1,
            "entry": "mix1",
            "path": ["mix1", "mix4"],
            "packets": 1,
            "handed": True,
            "delay": 2.5,
            "expected": "2027-01-15T08:00:00Z",
        },
    ),
)


class EventTests(SyncTestCase):
    def setUp(self) -> None:
        self.text = json.loads(SCHEMA.read_text("utf-8"))
        self.schema = Schema(self.text)

    def test_forms(self) -> None:
        """Every kind of event has the form that is promised, which the schema knows."""
        self.assertEqual({type(event) for event, _ in EXAMPLES}, set(get_args(Event)))
        for event, form in EXAMPLES:
            self.assertEqual(to_json(event), form)
            self.assertEqual(self.schema.errors(form), [], form)

    def test_schema(self) -> None:
        """It has those events and the last line, and no others; a member that is missing or
        something else is found."""
        events = {form["event"] for _, form in EXAMPLES} | {"ended"}
        listed = {each["$ref"].removeprefix("#/$defs/") for each in self.text["oneOf"]}
        self.assertEqual(listed, events)
        for name in listed:
            definition = self.text["$defs"][name]
            self.assertEqual(definition["properties"]["event"], {"const": name})
            self.assertEqual(set(definition["required"]), set(definition["properties"]))
        for _, form in EXAMPLES:
            for member in form:
                less = {name: value for name, value in form.items() if name != member}
                self.assertNotEqual(self.schema.errors(less), [], less)
                self.assertNotEqual(self.schema.errors(form | {member: object()}), [], member)
        self.assertNotEqual(self.schema.errors({"event": "unheard-of"}), [])

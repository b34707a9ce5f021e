"""Faults planted in real parsers, one or more for each family of targets, are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.x509 import AuthorityKeyIdentifier
from twisted.logger import Logger

from mixminion.client import blocks_text
from mixminion.config import ini, values
from mixminion.control import wire
from mixminion.directory import parts
from mixminion.dirhttp.resource import DocumentsResource
from mixminion.dirhttp.site import QuietChannel
from mixminion.exits import record
from mixminion.exits.smtp_session import Session
from mixminion.mail import fields, transfer
from mixminion.mmtp import asking, receiving, sending, serving
from mixminion.net import certificates
from mixminion.paths import language
from mixminion.payload import deflate, message
from mixminion.payload.fragments import Whole
from mixminion.sphinx import slots
from mixminion.store import pages
from mixminion.store.keyring import Keyring
from mixminion.testing.cases import SyncTestCase
from mixminion.util import armor
from mixminion.util.hostport import HostPort
from tests.fuzz.driver import fuzz
from tests.fuzz.targets import TARGETS

log = Logger()

BUDGET = 100_000
"""Inputs, as many as ``make fuzz`` spends on a target."""


@dataclass(frozen=True)
class Plant:
    """A function of the package and what is done wrong in it: before it does its work, or
    *instead*."""

    target: str
    owner: Any
    name: str
    fault: Callable[..., object]
    found: str = "IndexError"
    instead: bool = False


def fail_if(found: bool) -> None:
    """What an index out of range would do."""
    if found:
        raise IndexError


def loop_while(found: bool) -> None:
    """A loop whose condition nothing changes."""
    while found:
        pass


def tell(self: object, request: Any) -> None:
    """What a careless line of log would do."""
    if request.uri.count(b"%") > 1:
        log.info("asked for {path}", path=request.uri.decode("latin-1"))


def unsigned(certificate: Any) -> certificates.Signing:
    """A signing certificate as it says of itself, its signature not looked at."""
    kind = AuthorityKeyIdentifier
    identity = certificate.extensions.get_extension_for_class(kind).value.key_identifier
    public = certificates.public_key(certificate)
    return certificates.Signing(identity, public, *certificates.dates(certificate))


PIECE = 24

PLANTS = (
    Plant("slot", slots, "_parse_reply", lambda delay, slot: fail_if(slot[23] > 0xF0)),
    Plant("sealed-x25519", slots, "_parse_reply", lambda delay, slot: fail_if(slot[23] > 200)),
    Plant("message", message, "is_address", lambda octets: fail_if(len(octets) == 256)),
    Plant("fragment", Whole, "data", lambda self, block: fail_if(block > 9 and self.coding)),
    Plant(
        "deflated",
        deflate.Inflater,
        "finish",
        lambda self: fail_if(self._expander.eof and self._left == 1),
    ),
    Plant(
        "record", record, "_text", lambda octets, at, n: 1 // (n == 1 or at < 256), "ZeroDivision"
    ),
    Plant(
        "store-rows",
        Keyring,
        "open",
        lambda self, place, bound, wrapped, sealed: fail_if(bound[7:8] == b"\x07"),
    ),
    Plant(
        "store-file",
        pages,
        "_offsets",
        lambda octets, number, kind: fail_if(octets[13] > 1),
    ),
    Plant(
        "mmtp-receiving",
        receiving,
        "parse_header",
        lambda octets, at: fail_if(octets[at + 4] > 0x80),
    ),
    Plant("fetch-serving", serving, "parse_request", lambda octets: fail_if(octets[4] > 0x80)),
    Plant("fetch-asking", asking, "_continues", lambda begun, frame, have: fail_if(have > PIECE)),
    Plant(
        "mmtp-sending",
        sending,
        "parse_answer",
        lambda octets: loop_while(octets[0] == 2 and octets[8:12] == b"\xff" * 4),
        "more than 0.5 s",
    ),
    Plant(
        "descriptor",
        parts,
        "ip_network",
        lambda text: fail_if(text.startswith("2") and "/" not in text),
    ),
    Plant("consensus", HostPort, "__str__", lambda self: fail_if(len(self.host) > 30)),
    Plant(
        "mail-outgoing",
        fields,
        "_field",
        lambda line: fail_if(line.startswith(b"Subject:") and line.endswith(b"=?")),
    ),
    Plant(
        "mail-parts",
        transfer,
        "_relabelled",
        lambda head, label: fail_if(b"binary" in head and head.count(b"\r\n") > 3),
    ),
    Plant(
        "reply-blocks",
        blocks_text,
        "_split",
        lambda octets: fail_if(octets.count(b"\1\2") > 4),
    ),
    Plant("armor", armor, "_block", lambda kind, inside: fail_if(inside.count("") > 9)),
    Plant(
        "path",
        language,
        "_element",
        lambda text, at: loop_while(text[at : at + 4] == "~255"),
        "more than 0.5 s",
    ),
    Plant(
        "config-value",
        values,
        "_measure",
        lambda text, units: text.startswith("9") and text.endswith("TiB") and bytes(2**32),
        "MemoryError",
    ),
    Plant(
        "server-config", ini, "_header", lambda line, at: fail_if("]" in line[:-1] and "x" in line)
    ),
    Plant(
        "control-request",
        wire,
        "encode",
        lambda fields: fail_if(fields.get("answer", {}).get("got", 1) == {}),
        "ContentsLogged: a failure was logged",
    ),
    Plant(
        "http-request",
        QuietChannel,
        "allHeadersReceived",
        lambda self: fail_if(self.length and self.length > 250),
    ),
    Plant("http-request", DocumentsResource, "render", tell, "ContentsLogged"),
    Plant(
        "smtp",
        Session,
        "lineReceived",
        lambda self, line: fail_if(line.startswith(b"25") and line[3:] == b"-"),
    ),
    Plant("chain", certificates, "read_signing", unsigned, "AssertionError", instead=True),
    Plant(
        "signing-certificate",
        certificates,
        "public_key",
        lambda certificate: fail_if(certificate.serial_number.bit_length() < 60),
    ),
)


def faulty(plant: Plant) -> Callable[..., Any]:
    """The function with its fault."""
    real = getattr(plant.owner, plant.name)

    def function(*arguments: Any, **named: Any) -> Any:
        result = plant.fault(*arguments, **named)
        return result if plant.instead else real(*arguments, **named)

    return function


class PlantedTests(SyncTestCase):
    """One test for each plant: see below."""

    def check(self, plant: Plant) -> None:
        """The driver finds the fault before the budget is spent."""
        self.patch(plant.owner, plant.name, faulty(plant))
        report = fuzz(TARGETS[plant.target], BUDGET, most=1)
        self.flushLoggedErrors(IndexError)
        self.assertEqual([plant.found in each.problem for each in report.findings], [True], report)


def _test(plant: Plant) -> object:
    def test(self: PlantedTests) -> None:
        self.check(plant)

    test.__doc__ = f"A fault in {plant.name} is found by {plant.target}."
    return test


for _plant in PLANTS:
    _name = f"test_{_plant.target}_{_plant.name}".replace("-", "_")
    setattr(PlantedTests, _name, _test(_plant))

"""What the quick way of reading documents relies on."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import inspect

from mixminion.directory import canonical, documents
from mixminion.directory.certificate import KeyCertificate
from mixminion.directory.consensus import Consensus
from mixminion.directory.descriptor import Descriptor
from mixminion.directory.detached import Detached
from mixminion.directory.diff import Difference
from mixminion.directory.digests import Digests
from mixminion.directory.documents import Document
from mixminion.directory.envelope import Envelope
from mixminion.directory.errors import BadDocument
from mixminion.directory.keydoc import KeyDocument
from mixminion.directory.receipt import Receipt
from mixminion.directory.vote import Vote
from mixminion.testing.cases import SyncTestCase

KINDS = (
    *(Consensus, Descriptor, Detached, Difference, Digests, KeyCertificate, KeyDocument, Receipt),
    Vote,
    Envelope,
)
CHECKED = {("HostPort", "port"), *((kind.__name__, "version") for kind in KINDS)}
"""Integers that are checked one by one."""
UNTYPED = {("Exit", "policy"), *(("Difference", name) for name in ("set", "changes", "added"))}
"""Members that may be anything, which :meth:`Document.untyped` gives out."""


def members(kind: inspect.Type, seen: set[type]) -> Iterator[tuple[str, str, inspect.Type]]:
    """Struct, member and plain type of everything below *kind*."""
    if isinstance(kind, inspect.StructType | inspect.DataclassType) and kind.cls not in seen:
        seen.add(kind.cls)
        for each in kind.fields:
            for leaf in leaves(each.type):
                yield kind.cls.__name__, each.name, leaf
                yield from members(leaf, seen)


def leaves(kind: inspect.Type) -> Iterator[inspect.Type]:
    """What a type is made of."""
    if isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from leaves(each)
    elif isinstance(kind, inspect.VarTupleType):
        yield from leaves(kind.item_type)
    else:
        yield kind


class Strange(Document, frozen=True, kw_only=True):
    """A document with every kind of trap for a quick reader."""

    version: int = documents.written(1)
    number: documents.Count = 7
    anything: object = "x"

    def untyped(self) -> Iterator[object]:
        yield self.anything


class QuickTests(SyncTestCase):
    """Nothing passes that the long way would refuse."""

    def test_types(self):
        """Members of our documents can hold canonical values only: no fractions, no integer
        beyond 2**53 - 1, nothing untyped but what is looked at."""
        seen: set[type] = set()
        allowed = (
            inspect.StrType,
            inspect.BytesType,
            inspect.BoolType,
            inspect.StructType,
            inspect.DataclassType,
            inspect.EnumType,
            inspect.NoneType,
        )
        found = [each for kind in KINDS for each in members(inspect.type_info(kind), seen)]
        self.assertGreater(len(found), 80)
        for struct, name, kind in found:
            where = (struct, name)
            if isinstance(kind, inspect.IntType) and where not in CHECKED:
                self.assertLessEqual(kind.le or 2**64, canonical.GREATEST, where)
                self.assertGreaterEqual(-1 if kind.ge is None else kind.ge, 0, where)
            elif where not in CHECKED | UNTYPED:
                self.assertIsInstance(kind, allowed, where)

    def test_refused(self):
        """Each of these is one octet string that decodes and is not canonical."""
        for octets in (
            b'{"anything":1.5,"version":1}',
            b'{"anything":null,"version":1}',
            b'{"anything":{"a":null},"version":1}',
            b'{"anything":9007199254740992,"version":1}',
            b'{"number":8, "version":1}',
            b'{"version":1,"number":8}',
            b'{"number":08,"version":1}',
            b'{"number":8,"number":8,"version":1}',
            b'{"anything":"\\u0041","version":1}',
            b'{"anything":' + b"[" * 9 + b"]" * 9 + b',"version":1}',
            b'{"anything":' + b"[" * 10**5 + b"]" * 10**5 + b',"version":1}',
            b'{"anything":"\xff","version":1}',
        ):
            with self.subTest(octets=octets[:60]):
                self.assertRaises(BadDocument, self.read, octets)

    def test_read(self):
        """And these are canonical, whichever way they take."""
        for value in (
            {"anything": [1, [2, {"a": True}]], "version": 1},
            {"anything": {"\U0001f407": 1, "\ue000": 2}, "version": 1},
            {"number": 8, "other": "ignored", "version": 1},
            {"number": 7, "version": 1},
        ):
            octets = canonical.encode(value)
            self.assertEqual(msgspec.to_builtins(self.read(octets))["version"], 1)

    def read(self, octets: bytes) -> Strange:
        return documents.decode(Strange, octets, name="strange", version=1, limit=10**6)

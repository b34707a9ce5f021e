"""Receipts and what asks for them, as they are frozen and as they are not."""

from __future__ import annotations

from mixminion.payload import receipt
from mixminion.payload.errors import BadPayload
from mixminion.payload.receipt import Outcome, Receipt
from mixminion.testing.cases import SyncTestCase
from tests import vectors


class ReceiptTests(SyncTestCase):
    def setUp(self) -> None:
        self.frozen = vectors.load("payload/receipts.json")

    def test_receipts(self) -> None:
        """What an exit says is read as it was meant, its date to the hour."""
        for case in self.frozen["receipts"]:
            content = bytes.fromhex(case["content"])
            wanted = Receipt(
                bytes.fromhex(case["id"]), Outcome(case["outcome"]), case["date"], case["reason"]
            )
            self.assertTrue(receipt.is_receipt(content))
            self.assertEqual(Receipt.parse(content), wanted)
            self.assertEqual(wanted.encode(), content)

    def test_no_receipts(self) -> None:
        """Whatever follows another form is none."""
        for case in self.frozen["bad"]:
            error = self.assertRaises(BadPayload, Receipt.parse, bytes.fromhex(case["content"]))
            self.assertEqual(error.problem, case["problem"], case["what"])

    def test_asking(self) -> None:
        """The reply blocks come first, and the message begins behind them."""
        for case in self.frozen["asking"]:
            coded = bytes.fromhex(case["coded"])
            blocks, begin = receipt.asked(coded)
            self.assertEqual([each.hex() for each in blocks], case["blocks"])
            self.assertEqual(coded[begin:].hex(), case["message"])
            self.assertEqual(receipt.asking(blocks), coded[:begin])

    def test_not_asking(self) -> None:
        """None, too many, or cut off."""
        for case in self.frozen["not asking"]:
            error = self.assertRaises(BadPayload, receipt.asked, bytes.fromhex(case["coded"]))
            self.assertEqual(error.problem, case["problem"])
        self.assertRaises(ValueError, receipt.asking, [])
        self.assertRaises(ValueError, receipt.asking, [b"x"] * 5)

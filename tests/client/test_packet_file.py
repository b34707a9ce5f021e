"""Packets in a file: what is written is read, and nothing else is."""

from mixminion.client.outbox_errors import NotPackets
from mixminion.client.packet_file import Carried, encode, parse
from mixminion.testing.cases import SyncTestCase

PACKETS = [Carried(bytes([n]) * 32, 2**40 + n, bytes([n]) * 100) for n in range(3)]


class PacketFileTests(SyncTestCase):
    def test_round(self):
        """Entries, periods and octets, in order."""
        self.assertEqual(parse(encode(PACKETS)), PACKETS)

    def test_form(self):
        """As the specification has it."""
        octets = encode(PACKETS[:1])
        self.assertEqual(octets[:16], b"mixminion packet")
        self.assertEqual(octets[16:28].hex(), "01000000" + "00000064" + "00000001")
        self.assertEqual(octets[28:60], bytes(32))
        self.assertEqual(octets[60:68], (2**40).to_bytes(8))
        self.assertEqual(len(octets), 28 + 40 + 100 + 32)

    def test_wrong(self):
        """Every cut, every changed octet, and another version."""
        octets = encode(PACKETS)
        for n in range(len(octets)):
            with self.assertRaises(NotPackets):
                parse(octets[:n])
            with self.assertRaises(NotPackets):
                parse(octets[:n] + bytes([octets[n] ^ 1]) + octets[n + 1 :])
        with self.assertRaises(NotPackets):
            parse(octets + b"\0")
        with self.assertRaises(NotPackets) as caught:
            parse(octets[:16] + b"\2" + octets[17:])
        self.assertIn("version 2", caught.exception.fields["why"])

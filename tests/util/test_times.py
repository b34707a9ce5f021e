"""Times in RFC 3339."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.testing.cases import SyncTestCase
from mixminion.util import times


class TimesTests(SyncTestCase):
    def test_known(self):
        """Known instants, rounded down to the second."""
        for seconds, text in [
            (0, "1970-01-01T00:00:00Z"),
            (951782400.999, "2000-02-29T00:00:00Z"),
            (-0.5, "1969-12-31T23:59:59Z"),
            (253402300799, "9999-12-31T23:59:59Z"),
        ]:
            self.assertEqual(times.to_text(seconds), text)

    def test_there_and_back(self):
        """Every second of these four millennia survives the round trip."""

        @settings(max_examples=100, deadline=None)
        @given(st.integers(-30000000000, 253402300799))
        def check(seconds: int) -> None:
            self.assertEqual(times.from_text(times.to_text(seconds)), seconds)

        check()

    def test_bad(self):
        """Any other way to write a time is refused."""
        for text in [
            "", "2026-11-23", "2026-11-23 08:00:00Z", "2026-11-23T08:00:00", "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z", "2026-11-23T08:00:00+00:00", "2026-11-23T08:00:00.0Z",
            "2026-11-23T24:00:00Z", "2026-11-23T08:00:60Z", "2026-11-23T08:00:00Z\n",
            "٢026-11-23T08:00:00Z",
        ]:  # fmt: skip
            self.assertRaises(ValueError, times.from_text, text)

"""Frozen vectors: what each file has is in README.rst."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def load(name: str) -> Any:
    """The contents of a file of this folder."""
    return json.loads((Path(__file__).parent / name).read_text("ascii"))

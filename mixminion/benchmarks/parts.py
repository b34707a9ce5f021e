"""What the programs of a benchmark share."""

from __future__ import annotations

import time
from pathlib import Path

from mixminion.client import configuration
from mixminion.client.configuration import DirectorySection
from mixminion.directory.view import View
from mixminion.dirhttp.cache import DocumentCache
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx.geometry import Geometry


def view_of(folder: Path) -> View:
    """The directory of the local network in *folder*."""
    config = configuration.load(folder / "client" / "mixminion.conf")
    cache = DocumentCache(config[DirectorySection].identities, folder / "mix1" / "directory")
    cache.load(time.time())
    return cache.view(time.time())


def geometry_of(view: View) -> Geometry:
    """The sizes of its packets now."""
    return geometries.of(view.geometry)

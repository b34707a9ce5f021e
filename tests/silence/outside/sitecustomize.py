"""Python runs this in every process that has this folder in its path: here it counts in workers
and authorities only, which have no exit modules."""

import os
import sys
from importlib import import_module
from pathlib import Path

if "mixminion.app.worker" in sys.orig_argv and "LOUD" in os.environ:
    from mixminion.mix.unwrapping import Unwrapping

    def unwrap_one(tries, packet):
        if Path(os.environ["LOUD"], "worker").exists():
            raise ValueError(packet[:64].hex(), packet[:64])
        return original(tries, packet)

    original = Unwrapping._unwrap_one
    setattr(Unwrapping, "_unwrap_one", staticmethod(unwrap_one))  # noqa: B010

if "mixminion-authority" in sys.orig_argv and "LOUD" in os.environ:
    import_module("loud").begin()

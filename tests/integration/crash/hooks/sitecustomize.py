"""Python runs this at the start of every process of the laboratory: servers get their steps."""

import os
import sys

if "CRASH_FOLDER" in os.environ and any("twistd" in word for word in sys.orig_argv):
    from tests.integration.crash import steps

    steps.install()

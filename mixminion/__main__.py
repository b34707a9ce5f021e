"""``python -m mixminion`` is ``mixminion``."""

import sys

from mixminion.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

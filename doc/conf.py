"""Sphinx's configuration; ``make docs`` builds into ``build/docs``."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from mixminion import __version__  # noqa: E402

project = "Mixminion"
author = "The Mixminion developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = [path.stem for path in sorted((HERE / "_ext").glob("*.py"))]
exclude_patterns = ["_ext"]
nitpicky = True
html_theme = "alabaster"
html_theme_options = {"description": "An anonymous remailer", "page_width": "60rem"}
html_show_sourcelink = False

man_pages = [("man/mixminion", "mixminion", "anonymous remailer", [author], 1)]

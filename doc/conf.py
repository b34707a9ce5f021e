"""Sphinx's configuration; ``make docs`` builds into ``build/docs``."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from mixminion import __version__  # noqa: E402
from mixminion.cli.main import COMMANDS  # noqa: E402

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


def _described(page: str) -> str:
    """The line that ``man -k`` shows."""
    said = COMMANDS.get(page.removeprefix("mixminion-"))
    return "anonymous remailer" if said is None else said.rstrip(".").lower()


man_pages = [
    (f"man/{path.stem}", path.stem, _described(path.stem), [author], 1)
    for path in sorted((HERE / "man").glob("mixminion*.rst"))
]

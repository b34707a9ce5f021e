"""A configuration written out: every value that holds, and where it comes from.

It is a configuration file again, from which the same values are read: paths are shown as what
they resolve to, and what a file cannot say stands in a comment.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mixminion.config import ini
from mixminion.config.errors import BadValue
from mixminion.config.parse import Config, Setting

DEFAULT = "default"
_INDENT = "    "


def dump(config: Config) -> str:
    """The text of a file from which *config*'s values are read, wherever it is put."""
    lines = [f"# All that holds with {_printable(config.filename)}"]
    title = ""
    for setting in config.settings():
        if setting.title != title:
            title = setting.title
            lines += ["", title]
        lines += _lines(setting, config.home)
    return "\n".join(lines) + "\n"


def shown(setting: Setting, home: Path) -> str | None:
    """The value as a file says it, or, where none can say it, as its type writes it; None where
    there is no value."""
    if setting.value is None:
        return None
    return _written(setting, home) or setting.option.value.render(setting.value)


def source(setting: Setting) -> str:
    """``FILE:LINE``, or ``default``."""
    return DEFAULT if setting.position is None else str(setting.position)


def _lines(setting: Setting, home: Path) -> Iterator[str]:
    key, text = setting.option.key, _written(setting, home)
    yield f"# {_printable(source(setting))}"
    if text is None:
        yield f"#{key} = {_printable(shown(setting, home) or '')}".rstrip()
    else:
        yield from _entry(key, text)


def _written(setting: Setting, home: Path) -> str | None:
    """What stands behind the key for the value to be read, lines separated by line feeds: as its
    type writes it; failing that (a comma in a path of a list) as it was given.  None where there
    is no value, or none that a file can say."""
    if setting.value is None:
        return None
    for text in (setting.option.value.render(setting.value), setting.text):
        if text is not None and _says(text, setting, home):
            return text
    return None


def _entry(key: str, text: str) -> Iterator[str]:
    first, *rest = text.split("\n")
    yield f"{key} = {first}".rstrip()
    yield from (_INDENT + line for line in rest)


def _says(text: str, setting: Setting, home: Path) -> bool:
    """Whether *text*, in a file, is read as the value."""
    option = setting.option
    blocks, problems = ini.read("\n".join(("[X]", *_entry(option.key, text))), "")
    if problems or list(blocks[0].entries) != [option.key]:
        return False
    try:
        value = option.value.read(blocks[0].entries[option.key].text)
    except BadValue:
        return False
    return bool(option.value.place(value, home) == setting.value)


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)

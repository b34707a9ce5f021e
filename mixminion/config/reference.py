"""The reference of a section's keys, in reStructuredText, from the section's class."""

from __future__ import annotations

from collections.abc import Container, Iterator

from mixminion.config.schema import Option, info


def reference(section: type, *, title: str | None = None, without: Container[str] = ()) -> str:
    """Heading, meaning, and every key of *section* with type, default and meaning.

    *title* replaces ``[Kind]``; keys in *without* are left out.
    """
    found = info(section)
    heading = title or (f"[{found.kind} NAME]" if found.named else f"[{found.kind}]")
    lines = [heading, "-" * len(heading), "", found.doc, ""]
    for option in found.options.values():
        if option.key not in without:
            lines += _key(option)
    return "\n".join(lines)


def _key(option: Option) -> Iterator[str]:
    yield f"``{option.key}``"
    yield f"    Type: {option.value.expected}.  {_default(option)}"
    yield ""
    yield f"    {option.doc}"
    yield ""


def _default(option: Option) -> str:
    if option.required:
        return "Required."
    if option.default is None:
        return "No default."
    rendered = option.value.render(option.default)
    return f"Default: ``{rendered}``." if rendered else "Default: empty."

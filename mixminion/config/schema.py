"""Sections as frozen dataclasses: ``@section("Incoming")`` over fields made by :func:`option`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform, overload

from mixminion.config.values import Value

T = TypeVar("T")
C = TypeVar("C")

REQUIRED: Any = dataclasses.MISSING
_SECTION = "__mixminion_section__"
_OPTION = "mixminion option"


@dataclass(frozen=True, slots=True)
class Option:
    """One key of a section: its type, what it is when absent, and what it means."""

    attribute: str
    key: str
    value: Value[Any]
    default: Any  #: a value, or :data:`REQUIRED`
    doc: str

    @property
    def required(self) -> bool:
        """Whether the key has to be there."""
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class SectionInfo:
    """What a section class is called in the file."""

    kind: str
    named: bool
    doc: str
    options: dict[str, Option]


@overload
def option(value: Value[T], *, doc: str) -> T: ...
@overload
def option(value: Value[T], *, default: None, doc: str) -> T | None: ...
@overload
def option(value: Value[T], *, default: T | str | Sequence[str], doc: str) -> T: ...
def option(value: Value[Any], *, default: Any = REQUIRED, doc: str) -> Any:
    """A key of a section; without *default* it is required.

    The key is the attribute's name with ``-`` for ``_``.  *default* is a value, or a text
    that *value* reads.
    """
    ready = default if default is None or default is REQUIRED else value.default(default)
    metadata = {_OPTION: (value, ready, " ".join(doc.split()))}
    return dataclasses.field(default=ready, metadata=metadata, kw_only=True)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(option,))
def section(kind: str, *, named: bool = False) -> Callable[[type[C]], type[C]]:
    """Make a class the frozen, slotted dataclass of ``[kind]``, or of every ``[kind name]``.

    The class may have a method ``problems(self) -> Iterable[tuple[str, str]]`` that yields
    pairs of key and expectation for what only several keys together can show.
    """

    def make(cls: type[C]) -> type[C]:
        made = dataclasses.dataclass(frozen=True, slots=True, kw_only=True)(cls)
        info = SectionInfo(
            kind,
            named,
            " ".join((cls.__doc__ or "").split()),
            {option.key: option for option in _options(made)},
        )
        setattr(made, _SECTION, info)
        return made

    return make


def info(cls: type) -> SectionInfo:
    """What :func:`section` noted of a class; a :class:`TypeError` for any other class."""
    found = cls.__dict__.get(_SECTION)
    if not isinstance(found, SectionInfo):
        raise TypeError(f"{cls.__name__} is not a configuration section")
    return found


def lineage(cls: type) -> list[type]:
    """The section *cls* and those it derives from, the most general first."""
    return [each for each in reversed(cls.__mro__) if _SECTION in each.__dict__]


def _options(cls: Any) -> Iterator[Option]:
    for field in dataclasses.fields(cls):
        if _OPTION in field.metadata:
            value, default, doc = field.metadata[_OPTION]
            key = field.name.rstrip("_").replace("_", "-")
            yield Option(field.name, key, value, default, doc)

"""From the text of a configuration file to its sections, with every error at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from mixminion.config import ini, values
from mixminion.config.errors import BadValue, ConfigErrors, Position, Problem
from mixminion.config.schema import Option, info

T = TypeVar("T")

NamedResolver = Callable[[str, str, Mapping[str, str]], type]
"""``(section kind, name, raw texts by key)`` to the class of that one section; raises
:class:`BadValue` (with the key at fault) when there is none."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key as it holds: its value, and the text and the place that gave it, if any did."""

    title: str  #: ``[Kind]`` or ``[Kind name]``
    option: Option
    value: Any
    text: str | None  #: as it was written; None for a default
    position: Position | None  #: None for a default


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration that holds.  ``config[SectionClass]`` is that section's instance."""

    filename: str
    home: Path
    _plain: Mapping[type, Any]
    _named: Mapping[str, Mapping[str, Any]]
    _settings: tuple[Setting, ...]
    _positions: Mapping[tuple[str, str], Position]

    def __getitem__(self, section: type[T]) -> T:
        found: T = self._plain[section]
        return found

    def named(self, section: type) -> Mapping[str, Any]:
        """The instances of ``[Kind name]`` by name, in the order of the file."""
        return self._named[info(section).kind]

    def settings(self) -> Sequence[Setting]:
        """Every key of every section, absent sections without a name included: in the order of
        the schema, named sections behind the others in the order of the file."""
        return self._settings

    def problem(self, section: type, key: str, expected: str, name: str | None = None) -> Problem:
        """A :class:`Problem` with *key*, found by somebody who knows more than the file."""
        title = _title(info(section).kind, name)
        at = self._positions.get((title, key)) or self._positions.get((title, ""))
        return Problem(at or Position(self.filename, 0), f"{title} {key}".strip(), expected)


def parse(
    text: str,
    *,
    filename: str,
    sections: Sequence[type],
    named_resolver: NamedResolver | None = None,
) -> Config:
    """Read *text*; raises :class:`ConfigErrors` with everything that is wrong.

    *filename* should be absolute: the home is relative to its folder.  For a kind in
    *sections* that is named, *named_resolver* gives each section's own class, which may
    declare more keys than the kind's.
    """
    blocks, problems = ini.read(text, filename)
    reader = _Reader(filename, problems)
    classes = {info(cls).kind: cls for cls in sections}
    plain: dict[str, ini.Block] = {}
    named: dict[str, dict[str, ini.Block]] = {
        kind: {} for kind, cls in classes.items() if info(cls).named
    }
    for block in blocks:
        if block.kind not in classes:
            guess = _guess(block.kind, classes)
            problems.append(Problem(block.position, block.title, f"unknown section{guess}"))
        elif block.kind in named:
            if block.name is None:
                expected = f"this section needs a name, as in [{block.kind} name]"
                problems.append(Problem(block.position, block.title, expected))
            else:
                named[block.kind][block.name] = block
        elif block.name is not None:
            problems.append(Problem(block.position, block.title, "this section takes no name"))
        else:
            plain[block.kind] = block
    reader.find_home(plain, [cls for cls in sections if not info(cls).named])

    made_plain = {
        cls: reader.make(cls, cls, plain.get(kind))
        for kind, cls in classes.items()
        if kind not in named
    }
    made_named: dict[str, Mapping[str, Any]] = {}
    for kind, of_kind in named.items():
        made = {
            name: reader.make(
                reader.resolve(classes[kind], block, named_resolver), classes[kind], block
            )
            for name, block in of_kind.items()
        }
        made_named[kind] = MappingProxyType(made)
    if problems:
        raise ConfigErrors(problems)
    positions = {
        (block.title, key): entry.position
        for block in blocks
        for key, entry in block.entries.items()
    } | {(block.title, ""): block.position for block in blocks}
    settings = tuple(reader.settings)
    return Config(filename, reader.home, made_plain, made_named, settings, positions)


class _Reader:
    """Makes instances of sections and collects what is wrong with them."""

    def __init__(self, filename: str, problems: list[Problem]) -> None:
        self.filename = filename
        self.problems = problems
        self.settings: list[Setting] = []
        self.home = Path(filename).parent

    def find_home(self, blocks: Mapping[str, ini.Block], sections: Iterable[type]) -> None:
        """Let :attr:`home` be what the one key of type ``home`` says."""
        for cls in sections:
            for option in info(cls).options.values():
                if option.value is values.home:
                    block = blocks.get(info(cls).kind)
                    entry = block.entries.get(option.key) if block else None
                    self.home = self._value(option, entry, self.home, [], "") or self.home

    def resolve(self, base: type, block: ini.Block, resolver: NamedResolver | None) -> type | None:
        """The class of one named section; None, with a problem noted, when there is none."""
        if resolver is None:
            return base
        texts = {key: entry.text for key, entry in block.entries.items()}
        try:
            return resolver(block.kind, block.name or "", texts)
        except BadValue as error:
            entry = block.entries.get(error.key or "")
            at = entry.position if entry else block.position
            key = f"{block.title} {error.key or ''}".rstrip()
            self.problems.append(Problem(at, key, str(error)))
            return None

    def make(self, cls: type | None, base: type, block: ini.Block | None) -> Any:
        """An instance of *cls*; None when something is wrong.  Keys that only *base* declares
        are checked and not passed on."""
        if cls is None:
            return None
        section = info(cls)
        known = info(base).options | section.options
        found = block.entries if block else {}
        title = block.title if block else f"[{section.kind}]"
        before = len(self.problems)
        for key in found.keys() - known.keys():
            expected = f"unknown key{_guess(key, known)}"
            self.problems.append(Problem(found[key].position, f"{title} {key}", expected))
        given: dict[str, Any] = {}
        for option in known.values():
            entry = found.get(option.key)
            if entry is None and option.required:
                place = block.position if block else Position(self.filename, 0)
                expected = f"is missing: expected {option.value.expected}"
                self.problems.append(Problem(place, f"{title} {option.key}", expected))
                continue
            here = self._value(option, entry, self.home, self.problems, title)
            text, at = (entry.text, entry.position) if entry else (None, None)
            self.settings.append(Setting(title, option, here, text, at))
            if option.key in section.options:
                given[option.attribute] = here
        if len(self.problems) > before:
            return None
        instance = cls(**given)
        self._cross_check(instance, block, title)
        return instance

    def _value(
        self,
        option: Option,
        entry: ini.Entry | None,
        home: Path,
        problems: list[Problem],
        title: str,
    ) -> Any:
        if option.value is values.home:
            home = Path(self.filename).parent
        try:
            value = option.default if entry is None else option.value.read(entry.text)
        except BadValue as error:
            if entry is not None:
                problems.append(Problem(entry.position, f"{title} {option.key}", str(error)))
            return None
        return None if value is None else option.value.place(value, home)

    def _cross_check(self, instance: Any, block: ini.Block | None, title: str) -> None:
        check = getattr(instance, "problems", None)
        for key, expected in check() if check else ():
            entry = block.entries.get(key) if block else None
            at = entry or block
            position = at.position if at else Position(self.filename, 0)
            self.problems.append(Problem(position, f"{title} {key}", expected))


def _title(kind: str, name: str | None) -> str:
    return f"[{kind}]" if name is None else f"[{kind} {name}]"


def _guess(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""

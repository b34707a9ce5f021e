"""A server's configuration file: where it is, how it is read, how a new one is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mixminion.config import Config, ConfigErrors, parse
from mixminion.config.reference import reference as key_reference
from mixminion.config.schema import info, lineage
from mixminion.config.secret import SecretSource
from mixminion.errors import EX_CONFIG, EX_NOPERM, OperatorError, UserError
from mixminion.exits import registry
from mixminion.exits.abuse import AbuseSection
from mixminion.exits.section import ExitSection, FragmentsSection
from mixminion.mix.config import SECTIONS, DirectorySection, LogSection, ServerSection

_OPTIONAL = "#"


class NoConfiguration(OperatorError):
    """There is no configuration file, or it cannot be read."""

    code = "no-server-configuration"
    sentence = (
        "Cannot read the configuration {path}: {reason}; `mixminion server init` makes a "
        "server, --home names the home of another one."
    )
    exit_code = EX_CONFIG


class ConfigurationClosed(OperatorError):
    """The configuration file is another user's."""

    code = "configuration-closed"
    sentence = "The configuration {path} is not yours to read; run this as the server's user."
    exit_code = EX_NOPERM


def load(path: Path) -> Config:
    """Read and check the configuration at *path*, with the sections of every installed exit.

    Raises :class:`NoConfiguration`, :class:`ConfigurationClosed` and
    :class:`~mixminion.config.ConfigErrors`.
    """
    try:
        text = path.read_text("utf-8")
    except PermissionError as error:
        raise ConfigurationClosed(path=path) from error
    except OSError as error:
        raise NoConfiguration(path=path, reason=error.strerror) from error
    except UnicodeDecodeError as error:
        raise NoConfiguration(path=path, reason="it is not in UTF-8") from error
    return read(text, path)


def read(text: str, path: Path) -> Config:
    """The configuration *text*, as if it stood at *path*; raises
    :class:`~mixminion.config.ConfigErrors`."""
    return parse(
        text,
        filename=str(path.absolute()),
        sections=(*SECTIONS, AbuseSection, FragmentsSection, ExitSection),
        named_resolver=registry.resolver(registry.discover()),
    )


class Places(NamedTuple):
    """Where a server is found while it runs."""

    home: Path
    control: Path
    log: Path


def places(config: Config) -> Places:
    """Where the server of *config* is found."""
    return Places(config.home, config[ServerSection].control, config[LogSection].file)


def directory_folder(config: Config) -> Path:
    """Where the server of *config* keeps its network's directory."""
    return config.home / "directory"


def lacks_directory(config: Config) -> bool:
    """Whether the server of *config* has no directory yet, be it a good one or not, and somebody
    is known who may have one."""
    consensus = directory_folder(config) / "consensus"
    return not consensus.exists() and bool(config[DirectorySection].places)


def publishes(config: Config) -> bool:
    """Whether the server of *config* knows an authority to publish itself to."""
    return any(each.url for each in config[DirectorySection].authorities)


def passphrase_source(config: Config) -> SecretSource | None:
    """Where the server of *config* gets the passphrase of its packet keys when it starts."""
    return config[ServerSection].passphrase


def places_of_running(path: Path) -> Places:
    """Where the server with the configuration *path* is found, if it runs.

    It has to be reached when its configuration has been spoilt since: then the usual places
    are the answer.
    """
    try:
        return places(load(path))
    except ConfigErrors:
        home = path.parent
        return Places(home, home / "control", home / "log")


@dataclass(frozen=True, slots=True)
class Part:
    """A section of a new configuration: a comment, a title, and keys with texts.

    A key without a text is written as a comment, for the operator to fill in.
    """

    title: str
    comment: str
    keys: Mapping[str, Sequence[str] | str | None] = field(default_factory=dict)


HEAD = (
    "# A Mixminion server.  `mixminion server check-config` checks this file; the server",
    "# reads it when it starts.  Keys that are not here have their defaults.",
)


def compose(
    parts: Sequence[Part],
    path: Path,
    head: Sequence[str] = HEAD,
    reader: Callable[[str, Path], Config] = read,
) -> str:
    """The text of a new configuration at *path*, which begins with *head* and is one for
    *reader*.

    Raises :class:`~mixminion.errors.UserError`, with every key that is wrong, when it would
    not be a valid one.
    """
    lines = [*head]
    for part in parts:
        lines += ["", *(f"# {line}" for line in part.comment.splitlines()), f"[{part.title}]"]
        for key, value in part.keys.items():
            items = [value] if isinstance(value, str) else list(value or ())
            if any(not item.isprintable() for item in items):
                raise UserError(problem=f"[{part.title}] {key}: expected printable text.")
            lines.append(f"{'' if items else _OPTIONAL}{key} = {', '.join(items)}".rstrip())
    text = "\n".join(lines) + "\n"
    try:
        reader(text, path)
    except ConfigErrors as errors:
        wrong = "; ".join(f"{problem.key}: {problem.expected}" for problem in errors.problems)
        raise UserError(problem=f"{wrong}.") from errors
    return text


def reference() -> str:
    """Every key of a server's configuration, exits of all installed modules included, in
    reStructuredText."""
    sections = (*SECTIONS, AbuseSection, FragmentsSection, ExitSection)
    common = [key_reference(section) for section in sections]
    modules = {name: module.section for name, module in sorted(registry.discover().items())}
    having: dict[type, list[str]] = {}  # a section that several modules have stands there once
    for name, own in modules.items():
        for section in lineage(own):
            having.setdefault(section, []).append(name)
    del having[ExitSection]
    exits = [
        key_reference(
            section,
            title=f"[Exit NAME] with module = {' or '.join(names)}",
            without=_told(section),
        )
        for section, names in having.items()
    ]
    return "\n".join((*common, *exits))


def _told(section: type) -> set[str]:
    """The keys that stand already in what a section derives from, as they are there."""
    own = info(section).options
    before = [info(each).options for each in lineage(section)[:-1]]
    return {key for options in before for key, found in options.items() if own[key] == found}

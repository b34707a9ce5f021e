"""An authority's configuration file: where it is, how it is read, what can be wrong with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mixminion.app.authority_keys import AuthorityKeys
from mixminion.app.checks import wrong
from mixminion.app.configuration import ConfigurationClosed, Places
from mixminion.authority.config import (
    SECTIONS,
    AuthoritySection,
    DirectorySection,
    FiguresSection,
    LogSection,
)
from mixminion.authority.figures import gather
from mixminion.config import Config, ConfigErrors, Problem, parse
from mixminion.config.reference import reference as key_reference
from mixminion.config.secret import SecretSource
from mixminion.directory.bootstrap import Authority, Bootstrap
from mixminion.disk import private
from mixminion.errors import EX_CONFIG, MixminionError, OperatorError

HEAD = (
    "# A Mixminion directory authority.  `mixminion authority check-config` checks this file,",
    "# `mixminion authority reload` has the running authority read it again.  Keys that are not",
    "# here have their defaults.",
)


class NoAuthorityConfiguration(OperatorError):
    """There is no configuration file, or it cannot be read."""

    code = "no-authority-configuration"
    sentence = (
        "Cannot read the configuration {path}: {reason}; `mixminion authority init` makes an"
        " authority, --home names the home of another one."
    )
    exit_code = EX_CONFIG


class MissingAuthorityFile(OperatorError):
    """A file that every authority has is not there."""

    code = "missing-authority-file"
    sentence = "{path} is missing: make an authority's home with `mixminion authority init`."
    exit_code = EX_CONFIG


def load(path: Path) -> Config:
    """Read and check the configuration at *path*.

    Raises :class:`NoAuthorityConfiguration`, :class:`ConfigurationClosed` and
    :class:`~mixminion.config.ConfigErrors`.
    """
    try:
        text = path.read_text("utf-8")
    except PermissionError as error:
        raise ConfigurationClosed(path=path) from error
    except OSError as error:
        raise NoAuthorityConfiguration(path=path, reason=error.strerror) from error
    except UnicodeDecodeError as error:
        raise NoAuthorityConfiguration(path=path, reason="it is not in UTF-8") from error
    return read(text, path)


def read(text: str, path: Path) -> Config:
    """The configuration *text*, as if it stood at *path*; raises
    :class:`~mixminion.config.ConfigErrors`."""
    return parse(text, filename=str(path.absolute()), sections=SECTIONS)


def places(config: Config) -> Places:
    """Where the authority of *config* is found while it runs."""
    return Places(config.home, config[AuthoritySection].control, config[LogSection].file)


def places_of_running(path: Path) -> Places:
    """The same, also when its configuration has been spoilt since: then the usual places."""
    try:
        return places(load(path))
    except ConfigErrors:
        home = path.parent
        return Places(home, home / "control", home / "log")


def settings(config: Config) -> list[Problem]:
    """Settings that cannot work, each with its place in the file."""
    if config[AuthoritySection].listen:
        return []
    return [config.problem(AuthoritySection, "listen", "expected an address to listen on")]


def passphrase_source(config: Config) -> SecretSource | None:
    """Where the authority of *config* gets the passphrase of its signing key."""
    return config[AuthoritySection].passphrase


def figures(config: Config) -> list[MixminionError]:
    """What is wrong with the files of figures."""
    try:
        gather(config[FiguresSection].files)
    except MixminionError as error:
        return [error]
    return []


def files(config: Config) -> list[MixminionError]:
    """Files and folders that are missing or that others can reach."""
    keys = AuthorityKeys(config.home)
    needed = [config.home.resolve(), keys.folder, keys.identity_public]
    needed += [keys.signing, keys.certificate]
    optional = [keys.identity, keys.seed]
    return [
        *wrong([Path(config.filename)], private.check_unchangeable, missing=MissingAuthorityFile),
        *wrong(needed, private.check, missing=MissingAuthorityFile),
        *wrong(optional, private.check, missing=None),
    ]


def bootstrap(config: Config, name: str) -> Bootstrap:
    """What clients need to join the network *name*."""
    me, section = AuthorityKeys(config.home).read_identity(), config[AuthoritySection]
    mine = Authority(me, section.nickname, str(section.url))
    others = [each for each in config[DirectorySection].authorities if each.identity != me]
    named = [
        replace(each, nickname=each.nickname or f"authority{number}")
        for number, each in enumerate([mine, *others], 1)
    ]
    return Bootstrap(name, tuple(named))


def reference() -> str:
    """Every key of an authority's configuration, in reStructuredText."""
    return "\n".join(key_reference(section) for section in SECTIONS)

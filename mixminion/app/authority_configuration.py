"""An authority's configuration file: where it is, how it is read, what can be wrong with it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mixminion.app.authority_keys import AuthorityKeys
from mixminion.app.checks import wrong
from mixminion.app.configuration import ConfigurationClosed, Places
from mixminion.authority.config import (
    SECTIONS,
    AuthoritySection,
    LogSection,
    NetworkSection,
    PeerSection,
)
from mixminion.config import Config, ConfigErrors, Problem, parse
from mixminion.config.reference import reference as key_reference
from mixminion.disk import private
from mixminion.errors import EX_CONFIG, MixminionError, OperatorError

FILE = "authority.conf"
"""The configuration's name in an authority's home."""
HEAD = (
    "# A Mixminion directory authority.  `mixminion authority check-config` checks this file,",
    "# `mixminion authority reload` has the running authority read it again.  Keys that are not",
    "# here have their defaults.",
)
MOST = 64
"""Authorities of a network: so many signatures fit into an envelope."""


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
    problems: list[Problem] = []
    if not config[AuthoritySection].listen:
        expected = "expected an address to listen on"
        problems.append(config.problem(AuthoritySection, "listen", expected))
    for key in ("recommended_clients", "recommended_servers"):
        if len(getattr(config[NetworkSection], key)) > 32:
            name = key.replace("_", "-")
            problems.append(config.problem(NetworkSection, name, "expected 32 releases at most"))
    return problems + _peers(config)


def _peers(config: Config) -> list[Problem]:
    peers = config.named(PeerSection)
    identities = Counter(peer.identity for peer in peers.values())
    urls = Counter(peer.url for peer in peers.values())
    try:
        mine = AuthorityKeys(config.home).read_identity()
    except (OSError, MixminionError):  # told where files are checked
        mine = b""
    problems: list[Problem] = []
    if len(peers) >= MOST:
        problems.append(
            config.problem(AuthoritySection, "", f"expected at most {MOST - 1} [Peer] sections")
        )
    for name, peer in peers.items():
        if identities[peer.identity] > 1:
            expected = "another [Peer] has this identity too"
            problems.append(config.problem(PeerSection, "identity", expected, name))
        if peer.identity == mine:
            expected = "this is the authority's own identity: only the others are peers"
            problems.append(config.problem(PeerSection, "identity", expected, name))
        if urls[peer.url] > 1:
            expected = "another [Peer] has this address too"
            problems.append(config.problem(PeerSection, "url", expected, name))
    return problems


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


def reference() -> str:
    """Every key of an authority's configuration, in reStructuredText."""
    return "\n".join(key_reference(section) for section in SECTIONS)

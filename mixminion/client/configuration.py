"""The client's configuration: its sections, where it is looked for, the template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mixminion.client.errors import ConfigurationUnreadable, NoConfiguration
from mixminion.config import Config, option, parse, section, values
from mixminion.dirhttp.errors import BadSource
from mixminion.dirhttp.sources import Source
from mixminion.disk import private

VARIABLE = "MIXMINION_CONFIG"

_TEMPLATE = """\
# The configuration of the Mixminion client.

[Client]
# Where the outbox and the directory are kept, relative to this file's folder.
#home = state

[Directory]
# The network's authorities: their Ed25519 keys in hexadecimal, separated by commas.  A
# directory is believed when more than half of them have signed it.  Get them from somebody
# you trust, not from a server of the network.
#authorities =
# Where directories are fetched: HOST:PORT of servers, or http://HOST:PORT/.
#sources =

[Paths]
# Most people leave this alone: everybody's paths have the network's length.
#default-path = *4
"""


def _source(text: str) -> Source:
    if "://" not in text:
        return Source(values.host_port.read(text))
    try:
        return Source.parse(text)
    except BadSource:
        raise ValueError from None


source: values.Value[Source] = values.Value("HOST:PORT of a server, or http://HOST:PORT/", _source)


@section("Client")
class ClientSection:
    """Where the client keeps its state, and what it says."""

    home: Path = option(
        values.home,
        default="state",
        doc="Folder of the outbox and the stored directory; private, made when it is not there.",
    )
    one_shot_notice: bool = option(
        values.boolean,
        default=True,
        doc="Whether `mixminion send` says that a message sent by itself is not unobservable.",
    )


@section("Directory")
class DirectorySection:
    """Whom the client believes about the network, and where it asks."""

    authorities: tuple[bytes, ...] = option(
        values.list_of(values.hex_key()),
        doc="Ed25519 public keys of the authorities; more than half have to sign a directory.",
    )
    sources: tuple[Source, ...] = option(
        values.list_of(source),
        doc="Where directories are fetched, in random order: HOST:PORT of servers, or http://HOST:PORT/.",
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """Lists that are there and empty."""
        if not self.authorities:
            yield "authorities", "expected at least one key"
        if not self.sources:
            yield "sources", "expected at least one source"


@section("Paths")
class PathsSection:
    """How paths are chosen."""

    default_path: str | None = option(
        values.text,
        default=None,
        doc="The path of messages without --path; when absent, random and of the network's length.",
    )


SECTIONS = (ClientSection, DirectorySection, PathsSection)


def find(named: str | None, environment: Mapping[str, str], user_home: Path) -> Path:
    """The configuration to use: the one *named*, ``$MIXMINION_CONFIG``, the user's own.

    :raises NoConfiguration: there is none; a template was written for the user.
    """
    chosen = named or environment.get(VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    path = user_home / ".config" / "mixminion" / "mixminion.conf"
    if not path.exists():
        private.make_folder(path.parent)
        private.write(path, _TEMPLATE.encode())
        raise NoConfiguration(path=path)
    return path


def load(path: Path) -> Config:
    """Read and check a configuration.  It holds no secret, but says whom to believe: nobody
    else may change it.

    :raises ConfigurationUnreadable: the file cannot be read.
    :raises PrivateFileError: others could change it.
    :raises ConfigErrors: with everything that is wrong in it.
    """
    try:
        private.check_unchangeable(path)
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigurationUnreadable(path=path, why=error.strerror) from None
    except UnicodeDecodeError:
        raise ConfigurationUnreadable(path=path, why="it is not UTF-8") from None
    return parse(text, filename=str(path), sections=SECTIONS)

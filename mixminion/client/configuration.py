"""The client's configuration: its sections, where it is looked for, the template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mixminion.client.errors import ConfigurationUnreadable, NoConfiguration
from mixminion.client.key_sources import KeysSection
from mixminion.client.path_section import PathsSection
from mixminion.client.remembering import ReplyBlocksSection
from mixminion.client.sections import LogSection, OutboxSection, ScheduleSection
from mixminion.config import Config, option, parse, section, values
from mixminion.directory.bootstrap import Authority, authority
from mixminion.dirhttp.errors import BadProxy, BadSource
from mixminion.dirhttp.proxies import NO_PROXIES, Proxies, Proxy
from mixminion.dirhttp.sources import Source
from mixminion.disk import private

VARIABLE = "MIXMINION_CONFIG"

TEMPLATE = """\
# The configuration of the Mixminion client.

[Client]
# Where the outbox and the directory are kept, relative to this file's folder.
#home = state

[Directory]
# `mixminion join FILE` fills this in from a network's bootstrap file.
# The network's authorities, one a line: a nickname, the Ed25519 key in hexadecimal, and where it
# serves the directory, such as http://192.0.2.1:8080/.  A directory is believed when more than
# half of them have signed it.  Get them from somebody you trust, not from a server of the
# network.
#authorities =
# Where directories are fetched, too: HOST:PORT of servers, or http://HOST:PORT/.
#sources =
# An HTTP proxy for all this; http_proxy, https_proxy and no_proxy in the environment count, too.
#proxy = http://127.0.0.1:3128/

[Paths]
# Most people leave this alone: everybody's paths have the network's length.
#default-path = *4
# Servers that are never chosen, or the only ones that are: nicknames, family:NAME, country:de,
# 192.0.2.0/24.  For the first hop alone deny-entry and allow-entry, for the last deny-exit and
# allow-exit.
#deny =
#allow =

[ReplyBlocks]
# Whether blocks whose answers were read are remembered, and for how long.
#remember-used = yes
#remember-for = 30 days
# How long after its last day the answer to a block can be read.
#wait-for-answers = 60 days
# A folder, on another disk say, for copies of what opens the answers.
#copies = /media/stick/mixminion

[Keys]
# Who is asked for other people's keys: NAME=FOLDER, or NAME=https://keys.example.org/{hash}.key.
# Whoever runs such a server learns whom you write to.
#sources = friends=keys
"""


def _source(text: str) -> Source:
    if "://" not in text:
        return Source(values.host_port.read(text))
    try:
        return Source.parse(text)
    except BadSource:
        raise ValueError from None


source: values.Value[Source] = values.Value("HOST:PORT of a server, or http://HOST:PORT/", _source)


def _proxy(text: str) -> Proxies:
    if text == "none":
        return NO_PROXIES
    try:
        return Proxies.every(Proxy.parse(text, "[Directory] proxy"))
    except BadProxy:
        raise ValueError from None


def _render_proxy(value: Proxies) -> str:
    return "none" if value.https is None else f"http://{value.https.place}/"


proxy: values.Value[Proxies] = values.Value(
    "http://[USER:PASSWORD@]HOST:PORT/, or none", _proxy, _render_proxy
)


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

    authorities: tuple[Authority, ...] = option(
        values.list_of(authority),
        doc="The network's directory authorities; more than half have to sign a directory.",
    )
    sources: tuple[Source, ...] = option(
        values.list_of(source),
        default=(),
        doc="""Where directories are fetched, besides the authorities and the network's own servers:
        HOST:PORT of servers, or http://HOST:PORT/.""",
    )

    proxy: Proxies | None = option(
        proxy,
        default=None,
        doc="""The HTTP proxy through which directories are fetched, such as
        http://user:password@192.0.2.7:3128/; none for none.  If not given, what the environment
        says with http_proxy, https_proxy, all_proxy and no_proxy.""",
    )

    def proxies(self, environment: Mapping[str, str]) -> Proxies:
        """Which proxy leads where.

        :raises BadProxy: the environment names one that is none.
        """
        return Proxies.from_environment(environment) if self.proxy is None else self.proxy

    def problems(self) -> Iterator[tuple[str, str]]:
        """No authorities, the same one twice, and nowhere to ask."""
        if not self.authorities:
            yield "authorities", "expected at least one key"
        elif len(set(self.identities)) < len(self.authorities):
            yield "authorities", "a key stands in the list twice"
        elif not self.places:
            yield "sources", "expected at least one source, or the URL of an authority"

    @property
    def identities(self) -> tuple[bytes, ...]:
        """The authorities' raw identity keys."""
        return tuple(each.identity for each in self.authorities)

    @property
    def places(self) -> tuple[Source, ...]:
        """Everywhere to ask that is named here, none twice."""
        own = (Source.parse(each.url) for each in self.authorities if each.url)
        return tuple(dict.fromkeys((*own, *self.sources)))


SECTIONS = (
    ClientSection,
    DirectorySection,
    PathsSection,
    OutboxSection,
    ReplyBlocksSection,
    KeysSection,
    ScheduleSection,
    LogSection,
)


def place(named: str | None, environment: Mapping[str, str], user_home: Path) -> Path:
    """Where the configuration is or would be: the one *named*, ``$MIXMINION_CONFIG``, the
    user's own."""
    chosen = named or environment.get(VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    return user_home / ".config" / "mixminion" / "mixminion.conf"


def find(named: str | None, environment: Mapping[str, str], user_home: Path) -> Path:
    """The configuration to use.

    :raises NoConfiguration: there is none; a template was written for the user.
    """
    path = place(named, environment, user_home)
    if named or environment.get(VARIABLE) or path.exists():
        return path
    private.make_folder(path.parent)
    private.write(path, TEMPLATE.encode())
    raise NoConfiguration(path=path)


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

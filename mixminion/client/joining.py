"""Joining a network: its bootstrap file becomes a part of the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint

from mixminion.client import pages
from mixminion.client.configuration import SECTIONS, TEMPLATE
from mixminion.client.errors import ConfigurationUnreadable, HasConfiguration
from mixminion.config import parse
from mixminion.directory.bootstrap import LIMIT, Bootstrap, authority
from mixminion.dirhttp.proxies import Proxies
from mixminion.disk import private

_SECTION = "[Directory]"
_OURS = re.compile(r"(authorities|sources)\s*=", re.ASCII)
_COMMENTED = re.compile(r"#(authorities|sources)\s*=|# joined: ", re.ASCII)


async def fetch(url: str, reactor: Any, environment: Mapping[str, str]) -> Bootstrap:
    """The bootstrap file that stands at *url*, by way of the proxy that *environment* names.

    :raises BadPage: *url* is no address.
    :raises PageNotRead: it cannot be had.
    :raises BadBootstrap: it is something else.
    """
    octets = await pages.read(
        url,
        LIMIT,
        clock=reactor,
        connect=lambda place: HostnameEndpoint(reactor, place.host, place.port),
        proxies=Proxies.from_environment(environment),
    )
    return Bootstrap.read(octets, url)


def prepare(path: Path, bootstrap: Bootstrap, origin: str, *, replace: bool) -> str:
    """The text of a configuration at *path* for that network; nothing is written yet.  What
    stands there besides authorities and sources stays.  *origin* is where the bootstrap file
    is from.

    :raises HasConfiguration: there is a configuration of other words, and not *replace*.
    :raises ConfigurationUnreadable: what is there cannot be read.
    :raises ConfigErrors: what is there has errors elsewhere.
    """
    old = _read(path)
    text = revise(TEMPLATE if old is None else old, bootstrap, origin)
    if old not in (None, TEMPLATE, text) and not replace:
        raise HasConfiguration(path=path)
    parse(text, filename=str(path), sections=SECTIONS)
    return text


def write(path: Path, text: str) -> Path | None:
    """Write a configuration; where the former one is now, if there was one of other words."""
    private.make_folder(path.parent)
    old, aside = _read(path), None
    if old not in (None, TEMPLATE, text):
        aside = _free(path)
        private.write(aside, path.read_bytes())
    private.write(path.resolve(), text.encode())
    return aside


def revise(text: str, bootstrap: Bootstrap, origin: str) -> str:
    """*text* with that network's authorities and sources instead of those it has."""
    shown = origin if origin.isprintable() else "a file"
    written = [
        f"# joined: {bootstrap.name}, from {shown}",
        "authorities =",
        *(f"  {authority.render(each)}" for each in bootstrap.authorities),
    ]
    if bootstrap.others:
        written += ["sources =", *(f"  {url}" for url in bootstrap.others)]
    lines = list(_without(text))
    headers = [i for i, line in enumerate(lines) if line.startswith("[")]
    begin = next((i for i in headers if _header(lines[i]) == _SECTION), None)
    if begin is None:
        return "\n".join([*lines, *([""] if lines else []), _SECTION, *written, ""])
    end = next((i for i in headers if i > begin), len(lines))
    while not lines[end - 1].strip():
        end -= 1
    lines[end:end] = written
    return "\n".join([*lines, ""])


def _without(text: str) -> Iterator[str]:
    """The lines of *text* without the authorities and sources of its directory section."""
    inside = dropping = False
    for line in text.splitlines():
        if line.startswith("["):
            inside, dropping = _header(line) == _SECTION, False
        elif inside and _COMMENTED.match(line):
            continue
        elif inside and _OURS.match(line):
            dropping = True
            continue
        elif dropping:  # a value goes on in indented lines, and in them alone
            if line[:1] in (" ", "\t") and line.strip():
                continue
            dropping = line[:1] in ("#", ";")
        yield line


def _header(line: str) -> str:
    """``[Directory]`` however it is spaced."""
    return "[" + line.strip()[1:-1].strip() + "]" if line.startswith("[") else ""


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationUnreadable(path=path, why=error.strerror) from None
    except UnicodeDecodeError:
        raise ConfigurationUnreadable(path=path, why="it is not UTF-8") from None


def _free(path: Path) -> Path:
    """A name beside *path* that nothing has yet."""
    number = 1
    while (found := path.with_name(f"{path.name}.before-{number}")).exists():
        number += 1
    return found

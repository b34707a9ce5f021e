"""``mixminion version``."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from mixminion import __version__, api
from mixminion.cli.client import config_file_option, run, say
from mixminion.cli.output import json_option, print_result
from mixminion.client import configuration, notices

PACKAGES = ("twisted", "pyopenssl", "cryptography", "lmdb", "msgspec", "click")


@click.command()
@json_option
@config_file_option
def command(filename: str | None, as_json: bool) -> None:
    """Show the versions of Mixminion and of what it runs on.

    A warning says when the network recommends others, as far as the directory is here.
    """
    versions = {"mixminion": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    versions["openssl"] = _openssl()
    lines = [f"{name} {number}" for name, number in versions.items()]
    print_result(versions, lines, as_json=as_json)
    for warning in _warnings(filename):
        say(f"warning: {warning}", always=True)


def _warnings(filename: str | None) -> list[str]:
    """What the directory that is held, if there is one, says of this release."""
    path = configuration.place(filename, os.environ, Path.home())
    if not path.exists():
        return []

    async def look(client: api.Client) -> api.DirectoryReport:
        return await client.directory()

    try:
        report = run(api.load_config(str(path)), look)
    except api.MixminionError:  # other commands tell what is wrong there
        return []
    return [str(each) for each in report.warnings if each.code == notices.RELEASE]


def _openssl() -> str:
    from cryptography.hazmat.backends.openssl import backend

    return backend.openssl_version_text().removeprefix("OpenSSL ")

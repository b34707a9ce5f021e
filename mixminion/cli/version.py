"""``mixminion version``."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import click

from mixminion import __version__
from mixminion.cli.output import json_option, print_result

PACKAGES = ("twisted", "pyopenssl", "cryptography", "lmdb", "msgspec", "click")


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Show the versions of Mixminion and of what it runs on."""
    versions = {"mixminion": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    versions["openssl"] = _openssl()
    lines = [f"{name} {number}" for name, number in versions.items()]
    print_result(versions, lines, as_json=as_json)


def _openssl() -> str:
    from cryptography.hazmat.backends.openssl import backend

    return backend.openssl_version_text().removeprefix("OpenSSL ")

"""``mixminion identity``: names of one's own, each with a key pair."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mixminion import api
from mixminion.app import passphrase as passphrases
from mixminion.cli import given
from mixminion.cli.client import config_option, run
from mixminion.cli.output import json_option, print_result
from mixminion.cli.passphrase import passphrase_options
from mixminion.client.identity_errors import ExportWithoutPassphrase, IdentityInUse
from mixminion.config.secret import SecretSource
from mixminion.disk import private


@click.group()
def command() -> None:
    """Identities: names of your own, each with a key pair for answers and encryption."""


name_argument = click.argument("name", required=False, metavar="[NAME]")
address_help = "user@example.org, mailbox:CAPABILITY@server, or mailbox for one of yours"


@command.command()
@click.argument("name")
@click.option("--address", metavar="ADDRESS", help=f"Where answers go: {address_help}.")
@passphrase_options("A passphrase that protects it")
@json_option
@config_option
def create(
    config: api.Config,
    name: str,
    address: str | None,
    passphrase: SecretSource | None,
    as_json: bool,
) -> None:
    """Make an identity called NAME.

    The one called default is made by itself when it is needed.  Reading answers takes the
    passphrase; making reply blocks does not.
    """
    secret = passphrases.given(passphrase, f"New passphrase for {name}: ", again=True)

    async def make(client: api.Client) -> api.Identity:
        return await client.identities.create(name, passphrase=secret, address=address)

    made = run(config, make)
    print_result(_data(made), _lines(made), as_json=as_json)


@command.command("list")
@json_option
@config_option
def list_identities(config: api.Config, as_json: bool) -> None:
    """Show your identities."""

    async def found(client: api.Client) -> list[api.Identity]:
        return await client.identities.all()

    known = run(config, found)
    lines = [each.name + (", protected" if each.protected else "") for each in known]
    print_result(
        [_data(each) for each in known], lines or ["There is no identity."], as_json=as_json
    )


@command.command()
@name_argument
@json_option
@config_option
def show(config: api.Config, name: str | None, as_json: bool) -> None:
    """Show an identity: its key's fingerprint, and where its answers go."""

    async def found(client: api.Client) -> api.Identity:
        return await client.identities.get(name)

    known = run(config, found)
    print_result(_data(known), _lines(known), as_json=as_json)


@command.command("set-address")
@click.argument("address")
@name_argument
@json_option
@config_option
def set_address(config: api.Config, address: str, name: str | None, as_json: bool) -> None:
    """Have the answers to new reply blocks go to ADDRESS; mailbox is one of yours."""

    async def change(client: api.Client) -> api.Identity:
        return await client.identities.set_address(name, None if address == "mailbox" else address)

    changed = run(config, change)
    print_result(_data(changed), _lines(changed), as_json=as_json)


@command.command("change-passphrase")
@name_argument
@passphrase_options("The passphrase so far")
@passphrase_options("The new passphrase", prefix="new-")
@click.option("--no-passphrase", is_flag=True, help="Protect it no longer.")
@json_option
@config_option
def change_passphrase(
    config: api.Config,
    name: str | None,
    passphrase: SecretSource | None,
    new_passphrase: SecretSource | None,
    no_passphrase: bool,
    as_json: bool,
) -> None:
    """Protect an identity by another passphrase, or by none."""
    if no_passphrase == (new_passphrase is not None):
        raise click.UsageError("say one of --new-passphrase-... and --no-passphrase")
    old = passphrases.given(passphrase, "Passphrase so far: ")
    new = passphrases.given(new_passphrase, "New passphrase: ", again=True)

    async def change(client: api.Client) -> api.Identity:
        return await client.identities.change_passphrase(name, old, new)

    changed = run(config, change)
    print_result(_data(changed), _lines(changed), as_json=as_json)


@command.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Also where answers may still come.")
@json_option
@config_option
def delete(config: api.Config, name: str, yes: bool, as_json: bool) -> None:
    """Delete an identity with its reply blocks: nobody can read their answers any more."""

    async def forget(client: api.Client) -> None:
        known = await client.identities.get(name)
        blocks = await client.reply_blocks.all()
        waiting = [each for each in blocks if each.identity == known.id and each.used is None]
        if waiting and not yes:
            raise IdentityInUse(name=known.name, blocks=len(waiting))
        await client.identities.delete(name)

    run(config, forget)
    print_result({"deleted": name}, [f"{name} is deleted."], as_json=as_json, confirms=True)


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--identity", "names", metavar="NAME", multiple=True, help="Only this one; may be repeated."
)
@passphrase_options("A passphrase for the file; there has to be one")
@json_option
@config_option
def export(
    config: api.Config,
    file: Path,
    names: tuple[str, ...],
    passphrase: SecretSource | None,
    as_json: bool,
) -> None:
    """Write identities to FILE, with what reads their answers and the keys of their mailboxes.

    With the file and its passphrase another machine reads what is answered to the reply blocks
    made so far.  Export again when you have made more.
    """
    secret = passphrases.given(passphrase, "Passphrase for the export: ", again=True)
    if secret is None:
        raise ExportWithoutPassphrase

    async def write(client: api.Client) -> bytes:
        return await client.identities.export(secret, names)

    private.write(file.absolute(), run(config, write))
    print_result({"file": str(file)}, [f"Written to {file}."], as_json=as_json, confirms=True)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@passphrase_options("The passphrase of the file")
@json_option
@config_option
def import_identities(
    config: api.Config, file: Path, passphrase: SecretSource | None, as_json: bool
) -> None:
    """Take over what `mixminion identity export` wrote to FILE.

    What is here already stays as it is.  An identity whose name is taken gets another.
    """
    octets = given.read(str(file))
    secret = passphrases.given(passphrase, "Passphrase of the export: ")
    if secret is None:
        raise ExportWithoutPassphrase

    async def take(client: api.Client) -> api.Restored:
        return await client.identities.restore(octets, secret, name=str(file))

    restored = run(config, take)
    said = f"{len(restored.identities)} identities"
    if restored.identities:
        said += f" ({', '.join(restored.identities)})"
    data = {
        "identities": list(restored.identities),
        "mailboxes": restored.mailboxes,
        "reply_blocks": restored.blocks,
    }
    lines = [f"New: {said}, {restored.mailboxes} mailboxes, {restored.blocks} reply blocks."]
    print_result(data, lines, as_json=as_json, confirms=True)


def _data(identity: api.Identity) -> Mapping[str, Any]:
    return {
        "name": identity.name,
        "protected": identity.protected,
        "address": identity.address,
        "fingerprint": identity.fingerprint,
    }


def _lines(identity: api.Identity) -> list[str]:
    return [
        f"name: {identity.name}",
        f"passphrase: {'yes' if identity.protected else 'no'}",
        f"answers go to: {identity.address or 'a mailbox, made when one is needed'}",
        f"fingerprint: {identity.fingerprint}",
    ]

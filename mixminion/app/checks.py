"""What can be wrong with a server before it starts, beyond its configuration file's form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from twisted.internet.endpoints import serverFromString

from mixminion.app.init import ServerKeys
from mixminion.app.keystore import key_store
from mixminion.config import Config, ConfigErrors, Problem
from mixminion.disk import private
from mixminion.errors import EX_CONFIG, MixminionError, OperatorError
from mixminion.exits import desk, mailbox, rules, templates
from mixminion.exits.abuse import AbuseSection
from mixminion.exits.section import ExitSection, to_mail
from mixminion.mix.config import DirectorySection, IncomingSection, ServerSection
from mixminion.store import opening
from mixminion.util.hostport import HostPort


class MissingFile(OperatorError):
    """A file that every server has is not there."""

    code = "missing-file"
    sentence = "{path} is missing: make a server's home with `mixminion server init`."
    exit_code = EX_CONFIG


def settings(config: Config) -> list[Problem]:
    """Settings that cannot work, or would mislead others, each with its place in the file."""
    incoming = config[IncomingSection]
    problems: list[Problem] = []
    if not incoming.listen:
        expected = "expected an address to listen on"
        problems.append(config.problem(IncomingSection, "listen", expected))
    if not incoming.addresses:
        expected = "expected an address under which others reach this server"
        problems.append(config.problem(IncomingSection, "addresses", expected))
    if not config[DirectorySection].authorities:
        expected = "expected the keys of the network's authorities, as its operators publish them"
        problems.append(config.problem(DirectorySection, "authorities", expected))
    if not config[ServerSection].test_network:
        problems += [
            config.problem(IncomingSection, "addresses", f"{address} {why}")
            for address in incoming.addresses
            for why in _unreachable(address)
        ]
    return [*problems, *_exits(config), *_mailboxes(config)]


def _exits(config: Config) -> Iterator[Problem]:
    """What an exit to mail needs beside its own section, and what is wrong in files of rules."""
    mail = [name for name, each in config.named(ExitSection).items() if to_mail(each)]
    if mail and config[ServerSection].contact is None:
        expected = f"expected how to reach you: there is no exit without ([Exit {mail[0]}])"
        yield config.problem(ServerSection, "contact", expected)
    abuse = config[AbuseSection]
    for read in (lambda: rules.read(abuse.rules), lambda: templates.read(abuse.templates)):
        try:
            read()
        except ConfigErrors as errors:
            yield from errors.problems
    for domain in (each.domain for each in config.named(ExitSection).values() if to_mail(each)):
        if abuse.complaints_to is not None and abuse.complaints_to.address.domain == domain:
            expected = f"expected an address elsewhere: mail for {domain} comes in here"
            yield config.problem(AbuseSection, "complaints-to", expected)
    listening = (("opt-out-listen", abuse.opt_out_listen), ("mail-listen", abuse.mail_listen))
    for key, where in listening:
        if where is not None:
            try:
                serverFromString(None, where)
            except Exception as error:  # it raises what its plugins do
                expected = f"expected an endpoint that can be used ({error})"
                yield config.problem(AbuseSection, key, expected)


def _mailboxes(config: Config) -> Iterator[Problem]:
    """What mailboxes hold is part of the store, where packets need room too."""
    most = config[ServerSection].store_limit // 2
    for name, section in config.named(ExitSection).items():
        if isinstance(section, mailbox.Section):
            most -= section.total_limit
            if most < 0:
                expected = "expected at most half of store-limit, for all mailbox exits together"
                yield config.problem(type(section), "total-limit", expected, name=name)


def files(config: Config) -> list[MixminionError]:
    """Files and folders that are missing or that others can reach."""
    keys = ServerKeys(config.home)
    needed = [config.home.resolve(), keys.folder, keys.identity_public, keys.signing]
    needed += [keys.link_certificate, keys.document_certificate, keys.descriptor]
    optional = [keys.identity, *key_store(config).folder.glob("packet-*.key")]
    optional += [config.home / desk.SECRET, config.home / desk.LIST]
    return [
        *wrong([Path(config.filename)], private.check_unchangeable),
        *wrong(needed, private.check),
        *wrong(optional, private.check, missing=None),
    ]


def store_folder(config: Config) -> Path:
    """Where a server's store is."""
    return config.home / "store"


def store(config: Config) -> None:
    """Open the store and let go of it again, so that what is wrong with it is known before the
    fork; raises :class:`~mixminion.store.StoreUnusable` and its kinds."""
    opening.check(store_folder(config), config[ServerSection].store_limit)


def wrong(
    paths: Iterable[Path],
    check: Callable[[Path], None],
    *,
    missing: type[MixminionError] | None = MissingFile,
) -> Iterator[MixminionError]:
    """What *check* finds of each path; *missing* is told of one that is not there."""
    for path in paths:
        try:
            check(path)
        except FileNotFoundError:
            if missing is not None:
                yield missing(path=path)
        except MixminionError as error:
            yield error


def _unreachable(address: HostPort) -> Iterator[str]:
    ip = address.address
    if ip is None:
        if "." not in address.host:
            yield "is a name that only this machine knows: publish a full name or an IP address"
    elif ip.is_unspecified:
        yield "is no address that can be dialled: publish the one that others reach"
    elif not ip.is_global:
        yield (
            "cannot be reached from elsewhere: publish the address that others reach "
            "(a network on one machine sets test-network = yes in [Server])"
        )

"""What the commands share that read what came: how it is opened, shown and written."""

from __future__ import annotations

import functools
import hashlib
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mixminion import api
from mixminion.app import passphrase as passphrases
from mixminion.cli.client import say
from mixminion.cli.output import print_result
from mixminion.cli.passphrase import passphrase_options
from mixminion.cli.sizes import SIZE
from mixminion.config.secret import SecretSource
from mixminion.disk import private
from mixminion.util import times


def reading_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--identity``, ``--passphrase-...`` and ``--max-size``, as the argument ``how``: what
    :meth:`mixminion.client.inbox.Inbox.decode` takes of that name."""

    @click.option("--identity", metavar="NAME", help="Open only what is for this identity.")
    @passphrase_options("The identity's passphrase")
    @click.option(
        "--max-size",
        metavar="SIZE",
        type=SIZE,
        default="10 MiB",
        show_default=True,
        help="Make nothing that is larger, whatever came says of itself.",
    )
    @functools.wraps(function)
    def wrapped(
        identity: str | None, passphrase: SecretSource | None, max_size: int, **given: Any
    ) -> Any:
        secret = passphrases.given(passphrase, "Passphrase: ")
        how = {"identity": identity, "passphrase": secret, "max_size": max_size}
        return function(how=how, **given)

    decorated: Callable[..., Any] = wrapped
    return decorated


def output_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``-o``, as the argument ``output``, for :func:`place`."""
    made: Callable[..., Any] = click.option(
        "-o",
        "--output",
        metavar="FILE|FOLDER",
        help="Write it there; in a FOLDER (one with / at its end is made) a file for each message."
        "  [default: standard output]",
    )(function)
    return made


def place(output: str | None) -> tuple[Path | None, Path | None]:
    """The folder and the file that *output* names, one of them or none."""
    if output is None:
        return None, None
    path = Path(output).absolute()
    return (path, None) if output.endswith("/") or path.is_dir() else (None, path)


def write(
    opened: Sequence[api.Opened],
    into: Path | None,
    *,
    file: Path | None = None,
    as_json: bool,
    titles: bool = True,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Show what was opened, as files in the folder *into* or the one *file* if there is one, and
    say what cannot be shown."""
    files: dict[int, Path] = {}
    readable = [each for each in opened if each.readable]
    for each in readable:
        path = file
        if into is not None:
            private.make_folder(into)
            path = into / _file_name(each)
        if path is not None:
            files[id(each)] = path
            private.write(path.absolute(), each.content)
    if as_json:
        data = [_data(each, files.get(id(each))) for each in opened]
        print_result({**(more or {}), "messages": data}, (), as_json=True)
    elif files:
        print_result([], map(str, files.values()), as_json=False)
    else:
        for each in readable:
            _show(each, titles)
    sys.stdout.flush()
    if not as_json:
        for each in opened:
            _tell(each)


def problem(opened: Sequence[api.Opened]) -> api.MixminionError | None:
    """Why the first of those that cannot be opened cannot."""
    return next((each.error for each in opened if each.error is not None), None)


def _show(opened: api.Opened, title: bool) -> None:
    if title:
        click.echo(f"--- {_title(opened)}")
    sys.stdout.flush()
    sys.stdout.buffer.write(opened.content)
    if title and not opened.content.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")


def _title(opened: api.Opened) -> str:
    to = "" if opened.identity is None else f" for {opened.identity}"
    date = [] if opened.date is None else [times.to_text(min(opened.date, times.LAST))]
    return ", ".join([f"{opened.kind}{to}", *date, f"{len(opened.content):,} octets"])


def _tell(opened: api.Opened) -> None:
    """What is to be said besides its content."""
    if opened.blocks:
        n = len(opened.blocks)
        has = "a reply block" if n == 1 else f"{n} reply blocks"
        say(f"it brought {has}: `mixminion send -R FILE` answers it, with the file that -o writes")
    match opened.kind:
        case api.Kind.PART:
            say(
                f"a part of reply {opened.number} for {opened.identity}: {opened.have} here,"
                f" {opened.lacking} more have to come"
            )
        case api.Kind.AGAIN:
            say("a copy of what was read before; `mixminion decode --again` shows such a one")
        case api.Kind.CLOSED if opened.error is not None:
            say(f"not opened: {api.render(opened.error)}", always=True)


def _file_name(opened: api.Opened) -> str:
    """A name that is the same each time, and another for another content."""
    digest = hashlib.sha256(opened.content).hexdigest()[:16]
    date = "" if opened.date is None else times.to_text(min(opened.date, times.LAST))[:10] + "-"
    return f"{date}{digest}.{opened.kind}"


def _data(opened: api.Opened, path: Path | None) -> Mapping[str, Any]:
    data: dict[str, Any] = {
        "kind": str(opened.kind),
        "identity": opened.identity,
        "handle": None if opened.handle is None else opened.handle.hex(),
        "date": None if opened.date is None else times.to_text(min(opened.date, times.LAST)),
    }
    if opened.readable:
        data["size"] = len(opened.content)
        data["reply_blocks"] = len(opened.blocks)
        if path is None:
            data["content"] = b64encode(opened.content).decode()
        else:
            data["file"] = str(path)
    if opened.kind is api.Kind.PART:
        data |= {"reply": opened.number, "have": opened.have, "lacking": opened.lacking}
    if opened.error is not None:
        data |= {"error": opened.error.code, "sentence": api.render(opened.error)}
    return data

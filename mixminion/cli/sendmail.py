"""``mixminion-sendmail``: the program that others call as sendmail(8)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from typing_extensions import override

from mixminion import api
from mixminion.cli import main as frame
from mixminion.cli import owner, sendmail_mail, sendmail_words
from mixminion.cli.client import run, tell
from mixminion.cli.telling import current


class Verbatim(click.Command):
    """A command that gets all its words as they are, but for --help."""

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] in (["--help"], ["-h"]):
            click.echo(ctx.get_help())
            ctx.exit()
        ctx.params["words"] = tuple(args)
        return []


@click.command(
    "mixminion-sendmail",
    cls=Verbatim,
    options_metavar="[-t] [-i] [-C FILE] [-v]",
    add_help_option=False,
)
@click.argument("words", nargs=-1, metavar="[ADDRESS]...")
def command(words: tuple[str, ...]) -> None:
    """Send the mail on standard input anonymously, for programs that expect sendmail(8).

    The mail has its header; what leaves of it is what `mixminion send --message` lets pass.
    Recipients are those named here and, with -t, those in To, Cc and Bcc; Bcc does not leave.
    A line with a dot alone ends it, unless -i is given.  -C is the client's configuration, and -v
    says what happens; without it nothing is said unless something goes wrong.

    -f, -F, -r and everything about queues and reports is taken and ignored: nobody learns who sent
    the mail, and no report can come back.  Exit code 75 means that the mail was not sent yet, but
    is kept: do not send it again, `mixminion queue flush` does.
    """
    asked = sendmail_words.read(words)
    mail = sys.stdin.buffer.read()
    if not asked.dots:
        mail = sendmail_mail.ended(mail)
    content = [sendmail_mail.with_header(mail)]
    to = list(asked.recipients)
    if asked.from_header:
        to += [each for each in sendmail_mail.recipients(content[0]) if each not in to]
    if not to:
        raise click.UsageError("No recipients; name them, or give -t where the mail names them.")
    content[0] = sendmail_mail.without_bcc(content[0])
    del mail
    current().verbose, current().silent = asked.verbose, not asked.verbose

    config = api.load_config(asked.config)
    hand_over = not owner.runs(config)  # the agent sends it at its own time, and nobody waits

    async def send(client: api.Client) -> api.Sent:
        return await client.send(to, content.pop(), whole=True, hand_over=hand_over, progress=tell)

    run(config, send)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; its exit code."""
    return frame.run(command, arguments)


if __name__ == "__main__":
    sys.exit(main())

"""``mixminion send``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mixminion import api
from mixminion.cli import answering, completing, given, owner, previewing, reactor
from mixminion.cli.client import config_option, run, say, tell
from mixminion.cli.errors import LeftByAgent
from mixminion.cli.insisting import insist, until_receipt
from mixminion.cli.keys import read_key_file
from mixminion.cli.output import json_option, print_result
from mixminion.cli.receipts import ENDS
from mixminion.cli.telling import current
from mixminion.client import configuration, key_sources
from mixminion.errors import EX_UNAVAILABLE
from mixminion.util import times

NOTICE = (
    "note: a message sent by itself is not unobservable: your network sees when you send."
    " (Silence this with one-shot-notice = no.)"
)
KEPT = "the message is kept: `mixminion queue flush` sends it."
BY_AGENT = "the message is kept, and the agent sends it."


@click.command()
@click.option(
    "-t",
    "--to",
    metavar="ADDRESS",
    multiple=True,
    help="user@example.org, mbox:user@server, news:group, drop, or exit:text.  May be given several"
    " times, as the next two.",
)
@click.option(
    "-R",
    "--answer",
    "answered",
    metavar="FILE",
    help="Answer whoever sent the message in FILE, by a reply block in it, instead of -t; - is"
    " standard input, and -i is needed then.",
)
@click.option(
    "--again",
    is_flag=True,
    help="With -R: take reply blocks that were used already, too.  Whoever watches their servers"
    " may see that two answers belong together, and mostly only the first one arrives.",
)
@click.option("--cc", metavar="ADDRESS", multiple=True, help="Another recipient, shown as Cc.")
@click.option("--bcc", metavar="ADDRESS", multiple=True, help="One whom the mail does not show.")
@click.option("-s", "--subject", metavar="TEXT", help="The subject of the mail.")
@click.option(
    "--from-name",
    "name",
    metavar="NAME",
    help="The name your mail is shown under, by an exit that allows it.",
)
@click.option(
    "--reply-to",
    metavar="ADDRESS",
    help="Where answers go, by an exit that allows it.  Whoever reads the mail reads it.",
)
@click.option(
    "-i",
    "--input",
    "source",
    metavar="FILE",
    default="-",
    help="The message; - is standard input, and what is read when there is no -i.",
)
@click.option(
    "--message",
    "whole",
    is_flag=True,
    help="The input is a whole mail with its header, of which To, Cc, Subject, those of threads"
    " and of MIME leave.",
)
@click.option(
    "-P",
    "--path",
    metavar="PATH",
    shell_complete=completing.servers,
    help="Servers, entry first and exit last: names, A|B for one of these, files with descriptors,"
    " ? for a random one, *N for N of them, ~N for about N.",
)
@click.option(
    "--copies",
    metavar="N",
    type=click.IntRange(1, 10),
    default=1,
    help="Send every packet N times over, by different paths; it is delivered once.",
)
@click.option(
    "--large",
    is_flag=True,
    help="Send it even if it takes more packets than messages of this network are meant to (40 as"
    " a rule, some 750 kB). Each packet is 32 KiB, or a quarter of a second at 1 Mbit/s, on your"
    " line and at every server of its path; many at once are easier to notice.",
)
@click.option(
    "--encrypt",
    is_flag=True,
    help="Encrypt it to the recipient's key, of those in `mixminion key list`.  Its subject is"
    " inside, and its length shows only how many packets it takes.",
)
@click.option(
    "--encrypt-to", metavar="FILE", help="The same, to the key in this file, whosever it is."
)
@click.option(
    "--reply-blocks",
    metavar="N",
    type=click.IntRange(0, 20),
    default=0,
    help="Put N pairs of reply blocks below the text, so that it can be answered N times in this"
    " key period and N times in the next.  One pair takes half a packet.",
)
@click.option(
    "--receipt",
    is_flag=True,
    help="Have the exit say what became of it, and send it again when no receipt comes: see"
    " `mixminion receipts`.  The text is kept until then.",
)
@click.option(
    "--identity",
    metavar="NAME",
    shell_complete=completing.identities,
    help="Who reads the answers.  [default: default]",
)
@click.option(
    "--queue",
    "only_keep",
    is_flag=True,
    help="Only keep it: `mixminion queue flush` sends it, or the agent that runs.",
)
@click.option(
    "-o",
    "--output",
    "output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write its packets to a new FILE, for another machine to send (`mixminion queue import`).",
)
@click.option(
    "--preview",
    is_flag=True,
    help="Send nothing: show what would arrive, what in it may tell of you, and what it takes.",
)
@click.option(
    "--wait",
    is_flag=True,
    help="Until the first server has it, however long that takes; without it one attempt is made,"
    " and the message is kept.  With --receipt, where no agent runs, until it is known what became"
    " of it.",
)
@json_option
@config_option
def command(
    config: api.Config,
    to: tuple[str, ...],
    answered: str | None,
    again: bool,
    cc: tuple[str, ...],
    bcc: tuple[str, ...],
    name: str | None,
    reply_to: str | None,
    subject: str | None,
    source: str,
    whole: bool,
    path: str | None,
    copies: int,
    large: bool,
    encrypt: bool,
    encrypt_to: str | None,
    reply_blocks: int,
    receipt: bool,
    identity: str | None,
    only_keep: bool,
    output: Path | None,
    preview: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Send a message anonymously.

    Ends when the first server has the message on its disk: then this computer may be
    switched off.  Exit code 75 means that the message was not sent, but is kept.

    A message that is too large for one packet goes in several, each by a path of its own;
    some of them may be lost.
    """
    if wait and (only_keep or output is not None or preview):
        raise click.UsageError("With --wait it is sent, and not with --queue, -o or --preview.")
    if preview and (only_keep or output is not None or answered is not None):
        raise click.UsageError("--preview is for -t, and sends nothing: without --queue, -o, -R.")
    if whole and subject is not None:
        raise click.UsageError("With --message the subject stands in the message itself.")
    answering.check(
        answered,
        source,
        {
            "-t": to,
            "--cc": cc,
            "--bcc": bcc,
            "--from-name": name,
            "--reply-to": reply_to,
            "--copies": copies > 1,
            "--encrypt": encrypt,
            "--encrypt-to": encrypt_to,
            "--receipt": receipt,
        },
        again=again,
    )
    public = (
        None if encrypt_to is None else key_sources.read(read_key_file(encrypt_to), encrypt_to)[0]
    )
    blocks = None if answered is None else answering.blocks(answered)
    content = [given.read(source)]  # taken out below: nothing holds what may be large
    if preview:
        _preview(
            config,
            lambda client: client.preview(
                to,
                content.pop(),
                cc=cc,
                bcc=bcc,
                subject=subject,
                name=name,
                reply_to=reply_to,
                whole=whole,
                path=path,
                copies=copies,
                encrypt=encrypt,
                encrypt_to=public,
                progress=tell,
            ),
            as_json=as_json,
        )
        return 0
    hand_over = not only_keep and output is None
    agent = hand_over and owner.runs(config)
    if config[configuration.ClientSection].one_shot_notice and hand_over and not agent:
        say(NOTICE)
    kept: int | None = None

    def progress(event: api.Event) -> None:
        nonlocal kept
        kept = event.id if isinstance(event, api.Kept) else kept
        tell(event)

    def numbers(sent: api.Sent) -> list[int]:
        """An answer's packets have numbers of their own, one after the other."""
        return [sent.id] if blocks is None else [*range(sent.id, sent.id + sent.packets)]

    async def send(client: api.Client) -> api.Sent:
        if blocks is not None:
            sent = await client.reply(
                blocks,
                content.pop(),
                subject=subject,
                whole=whole,
                path=path,
                again=again,
                large=large,
                reply_blocks=reply_blocks,
                identity=identity,
                hand_over=hand_over and not agent,
                progress=progress,
            )
        else:
            sent = await client.send(
                to,
                content.pop(),
                cc=cc,
                bcc=bcc,
                subject=subject,
                name=name,
                reply_to=reply_to,
                whole=whole,
                path=path,
                copies=copies,
                large=large,
                encrypt=encrypt,
                encrypt_to=public,
                reply_blocks=reply_blocks,
                identity=identity,
                receipt=receipt,
                hand_over=hand_over and not agent,
                progress=progress,
            )
        if output is not None:
            await client.export(output.absolute(), numbers(sent))
        return sent

    came: api.Receipt | None = None

    async def insisting(client: api.Client) -> api.Sent | None:
        nonlocal came
        sent = None
        try:
            sent = await send(client)
        except api.NotHandedOver as error:
            if not wait or kept is None:
                raise
            await insist(client, kept, error)
        if wait and receipt and kept is not None and not agent:
            came = await until_receipt(client, kept)
        return sent

    try:
        sent = run(config, insisting)
        if agent and sent is not None and came is None:
            sent = _by_agent(config, sent, numbers(sent), wait=wait)
        elif sent is not None and came is not None:  # by the agent, if one runs: it has arrived
            sent = replace(sent, handed=True)
    except KeyboardInterrupt:
        left = BY_AGENT if agent else KEPT
        say(f"Interrupted; {'nothing was sent or kept.' if kept is None else left}", always=True)
        raise
    except api.MixminionError as error:
        if kept is None:
            say("nothing was sent or kept")
        data = {"sent": False, "kept": kept is not None, "error": error.code}
        print_result(data, (), as_json=as_json)
        raise
    told = {} if came is None else {"receipt": str(came.state)}
    if came is not None:
        say(f"receipt: {ENDS[came.state]}{f' ({came.reason})' if came.reason else ''}")
    if sent is None or told:
        result = {"sent": True, "number": kept} if sent is None else _result(sent)
        print_result({**result, **told}, (), as_json=as_json)
        return _ended(came)
    if output is not None:
        say(f"not sent: {_packets(sent.packets)} written to {output}")
    elif only_keep:
        by = "the agent sends it" if owner.runs(config) else "`mixminion queue flush` sends it"
        say(f"not sent, but kept as number {sent.id}: {by}")
    if receipt:
        say("a receipt is waited for: `mixminion receipts check` fetches it")
    where = {} if output is None else {"file": str(output)}
    print_result({**_result(sent), **where}, (), as_json=as_json)
    return 0


def _ended(came: api.Receipt | None) -> int:
    """A message that was not taken in the end did not arrive, as far as anybody knows."""
    if came is None or came.state is api.ReceiptState.ACCEPTED:
        return 0
    return EX_UNAVAILABLE


def _by_agent(config: api.Config, sent: api.Sent, numbers: list[int], *, wait: bool) -> api.Sent:
    """Have the agent send what is kept, and wait until it has; *wait* however long it takes."""
    say("the agent sends it at a moment of its own")
    _, left = owner.follow(config, numbers)
    while left and wait:
        say(next(iter(left.values()))["sentence"])
        _, left = owner.follow(config, numbers)
    if left:
        raise LeftByAgent(sentence=next(iter(left.values()))["sentence"])
    handed = replace(sent, handed=True, expected=reactor.now() + sent.delay)
    tell(handed)
    return handed


def _preview(
    config: api.Config,
    look: Callable[[api.Client], Coroutine[Any, Any, api.Preview]],
    *,
    as_json: bool,
) -> None:
    found = run(config, look)
    print_result(previewing.data(found), previewing.lines(found), as_json=as_json)


def _result(sent: api.Sent) -> Mapping[str, Any]:
    path = {"path": list(sent.path)} if current().verbose else {}
    return {
        "sent": sent.handed,
        **({} if sent.handed else {"kept": True, "number": sent.id}),
        "entry": sent.entry,
        "hops": len(sent.path),
        "expected": times.to_text(sent.expected),
        **({} if sent.packets == 1 else {"packets": sent.packets}),
        **path,
    }


def _packets(n: int) -> str:
    return "1 packet is" if n == 1 else f"{n:,} packets are"

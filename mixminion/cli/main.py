"""``mixminion``: the commands' table, and the one place where their errors are told."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from mixminion.cli.lazy import LazyGroup, postpone
from mixminion.cli.telling import Telling
from mixminion.errors import (
    EX_CANTCREAT,
    EX_NOPERM,
    EX_SOFTWARE,
    EX_USAGE,
    MixminionError,
    render,
)

postpone("mixminion.api", "mixminion.client", "mixminion.app", "mixminion.authority")

DEBUG = "MIXMINION_DEBUG"
CONFIG = "MIXMINION_CONFIG"
INTERRUPTED = 130
BROKEN_PIPE = 1  # as click has it

COMMANDS = {
    "join": "Join a network: say whom to believe, and fetch the directory.",
    "send": "Send a message anonymously.",
    "count-packets": "Say how many packets a message takes.",
    "queue": "Show, send or delete messages that were not sent yet.",
    "receipts": "Ask what became of messages that were sent with a receipt.",
    "identity": "Names of your own, each with a key pair.",
    "reply-block": "Let people answer you: make, show and delete reply blocks.",
    "decode": "Read what came back: answers to your reply blocks, and messages.",
    "fragments": "Answers in several parts, of which not all are here.",
    "mailbox": "Get messages without an address: make a mailbox, and fetch from it.",
    "key": "Encrypt: keys of others, and your own.",
    "entries": "Show or replace the servers that your packets go to first.",
    "agent": "Run a client that sends at random moments, with cover traffic.",
    "list-servers": "List the servers of the network.",
    "import-server": "Use a server that no directory lists, where a path names it.",
    "ping": "Ask whether a server answers.",
    "update": "Fetch the newest directory.",
    "directory": "Look at the directory: who signed it, and what changed.",
    "server": "Set up and run a server.",
    "authority": "Set up and run a directory authority.",
    "completion": "Print what makes a shell complete these words.",
    "version": "Show versions.",
}


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    prefix="mixminion.cli.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--config", metavar="FILE", help="The client's configuration.")
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected error.")
def mixminion(config: str | None, debug: bool) -> None:
    """Mixminion, an anonymous remailer."""
    # In the environment, so that they hold for processes that the command starts, too.
    if config is not None:
        os.environ[CONFIG] = os.path.abspath(config)
    if debug:
        os.environ[DEBUG] = "1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code.  No error leaves a traceback, unless it was asked for."""
    return run(mixminion, arguments)


def run(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """The same for one *command* that is a program of its own."""
    telling = Telling()
    code, error = _run(command, arguments, telling)
    telling.end(code, error)
    return code


def _run(
    command: click.Command, arguments: Sequence[str] | None, telling: Telling
) -> tuple[int, BaseException | None]:
    try:
        result = command.main(arguments, prog_name=command.name, standalone_mode=False, obj=telling)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return EX_USAGE, error
    except click.ClickException as error:
        telling.look_for(sys.argv[1:] if arguments is None else arguments)
        return _wrong_usage(error), error
    except (click.Abort, KeyboardInterrupt) as error:
        return INTERRUPTED, error
    except BrokenPipeError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE, error
    except MixminionError as error:
        return _told(error), error
    except OSError as error:
        return _system(error), error
    except Exception as error:
        return _unexpected(error), error
    return (result if isinstance(result, int) else 0), None


def exit_code(error: MixminionError) -> int:
    """A command's exit code; an error from a daemon brings its own along."""
    return int(error.fields.get("exit_code", error.exit_code))


def _told(error: MixminionError) -> int:
    code = exit_code(error)
    if code == EX_SOFTWARE:
        return _unexpected(error, render(error))
    _say(render(error))
    if DEBUG in os.environ:
        traceback.print_exception(error)
    return code


def _unexpected(error: Exception, sentence: str | None = None) -> int:
    _say(sentence or f"Mixminion made a mistake ({type(error).__name__}); please report it.")
    if DEBUG in os.environ:
        traceback.print_exception(error)
    else:
        click.echo("`mixminion --debug ...` shows where it happened.", err=True)
    return EX_SOFTWARE


def _system(error: OSError) -> int:
    """What a command did not foresee and the operating system refused."""
    if error.filename is None:
        return _unexpected(error)
    _say(f"Cannot use {os.fsdecode(error.filename)}: {error.strerror}.")
    if DEBUG in os.environ:
        traceback.print_exception(error)
    return EX_NOPERM if isinstance(error, PermissionError) else EX_CANTCREAT


def _wrong_usage(error: click.ClickException) -> int:
    _say(error.format_message())
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        click.echo(f"See `{context.command_path} --help`.", err=True)
    return EX_USAGE


def _say(sentence: str) -> None:
    click.echo(f"mixminion: {sentence}", err=True)

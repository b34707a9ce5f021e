"""``mixminion completion``."""

from __future__ import annotations

import click
from click import shell_completion

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_MIXMINION_COMPLETE"
"""In which a shell asks what can stand where the cursor is."""


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print what makes SHELL complete the words of this command.

    \b
    bash  mixminion completion bash > ~/.local/share/bash-completion/completions/mixminion
    zsh   mixminion completion zsh > FOLDER/_mixminion, with FOLDER in $fpath
    fish  mixminion completion fish > ~/.config/fish/completions/mixminion.fish

    Names of servers come from the directory that is held; nothing is fetched for them.
    """
    root = click.get_current_context().find_root().command
    kind = shell_completion.get_completion_class(shell)
    assert kind is not None  # click has these three
    completion = kind(root, {}, "mixminion", VARIABLE)
    # Not source(): that starts a bash to see how old it is.
    click.echo(completion.source_template % completion.source_vars())

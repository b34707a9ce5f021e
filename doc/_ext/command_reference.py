"""The directives ``command-reference`` and ``command-page``: what commands say of themselves."""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

from mixminion.cli.main import COMMANDS, mixminion
from mixminion.cli.manual import page, reference
from mixminion.cli.sendmail import command as sendmail
from mixminion.cli.tree import commands

OPERATORS = ("server", "authority", "pinger")


class CommandReference(SphinxDirective):
    """All of the senders' commands, one section each."""

    def run(self) -> list[nodes.Node]:
        """See :class:`docutils.parsers.rst.Directive`."""
        section = nodes.section()
        section.document = self.state.document
        lines = StringList(self.text().splitlines(), source="commands")
        nested_parse_with_titles(self.state, lines, section)
        return section.children

    def text(self) -> str:
        """The reference."""
        found = {words[1]: each for words, each in commands(mixminion) if len(words) == 2}
        chosen = [name for name in COMMANDS if name not in OPERATORS]
        texts = [reference(found[name], ("mixminion", name)) for name in chosen]
        return "\n".join([*texts, reference(sendmail, ("mixminion-sendmail",))])


class CommandPage(CommandReference):
    """One of them, with what is under it."""

    required_arguments = 1

    def text(self) -> str:
        """The page."""
        name = self.arguments[0]
        if name == "sendmail":
            return page(sendmail, ("mixminion-sendmail",))
        found = {words[1]: each for words, each in commands(mixminion) if len(words) == 2}
        return page(found[name], ("mixminion", name))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("command-reference", CommandReference)
    app.add_directive("command-page", CommandPage)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The directives ``server-configuration``, ``local-users`` and ``client-configuration``: all keys
of a server, of an mbox exit's file of users, and of a client, from their schemas."""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

from mixminion.app.configuration import reference
from mixminion.client.configuration import SECTIONS
from mixminion.config.reference import reference as key_reference
from mixminion.exits.mbox_users import User


class ServerConfiguration(SphinxDirective):
    """Puts the reference where it stands."""

    def run(self) -> list[nodes.Node]:
        """See :class:`docutils.parsers.rst.Directive`."""
        section = nodes.section()
        section.document = self.state.document
        lines = StringList(self.text().splitlines(), source="configuration reference")
        nested_parse_with_titles(self.state, lines, section)
        return section.children

    def text(self) -> str:
        """The reference."""
        return reference()


class LocalUsers(ServerConfiguration):
    """The same for the file of users."""

    def text(self) -> str:
        """The reference."""
        return key_reference(User)


class ClientConfiguration(ServerConfiguration):
    """The same for a client."""

    def text(self) -> str:
        """The reference."""
        return "\n".join(key_reference(section) for section in SECTIONS).replace("*", "\\*")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("server-configuration", ServerConfiguration)
    app.add_directive("local-users", LocalUsers)
    app.add_directive("client-configuration", ClientConfiguration)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The directive ``authority-configuration``: all keys of an authority, from the schema."""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

from mixminion.app.authority_configuration import reference


class AuthorityConfiguration(SphinxDirective):
    """Puts the reference where it stands."""

    def run(self) -> list[nodes.Node]:
        """See :class:`docutils.parsers.rst.Directive`."""
        section = nodes.section()
        section.document = self.state.document
        # One level below the section it stands in.
        lines = StringList(reference().replace("\n---", "\n~~~").splitlines(), source="reference")
        nested_parse_with_titles(self.state, lines, section)
        return section.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("authority-configuration", AuthorityConfiguration)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The section ``[Paths]`` of a client's configuration."""

from __future__ import annotations

from mixminion.config import option, section, values
from mixminion.config.errors import BadValue
from mixminion.paths import language
from mixminion.paths.errors import BadPath
from mixminion.paths.preferences import List, Lists, Term


def _default_path(text: str) -> str:
    try:
        language.parse(text)
    except BadPath as error:
        at = error.fields["position"]
        raise BadValue(f"expected {error.fields['expected']} at character {at}") from None
    return text


default_path: values.Value[str] = values.Value("a path such as *4", _default_path)

servers: values.Value[tuple[Term, ...]] = values.list_of(
    values.Value(
        "a server's nickname, family:NAME, country:de, or a network such as 192.0.2.0/24",
        Term.parse,
    )
)


@section("Paths")
class PathsSection:
    """How paths are chosen."""

    default_path: str | None = option(
        default_path,
        default=None,
        doc="The path of messages without --path; when absent, random and of the network's length.",
    )
    allow: tuple[Term, ...] = option(
        servers, default=(), doc="Whom random hops are chosen from; when empty, all servers."
    )
    deny: tuple[Term, ...] = option(
        servers,
        default=(),
        doc="Who is never chosen at random; a path may name them.",
    )
    allow_entry: tuple[Term, ...] = option(
        servers, default=(), doc="Whom entries are chosen from, of those that may be in a path."
    )
    deny_entry: tuple[Term, ...] = option(
        servers, default=(), doc="Who is never chosen for the first hop."
    )
    allow_exit: tuple[Term, ...] = option(
        servers, default=(), doc="Whom exits are chosen from, of those that may be in a path."
    )
    deny_exit: tuple[Term, ...] = option(
        servers, default=(), doc="Who is never chosen for the last hop."
    )

    @property
    def lists(self) -> Lists:
        """What the six lists say together."""
        return Lists(
            List(self.allow, self.deny),
            List(self.allow_entry, self.deny_entry),
            List(self.allow_exit, self.deny_exit),
        )

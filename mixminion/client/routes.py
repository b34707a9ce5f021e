"""The path of a message: what was written, the configuration's, and what its address asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mixminion.client.imported import ImportedServers
from mixminion.directory.view import View
from mixminion.paths import language


async def route(
    server: str | None,
    path: str | None,
    default: str,
    imported: ImportedServers,
    look: Callable[[], Awaitable[View]],
) -> str:
    """The path of a message in path language, without files; empty for the network's usual length.

    *server* is the one that its address names, which is the last hop then; *path* is what was
    written for this message, None where nothing was; *default* is the configuration's.  *look*
    gives the directory, which is not always needed.

    :raises BadPath: what was written is no path.
    """
    text = default if path is None else path
    spec = language.parse(text) if text else None
    files = spec is not None and any(spec.files)
    if server is None and not files:
        return text
    view = await look()
    if spec is not None and files:
        text = str(await imported.without_files(spec, view))
    if server is None:
        return text
    if path is None and text:
        return str(language.closing_at(language.parse(text), server))
    return language.ending_at(text, server, view.parameters.hops)

"""Why directory documents could not be had."""

from __future__ import annotations

from mixminion.errors import EX_UNAVAILABLE, OperatorError, PeerError, UserError


class NoDirectory(OperatorError):
    """Nothing has been fetched yet, or what was kept could not be believed."""

    code = "no-directory"
    sentence = "There is no directory here yet; run `mixminion update`."
    exit_code = EX_UNAVAILABLE


class BadSource(UserError):
    """Text that does not name a source of documents."""

    code = "bad-source"
    sentence = (
        "{text!r} is no source of directory documents: expected https://HOST:PORT/ for a server's"
        " own port, or http://HOST:PORT/."
    )


class FetchFailed(PeerError):
    """One source did not give one document: ``why`` is a word or two of ours."""

    code = "fetch-failed"
    sentence = "{source} did not serve the {document}: {why}."


class NothingFetched(PeerError):
    """No source gave anything that could be judged; ``report`` says what each said."""

    code = "nothing-fetched"
    sentence = (
        "No source gave a directory ({report}); check the connection and the [Directory] sources,"
        " then run `mixminion update`."
    )


class NoSources(UserError):
    """Nowhere to ask."""

    code = "no-sources"
    sentence = (
        "There is nobody to ask for a directory; put addresses of servers under [Directory]"
        " sources."
    )


class BadProxy(UserError):
    """Text that names no HTTP proxy.  It may hold a password, and is not shown."""

    code = "bad-proxy"
    sentence = (
        "{where} names no HTTP proxy: expected http://HOST:PORT/ or"
        " http://USER:PASSWORD@HOST:PORT/."
    )

"""The ``mixminion`` command: one file per command, imported when it is called.

A module ``mixminion.cli.NAME`` exports a click command as ``command``; a server's command
NAME is in ``mixminion.cli.server_NAME``.  What a command returns, when it is a number, is its
exit code.
"""

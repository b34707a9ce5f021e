"""The local socket between commands and daemons.

A connection carries one request and one answer, each a JSON object on a line of its own::

    {"version": 1, "command": "status", "arguments": {}}
    {"version": 1, "answer": {...}}
    {"version": 1, "error": {"code": "...", "sentence": "...", "exit-code": 69}}

The socket is 0600 in the daemon's home: who may use it is the file system's to decide.
"""

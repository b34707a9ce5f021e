"""What every command of a sender prints, recorded: output, JSON, exit codes, and wrong uses.

``cases`` has a file for each subject; ``python -m tests.golden`` records them anew, after which the
difference is to be read.  See :mod:`tests.golden.transcript` for their form.
"""

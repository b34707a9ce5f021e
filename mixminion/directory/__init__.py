"""Directory documents: what servers say of themselves, and what the authorities agree on.

Everything here is pure: octets and clock readings come in, values go out.  The formats are
specified in ``doc/spec/directory.rst``.
"""

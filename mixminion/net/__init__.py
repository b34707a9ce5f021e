"""Links between machines: TLS 1.3 pinned to identities, ALPN, listeners, connection limits.

:mod:`links` makes and renews certificates, :mod:`tls` the two sides' TLS, :mod:`alpn` lets
one port speak several protocols, :mod:`listeners` opens ports, :mod:`admission` counts
connections per address prefix, :mod:`errors` names every way a link can be refused.
"""

"""One file per daemon and worker; with ``cli`` the only place that looks up the reactor."""

"""Where the configuration has packet keys and storage keys."""

from __future__ import annotations

from mixminion.config import Config
from mixminion.disk.keystore import KeyStore, Kind
from mixminion.mix.config import ServerSection


def key_store(config: Config) -> KeyStore:
    """The key store of the server of *config*; on disk it is its folder of keys, unless another
    is named."""
    section = config[ServerSection]
    return KeyStore(Kind(section.key_store), section.key_store_path or config.home / "keys")

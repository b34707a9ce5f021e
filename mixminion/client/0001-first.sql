-- Packets that are not yet known to be on the entry's disk.
CREATE TABLE packets (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    state   TEXT    NOT NULL CHECK (state IN ('new', 'handed')),
    entry   BLOB    NOT NULL,  -- identity of the server that takes it, 32 octets
    period  INTEGER NOT NULL,  -- the key period it was built for
    hour    INTEGER NOT NULL,  -- when it was written: Unix seconds, rounded down to the hour
    packet  BLOB    NOT NULL,
    -- What it is built again from when it misses its period; gone once it was handed over.
    path    TEXT,
    message BLOB,
    CHECK ((state = 'new') = (message IS NOT NULL AND path IS NOT NULL))
);

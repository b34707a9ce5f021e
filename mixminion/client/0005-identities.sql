-- Identities: each a key pair, to which what opens answers is sealed, and others encrypt.
CREATE TABLE identities (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    public  BLOB    NOT NULL UNIQUE,  -- 1,216 octets
    secret  BLOB    NOT NULL,         -- its seed(32), or that sealed by a passphrase
    address TEXT                      -- where answers go unless something else is said
);
-- Reply blocks that were handed out.
CREATE TABLE reply_blocks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    surb_id    BLOB    NOT NULL UNIQUE,  -- 16 octets: what comes back is found by it
    identity   INTEGER NOT NULL REFERENCES identities (id),
    digest     BLOB    NOT NULL,         -- SHA-256 of the block, by which it is recognised
    suite      TEXT    NOT NULL,         -- this and the next three: its geometry
    hops       INTEGER NOT NULL,
    commands   INTEGER NOT NULL,
    packet     INTEGER NOT NULL,
    period     INTEGER NOT NULL,         -- key period
    not_before INTEGER NOT NULL,         -- Unix seconds, as the next
    not_after  INTEGER NOT NULL,
    address    TEXT    NOT NULL,         -- where the answer comes
    key        BLOB    NOT NULL,         -- what opens it, sealed to the identity
    hour       INTEGER NOT NULL,         -- when it was made, rounded down to the hour
    used       INTEGER                   -- the hour in which its answer was read
);
CREATE INDEX reply_blocks_by_identity ON reply_blocks (identity);

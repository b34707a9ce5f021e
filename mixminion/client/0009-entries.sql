-- Entries that are kept, the oldest first: two are in use, the others a reserve.
CREATE TABLE entries (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    identity BLOB    NOT NULL UNIQUE,  -- of the server, 32 octets
    nickname TEXT    NOT NULL,         -- when it was drawn
    drawn    INTEGER NOT NULL,         -- Unix seconds, rounded down to the hour, as all of these
    until    INTEGER NOT NULL,
    absent   INTEGER,                  -- since when no directory has had it usable
    silent   INTEGER,                  -- since when it has not taken anything
    failed   INTEGER,                  -- the last hour in which it did not
    failures INTEGER NOT NULL,         -- hours in which it did not, since then
    worked   INTEGER                   -- the last hour in which it did
);
-- Servers that are known from files.
CREATE TABLE imported_servers (
    identity   BLOB    PRIMARY KEY,  -- 32 octets
    nickname   TEXT    NOT NULL,
    descriptor BLOB    NOT NULL      -- in its envelope
) WITHOUT ROWID;
CREATE UNIQUE INDEX imported_names ON imported_servers (lower(nickname));

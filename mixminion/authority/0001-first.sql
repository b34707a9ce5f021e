-- Every server this authority has heard of or decided about.
CREATE TABLE servers (
    identity     BLOB    PRIMARY KEY,  -- 32 octets
    nickname     TEXT,                 -- none: decided about before it was seen
    name         TEXT    UNIQUE,       -- the nickname in lower case, bound to whoever had it first
    decision     TEXT    NOT NULL CHECK (decision IN ('none', 'approved', 'rejected', 'banned')),
    exit         INTEGER NOT NULL,     -- whether it may be an exit before its time
    note         TEXT    NOT NULL,     -- why, in the operator's words
    first_seen   INTEGER NOT NULL,     -- Unix seconds, like all times here
    first_listed INTEGER,              -- in a consensus
    descriptor   BLOB                  -- digest of the payload it stands by
);

-- Descriptors in their envelopes: those above, and for some days those that votes named.
CREATE TABLE descriptors (
    digest BLOB    PRIMARY KEY,
    octets BLOB    NOT NULL,
    kept   INTEGER NOT NULL            -- from when on
);

-- What came of dialling the addresses that servers publish.
CREATE TABLE dials (
    identity BLOB    NOT NULL,
    place    TEXT    NOT NULL,         -- host and port as published
    failures INTEGER NOT NULL,         -- in a row
    tried    INTEGER NOT NULL,
    reached  INTEGER,                  -- the last time somebody proved the identity there
    problem  TEXT    NOT NULL,         -- of the last failure
    PRIMARY KEY (identity, place)
);

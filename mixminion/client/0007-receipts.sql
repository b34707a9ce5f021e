-- Messages whose senders want to know what became of them.
CREATE TABLE receipts (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    BLOB    NOT NULL UNIQUE,  -- the id in their fragments, 16 octets
    hour    INTEGER NOT NULL,         -- when it was sent first, rounded down to the hour
    state   TEXT    NOT NULL
            CHECK (state IN ('waiting', 'accepted', 'refused', 'expired', 'silent', 'withdrawn')),
    reason  TEXT,                     -- the exit's word
    date    INTEGER,                  -- the exit's date, to the hour
    path    TEXT    NOT NULL,
    copies  INTEGER NOT NULL,
    mailbox INTEGER NOT NULL,         -- where its receipts come to
    server  BLOB    NOT NULL,         -- identity of the one that has it now
    tried   BLOB    NOT NULL,         -- identities of all that had it
    attempt INTEGER NOT NULL,         -- number of the last one, from 0
    kept    INTEGER NOT NULL,         -- number of that in the outbox
    due     REAL    NOT NULL,         -- when the receipt should have come
    message BLOB                      -- gone once it is known what became of it
);
CREATE INDEX receipts_by_number ON receipts (kept);
-- What opens them.  It says what became of a message, and not of which: it is not sealed.
CREATE TABLE receipt_keys (
    surb_id   BLOB    PRIMARY KEY,
    receipt   INTEGER NOT NULL,
    suite     TEXT    NOT NULL,
    hops      INTEGER NOT NULL,
    commands  INTEGER NOT NULL,
    packet    INTEGER NOT NULL,
    not_after INTEGER NOT NULL,       -- until when it can be used, Unix seconds
    key       BLOB    NOT NULL
);

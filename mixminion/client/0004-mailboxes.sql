-- Our own mailboxes: each a key, at one server's exit.
CREATE TABLE mailboxes (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    server   BLOB    NOT NULL,  -- its identity, 32 octets
    nickname TEXT    NOT NULL,  -- of the server, when the mailbox was made
    exit     TEXT    NOT NULL,  -- delivery name
    private  BLOB    NOT NULL   -- Ed25519, 32 octets
);
-- What was fetched.  A row stays after its content has been read, so that what a server gives
-- once more is recognised.
CREATE TABLE mailbox_items (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox INTEGER NOT NULL REFERENCES mailboxes (id),
    item    BLOB    NOT NULL,   -- the server's name for it, 8 octets
    date    INTEGER NOT NULL,   -- when it left the server's pool, Unix seconds
    handle  BLOB,               -- of a reply, 16 octets
    content BLOB,               -- gone once it was read
    UNIQUE (mailbox, item)
);

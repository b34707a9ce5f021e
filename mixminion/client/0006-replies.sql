-- Reply blocks of others that were used, and parts of replies that have come.

-- A reply block that a packet of ours answers; gone, with its path and message, once handed over.
ALTER TABLE packets ADD COLUMN block BLOB;
-- By what every block that we used is recognised, so that none is used twice.
CREATE TABLE used_blocks (
    digest BLOB    PRIMARY KEY,  -- SHA-256 of its header
    until  INTEGER NOT NULL,     -- when nobody can use it any more, Unix seconds
    packet INTEGER NOT NULL      -- the packet that used it first
);
-- Of a packet that is deleted before it was given to anybody, nobody has seen the block.
CREATE TRIGGER unused_blocks AFTER DELETE ON packets
WHEN OLD.state = 'new' AND OLD.block IS NOT NULL
BEGIN
    DELETE FROM used_blocks WHERE packet = OLD.id;
END;
-- What was opened and read, so that a second copy is known for one.
CREATE TABLE opened (
    digest BLOB    PRIMARY KEY,  -- SHA-256 of what came, as it came
    hour   INTEGER NOT NULL      -- Unix seconds, rounded down to the hour
);
-- Replies in several parts of which something is here.
CREATE TABLE partial_replies (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    identity INTEGER NOT NULL,   -- the identity whose reply blocks brought it
    name     BLOB    NOT NULL,   -- the id in its fragments, 16 octets
    coding   INTEGER NOT NULL,
    size     INTEGER NOT NULL,   -- octets of the coded reply
    piece    INTEGER NOT NULL,   -- octets of a piece
    hour     INTEGER NOT NULL,   -- when the first part came
    done     INTEGER NOT NULL DEFAULT 0,  -- whether it was put together and read
    UNIQUE (identity, name, coding, size, piece)
);
-- Their parts, each sealed to the identity.
CREATE TABLE reply_parts (
    reply  INTEGER NOT NULL REFERENCES partial_replies (id),
    block  INTEGER NOT NULL,
    number INTEGER NOT NULL,     -- in its block
    octets BLOB    NOT NULL,
    PRIMARY KEY (reply, block, number)
);

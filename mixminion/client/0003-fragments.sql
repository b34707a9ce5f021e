-- Messages in fragments, as long as packets of them are here or yet to be built.
CREATE TABLE messages (
    id     INTEGER PRIMARY KEY,  -- out of the numbers of packets
    hour   INTEGER NOT NULL,
    name   BLOB    NOT NULL,     -- the id in their fragments, 16 octets
    coding INTEGER NOT NULL,
    size   INTEGER NOT NULL,     -- octets of the coded message
    piece  INTEGER NOT NULL,     -- octets of a piece
    copies INTEGER NOT NULL,
    exit   TEXT    NOT NULL,
    server BLOB    NOT NULL,     -- identity of the server that puts it together, 32 octets
    path   TEXT    NOT NULL
);
-- What is yet to be built: the coded message, block by block.
CREATE TABLE blocks (
    message INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    octets  BLOB    NOT NULL,
    PRIMARY KEY (message, number)
);
-- The message that a packet has a fragment of; the packet's own message is that fragment then.
ALTER TABLE packets ADD COLUMN part_of INTEGER;
CREATE INDEX packets_of_messages ON packets (part_of) WHERE part_of IS NOT NULL;

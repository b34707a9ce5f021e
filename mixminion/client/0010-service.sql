-- The hour in which a packet was chosen to go into a file, for another machine to send: until the
-- file is known to be on its disk and the packet goes from here.  It is not sent from here meanwhile.
ALTER TABLE packets ADD COLUMN carried INTEGER;
-- Packets that came from files, by the SHA-256 of their octets, so that none comes twice.
CREATE TABLE brought (
    digest BLOB    PRIMARY KEY,
    period INTEGER NOT NULL     -- the key period it was built for
);

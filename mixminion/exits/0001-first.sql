-- Who gets no mail: by keyed hashes, so that this file names nobody.
CREATE TABLE blocked (
    entry  BLOB    PRIMARY KEY,  -- 16 octets, of an address or of a domain
    since  INTEGER NOT NULL,     -- Unix seconds of the beginning of that day
    until  INTEGER,              -- Unix seconds; none: for good
    origin TEXT    NOT NULL CHECK (origin IN ('operator', 'link', 'mail', 'bounce'))
);

-- Exits that hand nothing over until their operator says so.
CREATE TABLE paused (
    exit TEXT PRIMARY KEY
);

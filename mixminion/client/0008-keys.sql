-- Other people's keys, each for one address.
CREATE TABLE keys (
    address       TEXT    NOT NULL PRIMARY KEY,  -- as mixminion.client.key_sources.canonical has it
    public        BLOB    NOT NULL,     -- 1,216 octets
    origin        TEXT    NOT NULL,     -- the name of a source, or 'file'
    since         INTEGER NOT NULL,     -- Unix seconds, the hour
    verified      INTEGER NOT NULL,     -- whether somebody compared the fingerprint
    offered       BLOB,                 -- another key that came for the address
    offered_by    TEXT,                 -- where from
    offered_since INTEGER               -- the hour
);

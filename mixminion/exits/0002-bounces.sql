-- Recipients whose mail came back for good, and on how many days; entries as in blocked.
CREATE TABLE bounces (
    entry BLOB    PRIMARY KEY,
    days  INTEGER NOT NULL,
    last  INTEGER NOT NULL  -- Unix seconds of the beginning of the last such day
);

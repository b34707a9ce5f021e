-- When the directory is fetched next: a random moment, so that it is kept.
CREATE TABLE fetches (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    due      REAL    NOT NULL,  -- Unix seconds
    failures INTEGER NOT NULL   -- in a row
);

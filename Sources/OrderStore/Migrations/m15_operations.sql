-- What operators do and look for.

-- Partitions that are stopped for a while: no worker consumes them. -1 stands for all, those to come included.
CREATE TABLE pauses (
    partition integer PRIMARY KEY CHECK (partition >= -1),
    since     timestamptz NOT NULL DEFAULT now()
);

-- By which version of the catalog a command was decided; NULL for those from before this column.
ALTER TABLE inbox ADD COLUMN catalog_version bigint;

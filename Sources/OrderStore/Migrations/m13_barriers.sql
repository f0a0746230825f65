-- Order per customer through any number of moves between partitions.

-- A barrier is a number that goes through every partition's queue: what was published before it was begun is applied or parked
-- once it has come out of all of them. This is the last one that was begun.
ALTER TABLE topology ADD COLUMN barrier bigint NOT NULL DEFAULT 0;

-- The last barrier that has come out of each partition's queue.
CREATE TABLE barriers (
    partition integer PRIMARY KEY,
    passed    bigint NOT NULL
);

-- Moments since when customers may come by other partitions than before, as the broker was away: what was published later
-- waits until the barrier is through.
CREATE TABLE fences (
    barrier    bigint PRIMARY KEY,
    since      timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- needs: the barrier that has to be through before the command may be applied. ordered_at: when it was published, as far as
-- anybody knows; it never falls within a customer's commands of one partition.
ALTER TABLE parked
    ADD COLUMN needs bigint NOT NULL DEFAULT 1,
    ADD COLUMN ordered_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN parked_at timestamptz NOT NULL DEFAULT now();

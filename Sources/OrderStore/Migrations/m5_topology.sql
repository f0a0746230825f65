-- How many partitions the customers are hashed to: what `topology apply` made last, and what workers serve.
CREATE TABLE topology (
    is_only    boolean PRIMARY KEY DEFAULT true CHECK (is_only), -- there is one row at most
    partitions integer NOT NULL CHECK (partitions BETWEEN 1 AND 100),
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

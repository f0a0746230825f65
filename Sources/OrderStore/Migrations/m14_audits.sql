-- When the books were audited and what was found, for those who watch from outside. A row an audit.
CREATE TABLE audits (
    audit_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    violations  bigint NOT NULL CHECK (violations >= 0), -- rows that break an invariant
    broken      text[] NOT NULL -- the checks that found any
);
CREATE INDEX audits_finished ON audits (finished_at);

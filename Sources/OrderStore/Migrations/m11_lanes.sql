-- Order per customer through any move between partitions, and events that the broker doesn't take.

-- The partition of the customer's last command. A command that comes by another one waits until what the old one holds of
-- the customer is applied. NULL until the next command.
ALTER TABLE customers ADD COLUMN partition integer CHECK (partition >= 0);

-- Events that the broker will never take (too large for it), and those of the same customers that stand behind them, in
-- their order. An operator releases them once the cause is gone; the partition's owner then publishes them.
CREATE TABLE quarantine (
    partition      integer NOT NULL,
    position       bigint GENERATED ALWAYS AS IDENTITY,
    event_id       uuid NOT NULL,
    type           text NOT NULL,
    time           timestamptz NOT NULL,
    customer_id    uuid NOT NULL,
    data           bytea NOT NULL,
    reply_to       text,
    correlation_id text,
    traceparent    text,
    tracestate     text,
    reason         text NOT NULL, -- empty: it stands behind another one
    released       boolean NOT NULL DEFAULT false,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition, position)
);
CREATE INDEX quarantine_customer ON quarantine (customer_id, position);

-- Commands that wait until another partition has handed their customer over, as they were delivered, in their order.
CREATE TABLE parked (
    partition   integer NOT NULL,
    position    bigint GENERATED ALWAYS AS IDENTITY,
    customer_id uuid NOT NULL,
    delivery    bytea NOT NULL,
    PRIMARY KEY (partition, position)
);
CREATE INDEX parked_customer ON parked (customer_id);

-- The partitions that may hold commands from before partitions were added: until they are through, nobody knows whether the
-- creation of an unknown customer waits in one of them.
ALTER TABLE topology ADD COLUMN undrained integer[] NOT NULL DEFAULT '{}';

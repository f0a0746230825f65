-- Customers with their subscriptions, transactions and invoices. Every table is keyed by customer first, so that all of
-- it can be partitioned or distributed by customer; the customer's row is what a lane locks.

CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE customers (
    customer_id                   uuid PRIMARY KEY,
    partner_id                    text NOT NULL REFERENCES partners,
    reseller_id                   text,
    company_name                  text NOT NULL,
    address_line1                 text NOT NULL,
    address_line2                 text,
    address_line3                 text,
    city                          text NOT NULL,
    postal_code                   text NOT NULL,
    state_or_province             text NOT NULL,
    country                       text NOT NULL,
    administrative_responsibility text NOT NULL,
    administrator_email           text,
    created_at                    timestamptz NOT NULL,
    event_sequence                bigint NOT NULL CHECK (event_sequence > 0),
    settled_at                    timestamptz,
    FOREIGN KEY (partner_id, reseller_id) REFERENCES resellers (partner_id, reseller_id),
    CHECK (CASE administrative_responsibility
               WHEN 'partnerAdministered' THEN administrator_email IS NULL
               WHEN 'customerAdministered' THEN administrator_email IS NOT NULL
               ELSE false
           END)
) WITH (fillfactor = 80); -- every command updates its customer's row: room to do it in place

CREATE FUNCTION refuse_responsibility_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'administrative responsibility of customer % never changes', OLD.customer_id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'administrative_responsibility_immutable';
END
$$;

CREATE TRIGGER customers_responsibility_immutable BEFORE UPDATE ON customers
    FOR EACH ROW
    WHEN (OLD.administrative_responsibility IS DISTINCT FROM NEW.administrative_responsibility
          OR OLD.partner_id IS DISTINCT FROM NEW.partner_id)
    EXECUTE FUNCTION refuse_responsibility_change();

CREATE TABLE subscriptions (
    customer_id     uuid NOT NULL REFERENCES customers,
    subscription_id uuid NOT NULL,
    product         text NOT NULL,
    term            text NOT NULL,
    state           text NOT NULL CHECK (state IN ('active', 'suspended', 'expired')),
    original_start  date NOT NULL,
    period_index    integer NOT NULL CHECK (period_index >= 0),
    period_start    date NOT NULL,
    period_end      date NOT NULL,
    auto_renewal    boolean NOT NULL,
    due_at          timestamptz,
    PRIMARY KEY (customer_id, subscription_id),
    CHECK (period_start < period_end),
    CHECK ((state = 'expired') = (due_at IS NULL))
) WITH (fillfactor = 90);
-- What falls due next, for the clock and for settling a customer.
CREATE INDEX subscriptions_due ON subscriptions (due_at) WHERE due_at IS NOT NULL;

-- The certificates that a subscription holds.
CREATE TABLE inventory (
    customer_id      uuid NOT NULL,
    subscription_id  uuid NOT NULL,
    certificate_type text NOT NULL,
    quantity         bigint NOT NULL CHECK (quantity >= 0),
    renewal_quantity bigint CHECK (renewal_quantity >= 0),
    PRIMARY KEY (customer_id, subscription_id, certificate_type),
    FOREIGN KEY (customer_id, subscription_id) REFERENCES subscriptions
);

-- Each period once, however many workers renew it, and none over another.
CREATE TABLE periods (
    customer_id     uuid NOT NULL,
    subscription_id uuid NOT NULL,
    period_index    integer NOT NULL,
    span            daterange NOT NULL CHECK (NOT isempty(span)),
    PRIMARY KEY (customer_id, subscription_id, period_index),
    EXCLUDE USING gist (customer_id WITH =, subscription_id WITH =, span WITH &&)
);

-- At most one invoice per customer and month, so at most one open one. Its lines are the transactions that name it.
CREATE TABLE invoices (
    customer_id  uuid NOT NULL REFERENCES customers,
    invoice_id   uuid NOT NULL,
    partner_id   text NOT NULL REFERENCES partners,
    period_start date NOT NULL,
    period_end   date NOT NULL,
    state        text NOT NULL CHECK (state IN ('open', 'closed')),
    number       bigint,
    version      bigint NOT NULL CHECK (version > 0),
    total        bigint NOT NULL,
    currency     text NOT NULL,
    due_at       timestamptz,
    PRIMARY KEY (customer_id, invoice_id),
    UNIQUE (customer_id, period_start),
    CHECK ((state = 'closed') = (number IS NOT NULL)),
    CHECK ((state = 'closed') = (due_at IS NULL))
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX invoices_one_open ON invoices (customer_id) WHERE state = 'open';
CREATE UNIQUE INDEX invoices_number ON invoices (partner_id, number) WHERE number IS NOT NULL;
CREATE INDEX invoices_due ON invoices (due_at) WHERE due_at IS NOT NULL;

CREATE FUNCTION refuse_closed_invoice_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'invoice % is closed and never changes', OLD.invoice_id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'closed_invoice_immutable';
END
$$;

CREATE TRIGGER invoices_closed_immutable BEFORE UPDATE OR DELETE ON invoices
    FOR EACH ROW WHEN (OLD.state = 'closed') EXECUTE FUNCTION refuse_closed_invoice_change();

-- Every change of a subscription, for ever. A transaction with an amount is a line of exactly one invoice.
CREATE TABLE transactions (
    customer_id      uuid NOT NULL,
    transaction_id   uuid NOT NULL,
    subscription_id  uuid NOT NULL,
    type             text NOT NULL,
    product          text NOT NULL,
    reseller_id      text,
    period_index     integer NOT NULL,
    period_start     date NOT NULL,
    period_end       date NOT NULL,
    certificate_type text,
    quantity         bigint,
    unit_price       bigint CHECK (unit_price >= 0),
    days_charged     integer,
    days_term        integer,
    amount           bigint NOT NULL,
    currency         text NOT NULL,
    at               timestamptz NOT NULL,
    date             date NOT NULL,
    publisher        text NOT NULL,
    command_source   text NOT NULL,
    command_id       text NOT NULL,
    reverses         uuid,
    invoice_id       uuid,
    PRIMARY KEY (customer_id, transaction_id),
    FOREIGN KEY (customer_id, subscription_id) REFERENCES subscriptions,
    FOREIGN KEY (customer_id, invoice_id) REFERENCES invoices,
    FOREIGN KEY (customer_id, reverses) REFERENCES transactions,
    CHECK ((amount = 0) = (invoice_id IS NULL)),
    CHECK ((type = 'refund') = (reverses IS NOT NULL)),
    CHECK (CASE
               WHEN type IN ('order', 'inventoryAddition', 'renewal')
                   THEN amount >= 0 AND quantity > 0 AND certificate_type IS NOT NULL AND unit_price IS NOT NULL
                        AND days_charged BETWEEN 0 AND days_term
                        AND amount::numeric <= unit_price::numeric * quantity
               WHEN type = 'refund' THEN amount <= 0 AND quantity > 0
               WHEN type IN ('renewalInventoryChange', 'autoRenewalChange', 'suspension', 'enablement', 'expiry')
                   THEN amount = 0
               ELSE false
           END)
);
CREATE INDEX transactions_invoice ON transactions (customer_id, invoice_id) WHERE invoice_id IS NOT NULL;
CREATE INDEX transactions_reverses ON transactions (customer_id, reverses) WHERE reverses IS NOT NULL;

CREATE TRIGGER transactions_immutable BEFORE UPDATE OR DELETE ON transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

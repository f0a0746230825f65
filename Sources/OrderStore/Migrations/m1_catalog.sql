-- The catalog: partners, resellers, products and prices. Small; every worker keeps a copy and watches the version.

CREATE TABLE catalog_versions (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version  bigint NOT NULL
);
INSERT INTO catalog_versions (version) VALUES (0);

CREATE TABLE partners (
    partner_id         text PRIMARY KEY,
    name               text NOT NULL,
    currency           text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    billing_zone       text NOT NULL,
    refund_window_days integer NOT NULL CHECK (refund_window_days >= 0)
);

-- Apart from partners, so that closing invoices locks a row that nothing else reads.
CREATE TABLE invoice_sequences (
    partner_id  text PRIMARY KEY REFERENCES partners,
    last_number bigint NOT NULL DEFAULT 0 CHECK (last_number >= 0)
);

-- An AMQP user publishes for one partner at most.
CREATE TABLE publishers (
    user_name  text PRIMARY KEY,
    partner_id text NOT NULL REFERENCES partners
);

CREATE TABLE resellers (
    partner_id  text NOT NULL REFERENCES partners,
    reseller_id text NOT NULL,
    name        text NOT NULL,
    PRIMARY KEY (partner_id, reseller_id)
);

CREATE TABLE products (
    product text PRIMARY KEY,
    name    text NOT NULL
);

CREATE TABLE product_certificate_types (
    product          text NOT NULL REFERENCES products,
    certificate_type text NOT NULL,
    sold             boolean NOT NULL DEFAULT true, -- what is no longer sold stays: subscriptions and prices name it
    PRIMARY KEY (product, certificate_type)
);

CREATE TABLE product_terms (
    product text NOT NULL REFERENCES products,
    term    text NOT NULL,
    sold    boolean NOT NULL DEFAULT true,
    PRIMARY KEY (product, term)
);

-- Prices are effective-dated and never edited in place: a new price is a new row.
CREATE TABLE prices (
    partner_id       text REFERENCES partners, -- NULL: the list price
    product          text NOT NULL,
    certificate_type text NOT NULL,
    term             text NOT NULL,
    currency         text NOT NULL,
    effective_from   date NOT NULL,
    unit_price       bigint NOT NULL CHECK (unit_price >= 0),
    FOREIGN KEY (product, certificate_type) REFERENCES product_certificate_types,
    FOREIGN KEY (product, term) REFERENCES product_terms
);
CREATE UNIQUE INDEX prices_subject
    ON prices (coalesce(partner_id, ''), product, certificate_type, term, currency, effective_from);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows are never changed or removed', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER prices_immutable BEFORE UPDATE OR DELETE ON prices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

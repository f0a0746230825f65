-- What is sold, and for what price, is dated both ways; what has passed never changes.

-- When a certificate type is sold: half-open ranges, null for since ever and for good.
CREATE TABLE certificate_type_sales (
    product          text NOT NULL,
    certificate_type text NOT NULL,
    effective_from   date,
    effective_until  date CHECK (effective_from < effective_until),
    FOREIGN KEY (product, certificate_type) REFERENCES product_certificate_types,
    EXCLUDE USING gist (product WITH =, certificate_type WITH =, daterange(effective_from, effective_until) WITH &&)
);

-- When a product is sold for a term.
CREATE TABLE term_sales (
    product         text NOT NULL,
    term            text NOT NULL,
    effective_from  date,
    effective_until date CHECK (effective_from < effective_until),
    FOREIGN KEY (product, term) REFERENCES product_terms,
    EXCLUDE USING gist (product WITH =, term WITH =, daterange(effective_from, effective_until) WITH &&)
);

INSERT INTO certificate_type_sales (product, certificate_type)
SELECT product, certificate_type FROM product_certificate_types WHERE sold;
INSERT INTO term_sales (product, term) SELECT product, term FROM product_terms WHERE sold;
ALTER TABLE product_certificate_types DROP COLUMN sold;
ALTER TABLE product_terms DROP COLUMN sold;

-- Of two prices of the same subject that are in force on a day, the one that began later counts.
ALTER TABLE prices ADD COLUMN effective_until date CHECK (effective_from < effective_until);

-- What begins later than today can be corrected or withdrawn; of what has begun only an end that hasn't come can change,
-- to one that hasn't come either. Today is the earliest day on Earth here: the plan of `catalog apply` looks more closely, in
-- the zones of the partners concerned.
CREATE FUNCTION refuse_catalog_history() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC' - interval '12 hours')::date;
BEGIN
    IF OLD.effective_from > today THEN
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'DELETE' THEN
        IF coalesce(OLD.effective_from, '-infinity') < today THEN
            RAISE EXCEPTION '% rows that have begun are never removed', TG_TABLE_NAME
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN OLD;
    END IF;
    IF to_jsonb(OLD) - 'effective_until' <> to_jsonb(NEW) - 'effective_until'
       OR OLD.effective_until IS DISTINCT FROM NEW.effective_until
          AND least(OLD.effective_until, NEW.effective_until) < today THEN
        RAISE EXCEPTION '% rows never change for a day that has passed', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;

DROP TRIGGER prices_immutable ON prices;
CREATE TRIGGER prices_history BEFORE UPDATE OR DELETE ON prices
    FOR EACH ROW EXECUTE FUNCTION refuse_catalog_history();
CREATE TRIGGER certificate_type_sales_history BEFORE UPDATE OR DELETE ON certificate_type_sales
    FOR EACH ROW EXECUTE FUNCTION refuse_catalog_history();
CREATE TRIGGER term_sales_history BEFORE UPDATE OR DELETE ON term_sales
    FOR EACH ROW EXECUTE FUNCTION refuse_catalog_history();

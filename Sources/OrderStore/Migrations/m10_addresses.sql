-- Not every country's addresses have a postal code, or a state or province.
ALTER TABLE customers
    ALTER COLUMN postal_code DROP NOT NULL,
    ALTER COLUMN state_or_province DROP NOT NULL,
    ADD CONSTRAINT customers_address CHECK (postal_code <> '' AND state_or_province <> '');

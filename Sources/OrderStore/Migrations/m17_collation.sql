-- Text keys in the order of their bytes. In that of a language, which comes with the system's libraries, an update of those
-- leaves the indexes out of order: a command that was recorded isn't found again, and counts twice.

-- Triggers that name the columns stand in the way, and come back as they were.
DROP TRIGGER inventory_key_immutable ON inventory;
DROP TRIGGER invoices_key_immutable ON invoices;

DO $$
DECLARE
    change record;
BEGIN
    -- Every text column that an index of a table, or of the inbox's months, is in the order of. Only the indexes are made
    -- anew, the rows stay as they are. Those that a batch writes come first, in its order, so that a worker and this
    -- migration never wait for each other.
    FOR change IN
        SELECT t.oid::regclass AS name, string_agg(format('ALTER COLUMN %I TYPE text COLLATE "C"', a.attname), ', ') AS actions
        FROM pg_class AS t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relispartition
          AND a.atttypid = 'text'::regtype AND a.attcollation <> '"C"'::regcollation
          AND (EXISTS (
                  SELECT FROM pg_index AS i JOIN pg_attribute AS k ON k.attrelid = i.indrelid
                  WHERE (i.indrelid = t.oid OR i.indrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = t.oid))
                    AND k.attnum = ANY (i.indkey) AND k.attname = a.attname)
               OR t.relname = 'prices' AND a.attname = 'partner_id') -- in an expression
        GROUP BY t.oid
        ORDER BY array_position(ARRAY['invoice_series', 'customers', 'invoices', 'subscriptions', 'inventory', 'transactions',
                                      'inbox'], t.relname::text), t.relname
    LOOP
        EXECUTE format('ALTER TABLE %s %s', change.name, change.actions);
    END LOOP;
END
$$;

CREATE TRIGGER inventory_key_immutable BEFORE UPDATE OF customer_id, subscription_id, certificate_type ON inventory
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoices_key_immutable BEFORE UPDATE OF customer_id, invoice_id, partner_id ON invoices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

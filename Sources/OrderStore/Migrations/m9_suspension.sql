-- A suspended subscription with auto-renewal waits past its end; enabled then, it counts its ends anew from that day.

-- The period from whose start the ends are counted: the first, or the latest that began by enabling.
ALTER TABLE subscriptions ADD COLUMN anchor_index integer, ADD COLUMN anchor_start date;
-- Nothing falls due while it waits.
ALTER TABLE subscriptions DROP CONSTRAINT subscriptions_check1;
UPDATE subscriptions
SET anchor_index = 0, anchor_start = original_start,
    due_at = CASE WHEN state = 'suspended' AND auto_renewal THEN NULL ELSE due_at END;
ALTER TABLE subscriptions
    ALTER COLUMN anchor_index SET NOT NULL,
    ALTER COLUMN anchor_start SET NOT NULL,
    ADD CONSTRAINT subscriptions_anchor CHECK (
        anchor_index BETWEEN 0 AND period_index AND (anchor_index > 0 OR anchor_start = original_start)),
    ADD CONSTRAINT subscriptions_due CHECK (
        (due_at IS NULL) = (state = 'expired' OR state = 'suspended' AND auto_renewal));

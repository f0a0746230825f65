// The audit's checks of commands, their outcomes and their events (invariants 5 and 6).

extension Audit {
    /// What a command may come to, with the type of the transactions that it then makes; null where it makes none.
    private static let outcomes = """
        (VALUES ('customer.create', 'customer.created', NULL), ('customer.update', 'customer.updated', NULL),
                ('subscription.order', 'subscription.ordered', 'order'),
                ('inventory.add', 'inventory.added', 'inventoryAddition'),
                ('renewal-inventory.set', 'renewal-inventory.set', 'renewalInventoryChange'),
                ('auto-renewal.set', 'auto-renewal.changed', 'autoRenewalChange'),
                ('subscription.suspend', 'subscription.suspended', 'suspension'),
                ('subscription.enable', 'subscription.enabled', 'enablement'),
                ('refund.process', 'refund.processed', 'refund'), ('customer.settle', 'customer.settled', NULL),
                ('subscription.order', 'quote.prepared', NULL), ('inventory.add', 'quote.prepared', NULL),
                ('refund.process', 'quote.prepared', NULL), ('subscription.enable', 'quote.prepared', NULL))
        """

    /// An event's number within its customer, from the beginning of its data, which is the same in every event. Null
    /// where the data begins otherwise.
    ///
    /// By position, for a million events in seconds; and not as `json`, because data that is none would end the audit
    /// instead of being found by it.
    private static func sequence(_ data: String) -> String {
        let digits = "split_part(translate(encode(substring(\(data) FROM 65 FOR 19), 'escape'), '}', ','), ',', 1)"
        return """
            CASE WHEN substring(\(data) FROM 1 FOR 15) = '{"customerId":"'::bytea
                  AND substring(\(data) FROM 52 FOR 13) = '","sequence":'::bytea AND \(digits) ~ '^[0-9]{1,18}$'
                 THEN \(digits)::bigint
            END
            """
    }

    /// The customer that an event's data is about; where the data begins otherwise, something else.
    private static func customer(_ data: String) -> String {
        "encode(substring(\(data) FROM 16 FOR 36), 'escape')"
    }

    static let commandChecks = [
        AuditCheck(
            "command-once", "A command is in the inbox once, with an outcome of its own.",
            offender: "command",
            """
            SELECT customer_id, source || ' ' || id
            FROM (SELECT customer_id, source, id, count(*) OVER (PARTITION BY sender, source, id) AS entries,
                         count(*) OVER (PARTITION BY outcome_id) AS shared
                  FROM inbox) AS counted
            WHERE entries > 1 OR shared > 1
            """),
        AuditCheck(
            "outcome",
            "A command's outcome is a refusal or what the command's type can come to, and is about the same customer.",
            offender: "command",
            """
            SELECT i.customer_id, i.source || ' ' || i.id
            FROM (SELECT customer_id, source, id, type, outcome_type, \(customer("outcome_data")) AS about,
                         \(sequence("outcome_data")) AS sequence
                  FROM inbox) AS i
            LEFT JOIN \(outcomes) AS o (type, outcome_type, made) USING (type, outcome_type)
            WHERE i.about IS DISTINCT FROM i.customer_id::text OR i.sequence IS NULL
               OR i.outcome_type <> 'command.rejected' AND (i.sequence = 0 OR o.type IS NULL)
            """),
        AuditCheck(
            "event-sequence", "A customer's events have numbers of their own, none above the customer's latest.",
            offender: "event",
            """
            SELECT e.customer_id, e.event_id::text
            FROM (SELECT customer_id, event_id, sequence, count(*) OVER (PARTITION BY customer_id, sequence) AS alike
                  FROM (SELECT customer_id, outcome_id AS event_id, \(sequence("outcome_data")) AS sequence FROM inbox
                        UNION
                        SELECT customer_id, event_id, \(sequence("data")) FROM outbox) AS events
                  WHERE sequence > 0) AS e
            LEFT JOIN customers c USING (customer_id)
            WHERE e.alike > 1 OR (e.sequence <= c.event_sequence) IS NOT TRUE
            """),
        AuditCheck(
            "outbox",
            "A customer's events leave the outbox in order: what waits there is without a gap up to the latest.",
            offender: "event",
            """
            SELECT customer_id, event_id::text
            FROM (SELECT customer_id, event_id, sequence,
                         lead(sequence, 1, event_sequence + 1) OVER (PARTITION BY customer_id ORDER BY position) AS next
                  FROM (SELECT o.customer_id, o.event_id, o.position, c.event_sequence,
                               \(sequence("o.data")) AS sequence
                        FROM outbox o LEFT JOIN customers c USING (customer_id)) AS o
                  WHERE sequence IS DISTINCT FROM 0) AS waiting
            WHERE (next = sequence + 1) IS NOT TRUE
            """),
        AuditCheck(
            "outbox-outcome", "An outcome that waits in the outbox says there what it says in the inbox.",
            offender: "event",
            """
            SELECT o.customer_id, o.event_id::text
            FROM outbox o JOIN inbox i ON i.outcome_id = o.event_id
            WHERE (o.customer_id, o.type, o.data) IS DISTINCT FROM (i.customer_id, i.outcome_type, i.outcome_data)
            """),
        AuditCheck(
            "transaction-command",
            "A transaction names a command of its customer that is in the inbox, as far back as that goes, and that was "
                + "accepted as what made it.",
            offender: "transaction",
            // A command is received at or after the time at which its transactions count, and months are dropped whole.
            """
            SELECT t.customer_id, t.transaction_id::text
            FROM transactions t JOIN customers c USING (customer_id)
            WHERE t.at >= (SELECT min(to_date(substr(m.relname, 7), 'YYYY_MM')::timestamp AT TIME ZONE 'UTC')
                           FROM pg_inherits h JOIN pg_class m ON m.oid = h.inhrelid
                           WHERE h.inhparent = 'inbox'::regclass AND m.relname ~ '^inbox_[0-9]{4}_[0-9]{2}$')
              AND NOT EXISTS (
                  SELECT FROM inbox i LEFT JOIN \(outcomes) AS o (type, outcome_type, made) USING (type, outcome_type)
                  WHERE i.customer_id = t.customer_id AND i.source = t.command_source AND i.id = t.command_id
                    AND i.sender IN (c.partner_id, '*')
                    AND (t.type IN ('renewal', 'expiry') OR o.made = t.type
                         OR o.made = 'refund' AND t.type = 'autoRenewalChange'))
            """),
        AuditCheck(
            "outcome-effect", "What an outcome says was done is there.",
            offender: "command",
            """
            SELECT i.customer_id, i.source || ' ' || i.id
            FROM inbox i JOIN \(outcomes) AS o (type, outcome_type, made) USING (type, outcome_type)
            LEFT JOIN (SELECT DISTINCT customer_id, command_source AS source, command_id AS id, type AS made
                       FROM transactions) AS t
                ON t.customer_id = i.customer_id AND t.source = i.source AND t.id = i.id AND t.made = o.made
            LEFT JOIN customers c ON c.customer_id = i.customer_id
            WHERE o.made IS NOT NULL AND t.made IS NULL OR c.customer_id IS NULL
            """),
    ]
}

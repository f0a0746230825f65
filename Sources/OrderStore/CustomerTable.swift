// The table `customers`: one row per customer, locked by the lane that decides for it.

public import Orders
internal import PostgreSQL

/// A customer whose commands now come by another partition than before.
public struct CustomerMove: Sendable, Hashable {
    public let customer: CustomerID
    public let to: Int

    public init(customer: CustomerID, to: Int) {
        self.customer = customer
        self.to = to
    }
}

enum CustomerTable {
    /// Locks in the order of the ids, so that two transactions never wait for each other crosswise. `NO KEY`, because
    /// a customer's id never changes: rows that refer to it can be written meanwhile.
    static func load(_ ids: [CustomerID]) -> Statement {
        Statement(
            name: "load customers",
            """
            SELECT customer_id, partner_id, company_name, address_line1, address_line2, address_line3, city, postal_code,
                   state_or_province, country, reseller_id, administrative_responsibility, administrator_email,
                   created_at, event_sequence, settled_through, partition
            FROM customers WHERE customer_id = ANY($1) ORDER BY customer_id FOR NO KEY UPDATE
            """, [.identifiers(ids)])
    }

    /// The customer's row, without a lock.
    static func find(_ id: CustomerID) -> Statement {
        Statement(
            name: "find customer",
            """
            SELECT customer_id, partner_id, company_name, address_line1, address_line2, address_line3, city, postal_code,
                   state_or_province, country, reseller_id, administrative_responsibility, administrator_email,
                   created_at, event_sequence, settled_through
            FROM customers WHERE customer_id = ANY($1)
            """, [.identifiers([id])])
    }

    static func read(_ row: Row) throws -> Customer {
        var column = ColumnReader(row)
        return Customer(
            id: try column.identifier(), partnerID: try column.text(), companyName: try column.text(),
            address: Address(
                line1: try column.text(), line2: try column.optionalText(), line3: try column.optionalText(),
                city: try column.text(), postalCode: try column.optionalText(),
                stateOrProvince: try column.optionalText(), country: try column.text()),
            resellerID: try column.optionalText(),
            administrativeResponsibility: try column.value(AdministrativeResponsibility.init(rawValue:)),
            administratorEmail: try column.optionalText(), createdAt: try column.timestamp(),
            sequence: try column.int64(), settledThrough: try column.optionalDate())
    }

    /// The partition of the customer's last command, in a row of ``load(_:)``.
    static func readPartition(_ row: Row) throws -> Int? {
        try row.optionalInt32(.index(16)).map(Int.init)
    }

    /// - Parameter partitions: from which each customer's last command came.
    static func store(_ customers: [Customer], _ partitions: [CustomerID: Int]) -> Statement {
        Statement(
            name: "store customers",
            """
            INSERT INTO customers (
                customer_id, partner_id, company_name, address_line1, address_line2, address_line3, city, postal_code,
                state_or_province, country, reseller_id, administrative_responsibility, administrator_email, created_at,
                event_sequence, settled_through, partition)
            SELECT * FROM unnest(
                $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::timestamptz[],
                $15::bigint[], $16::date[], $17::integer[])
            ON CONFLICT (customer_id) DO UPDATE SET
                partner_id = excluded.partner_id, company_name = excluded.company_name,
                address_line1 = excluded.address_line1, address_line2 = excluded.address_line2,
                address_line3 = excluded.address_line3, city = excluded.city, postal_code = excluded.postal_code,
                state_or_province = excluded.state_or_province, country = excluded.country,
                reseller_id = excluded.reseller_id,
                administrative_responsibility = excluded.administrative_responsibility,
                administrator_email = excluded.administrator_email,
                event_sequence = excluded.event_sequence, settled_through = excluded.settled_through,
                partition = coalesce(excluded.partition, customers.partition)
            """,
            [
                .identifiers(customers.map(\.id)), .textArray(customers.map(\.partnerID)),
                .textArray(customers.map(\.companyName)), .textArray(customers.map(\.address.line1)),
                .textArray(customers.map(\.address.line2)), .textArray(customers.map(\.address.line3)),
                .textArray(customers.map(\.address.city)), .textArray(customers.map(\.address.postalCode)),
                .textArray(customers.map(\.address.stateOrProvince)), .textArray(customers.map(\.address.country)),
                .textArray(customers.map(\.resellerID)),
                .textArray(customers.map(\.administrativeResponsibility.rawValue)),
                .textArray(customers.map(\.administratorEmail)), .timestamps(customers.map(\.createdAt)),
                .int8Array(customers.map(\.sequence)), .dates(customers.map(\.settledThrough)),
                .int4Array(customers.map { partitions[$0.id].map { Int32(clamping: $0) } }),
            ])
    }

    static func move(_ moves: [CustomerMove]) -> Statement {
        Statement(
            name: "move customers",
            """
            UPDATE customers c SET partition = m.partition
            FROM unnest($1::uuid[], $2::integer[]) AS m (customer_id, partition)
            WHERE c.customer_id = m.customer_id AND c.partition <> m.partition
            """,
            [.identifiers(moves.map(\.customer)), .int4Array(moves.map { Int32(clamping: $0.to) })])
    }
}

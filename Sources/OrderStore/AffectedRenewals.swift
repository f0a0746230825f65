// The subscriptions that a change of the catalog keeps from renewing as they are.

public import Orders
internal import PostgreSQL

/// Subscriptions of one partner's customers that would have renewed a certificate type at their end, and won't for one
/// reason.
public struct AffectedRenewals: Sendable, Hashable, CustomStringConvertible {
    public let partnerID: String
    /// Why they won't, for people: "smime of enterprise-pki isn't sold".
    public let reason: String
    /// The first and the last of the days on which they end.
    public let from: CalendarDate
    public let to: CalendarDate
    /// How many subscriptions.
    public let subscriptions: Int64
    /// How many customers have one of them.
    public let customers: Int64
    /// The first of those customers by id.
    public let examples: [CustomerID]

    /// How many customers are named.
    static let examples = 5

    public var description: String {
        let days = from == to ? "on \(from)" : "from \(from) to \(to)"
        let more = customers > Int64(examples.count) ? " and \(customers - Int64(examples.count)) more" : ""
        return """
            \(subscriptions) \(subscriptions == 1 ? "subscription" : "subscriptions") of \(partnerID) won't renew as \
            \(subscriptions == 1 ? "it is" : "they are") \(days), since \(reason): \
            \(customers == 1 ? "customer" : "\(customers) customers") \(examples.map(\.description).joined(separator: ", "))\(more)
            """
    }
}

extension AffectedRenewals {
    /// A certificate type that subscriptions renew on one day.
    fileprivate struct Renewal {
        let partnerID: String
        let product: String
        let term: Term
        let end: CalendarDate
        let certificateType: String
    }

    /// Finds what could be renewed by the catalog `before` and can't be by the one `after`.
    ///
    /// Two statements, however many subscriptions there are: the days and types that are to be renewed, of which there are
    /// few; then who has those that are lost.
    static func find(
        of products: Set<String>, before: Catalog, after: Catalog, on connection: Connection
    ) async throws -> [AffectedRenewals] {
        guard !products.isEmpty else { return [] }
        var lost: [(renewal: Renewal, reason: String)] = []
        for row in try await connection.query(renewals(of: products)) {
            var column = ColumnReader(row)
            let renewal = Renewal(
                partnerID: try column.text(), product: try column.text(), term: try column.value { Term($0) },
                end: try column.date(), certificateType: try column.text())
            if before.obstacle(to: renewal) == nil, let obstacle = after.obstacle(to: renewal) {
                lost.append((renewal, renewal.reason(obstacle)))
            }
        }
        guard !lost.isEmpty else { return [] }
        return try await connection.query(holders(of: lost)).map { row in
            var column = ColumnReader(row)
            return AffectedRenewals(
                partnerID: try column.text(), reason: try column.text(), from: try column.date(),
                to: try column.date(), subscriptions: try column.int64(), customers: try column.int64(),
                examples: try row.uuidArray(6).map { CustomerID(high: $0.high, low: $0.low) })
        }
    }

    /// What is to be renewed: a type's number is the one that was set for it, else the one held.
    private static let toRenew = """
        subscriptions s JOIN customers c USING (customer_id) JOIN inventory i USING (customer_id, subscription_id)
        WHERE s.state <> 'expired' AND s.auto_renewal AND coalesce(i.renewal_quantity, i.quantity) > 0
        """

    private static func renewals(of products: Set<String>) -> Statement {
        Statement(
            name: "find renewals",
            """
            SELECT DISTINCT c.partner_id, s.product, s.term, s.period_end, i.certificate_type
            FROM \(toRenew) AND s.product = ANY ($1::text[])
            """, [.textArray(products.sorted())])
    }

    private static func holders(of lost: [(renewal: Renewal, reason: String)]) -> Statement {
        Statement(
            name: "find affected renewals",
            """
            SELECT partner_id, reason, min(period_end), max(period_end), count(DISTINCT (customer_id, subscription_id)),
                   count(DISTINCT customer_id),
                   (array_agg(DISTINCT customer_id ORDER BY customer_id))[1:\(examples)]
            FROM (SELECT c.partner_id, s.product, s.term, s.period_end, i.certificate_type, s.customer_id,
                         s.subscription_id
                  FROM \(toRenew)) AS r
            JOIN unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::text[], $6::text[])
                AS l (partner_id, product, term, period_end, certificate_type, reason)
                USING (partner_id, product, term, period_end, certificate_type)
            GROUP BY partner_id, reason ORDER BY partner_id, reason
            """,
            [
                .textArray(lost.map(\.renewal.partnerID)), .textArray(lost.map(\.renewal.product)),
                .textArray(lost.map(\.renewal.term.description)), .dates(lost.map(\.renewal.end)),
                .textArray(lost.map(\.renewal.certificateType)), .textArray(lost.map(\.reason)),
            ])
    }
}

extension Catalog {
    fileprivate func obstacle(to renewal: AffectedRenewals.Renewal) -> Obstacle? {
        guard let partner = partners[renewal.partnerID] else { return nil }
        return obstacle(
            toSelling: renewal.certificateType, of: renewal.product, for: renewal.term, to: partner, on: renewal.end)
    }
}

extension AffectedRenewals.Renewal {
    fileprivate func reason(_ obstacle: Catalog.Obstacle) -> String {
        switch obstacle {
        case .productNotSold: "\(product) isn't sold"
        case .termNotSold: "\(product) isn't sold for \(term)"
        case .certificateTypeNotSold: "\(certificateType) of \(product) isn't sold"
        case .noPrice: "\(certificateType) of \(product) has no price for \(term)"
        }
    }
}

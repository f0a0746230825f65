// The catalog's tables: loaded whole by the workers, changed by applying a file.

public import Orders
public import PostgreSQL

/// One change that applying a catalog file makes.
public struct CatalogChange: Sendable, Hashable, CustomStringConvertible {
    public enum Kind: String, Sendable { case add = "+", change = "~", remove = "-" }

    public let kind: Kind
    /// What changes, for people.
    public let subject: String

    public var description: String { "\(kind.rawValue) \(subject)" }
}

/// Reads and changes the catalog.
public struct CatalogStore: Sendable {
    private let connection: Connection

    public init(connection: Connection) {
        self.connection = connection
    }

    /// The catalog as it now is, with what is still sold.
    public func load() async throws(StoreError) -> Catalog {
        let statements = [
            Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
            Statement("SELECT version FROM catalog_versions"),
            Statement("SELECT partner_id, name, currency, billing_zone, refund_window_days FROM partners"),
            Statement("SELECT user_name, partner_id FROM publishers ORDER BY user_name"),
            Statement("SELECT partner_id, reseller_id, name FROM resellers"),
            Statement("SELECT product, name FROM products"),
            Statement("SELECT product, certificate_type FROM product_certificate_types WHERE sold"),
            Statement("SELECT product, term FROM product_terms WHERE sold"),
            Statement(
                """
                SELECT partner_id, product, certificate_type, term, currency, unit_price, effective_from FROM prices
                """),
            Statement("COMMIT"),
        ]
        return try await connection.run(statements, during: "loading the catalog", read)
    }

    private func read(_ results: [Rows]) throws -> Catalog {
        var publishers: [String: [String]] = [:]
        for row in results[3] { publishers[try row.text(1), default: []].append(try row.text(0)) }
        var resellers: [String: [String: String]] = [:]
        for row in results[4] { resellers[try row.text(0), default: [:]][try row.text(1)] = try row.text(2) }
        var types: [String: Set<String>] = [:]
        for row in results[6] { types[try row.text(0), default: []].insert(try row.text(1)) }
        var terms: [String: Set<Term>] = [:]
        for row in results[7] {
            var column = ColumnReader(row)
            terms[try column.text(), default: []].insert(try column.value { Term($0) })
        }
        let partners = try results[2].map { row in
            var column = ColumnReader(row)
            let id = try column.text()
            return Partner(
                id: id, name: try column.text(), currency: try column.value { Currency($0) },
                zone: try column.value { BillingZone($0) }, refundWindowDays: try column.int(),
                publishers: publishers[id] ?? [], resellers: resellers[id] ?? [:])
        }
        let products = try results[5].compactMap { row -> Product? in
            let id = try row.text(0)
            guard let types = types[id], let terms = terms[id] else { return nil }
            return Product(id: id, name: try row.text(1), certificateTypes: types, terms: terms)
        }
        let prices = try results[8].map { row in
            var column = ColumnReader(row)
            let subject = Price.Subject(
                partnerID: try column.optionalText(), product: try column.text(), certificateType: try column.text(),
                term: try column.value { Term($0) }, currency: try column.text())
            return Price(subject: subject, unitPrice: try column.int64(), effectiveFrom: try column.date())
        }
        return Catalog(
            version: try results[1].first?.int64(0) ?? 0, partners: partners, products: products, prices: prices)
    }

    /// Makes the catalog what the file says, or only says what would change.
    ///
    /// What the file no longer names is no longer sold or may no longer publish; nothing that orders refer to is deleted.
    /// Applying the same file again changes nothing.
    ///
    /// - Throws: ``StoreError`` with the code `invalidCatalog` where a price in force would be edited, or a partner's
    ///   currency or billing zone would change: both would rewrite history.
    public func apply(_ file: CatalogFile, dryRun: Bool) async throws -> [CatalogChange] {
        try await connection.transaction { connection in
            let key = Int64(bitPattern: 0x6f77_2d63_6174_6c67)
            _ = try await connection.query(Statement("SELECT pg_advisory_xact_lock($1)", .int8(key)))
            let stored = try await CatalogSnapshot.load(connection)
            let plan = try CatalogPlan(file: file, stored: stored)
            if !dryRun && !plan.changes.isEmpty {
                _ = try await connection.pipeline(plan.statements)
            }
            return plan.changes
        }
    }
}

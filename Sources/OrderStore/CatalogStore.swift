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

/// What applying a catalog file changes, and what comes of it.
public struct CatalogApplication: Sendable, Equatable {
    public let changes: [CatalogChange]
    /// The subscriptions that would have renewed as they are and won't.
    public let affectedRenewals: [AffectedRenewals]
    /// What is wrong with what stays as it is, for people.
    public let warnings: [String]
}

/// Reads and changes the catalog.
public struct CatalogStore: Sendable {
    private let connection: Connection

    public init(connection: Connection) {
        self.connection = connection
    }

    /// The catalog as it now is.
    public func load() async throws(StoreError) -> Catalog {
        let statements =
            [Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")] + Self.statements + [Statement("COMMIT")]
        return try await connection.run(statements, during: "loading the catalog") { results in
            try Self.read(Array(results.dropFirst()))
        }
    }

    private static let statements = [
        Statement("SELECT version FROM catalog_versions"),
        Statement("SELECT partner_id, name, currency, billing_zone, refund_window_days FROM partners"),
        Statement("SELECT user_name, partner_id FROM publishers ORDER BY user_name"),
        Statement("SELECT partner_id, reseller_id, name FROM resellers"),
        Statement("SELECT product, name FROM products"),
        CatalogTables.certificateTypes,
        CatalogTables.terms,
        CatalogTables.prices,
    ]

    private static func read(_ results: [Rows]) throws -> Catalog {
        var publishers: [String: [String]] = [:]
        for row in results[2] { publishers[try row.text(1), default: []].append(try row.text(0)) }
        var resellers: [String: [String: String]] = [:]
        for row in results[3] { resellers[try row.text(0), default: [:]][try row.text(1)] = try row.text(2) }
        var partners: [Partner] = []
        var unusable: [UnusablePartner] = []
        for row in results[1] {
            var column = ColumnReader(row)
            let (id, name) = (try column.text(), try column.text())
            let (currency, zone, refundWindowDays) = (try column.text(), try column.text(), try column.int())
            if let reason = CatalogFile.problem(currency: currency, zone: zone) {
                unusable.append(UnusablePartner(id: id, publishers: publishers[id] ?? [], reason: reason))
            } else if let currency = Currency(currency), let zone = BillingZone(zone) {
                partners.append(
                    Partner(
                        id: id, name: name, currency: currency, zone: zone, refundWindowDays: refundWindowDays,
                        publishers: publishers[id] ?? [], resellers: resellers[id] ?? [:]))
            }
        }
        let types = Dictionary(grouping: try CatalogTables.readOffers(results[5]), by: \.key.owner)
        let terms = Dictionary(grouping: try CatalogTables.readOffers(results[6]), by: \.key.owner)
        let products = try results[4].map { row in
            let id = try row.text(0)
            var sold: [Term: [Validity]] = [:]
            for (key, ranges) in terms[id] ?? [] {
                guard let term = Term(key.name) else {
                    throw StoreError(
                        .unreadableRow, during: "loading the catalog", detail: "'\(key.name)' is no term",
                        advice: "A newer worker may have written it: run the same version everywhere.")
                }
                sold[term] = ranges
            }
            return Product(
                id: id, name: try row.text(1),
                certificateTypes: Dictionary(uniqueKeysWithValues: (types[id] ?? []).map { ($0.key.name, $0.value) }),
                terms: sold)
        }
        return Catalog(
            version: try results[0].first?.int64(0) ?? 0, partners: partners, unusablePartners: unusable,
            products: products, prices: try results[7].map(CatalogTables.readPrice))
    }

    /// Makes the catalog what the file says, or only says what would change.
    ///
    /// What the file no longer names is no longer sold after today or may no longer publish; nothing that orders refer to
    /// is deleted. Applying the same file again changes nothing.
    ///
    /// - Throws: ``StoreError`` with the code `invalidCatalog` where something would change for a day that has passed, or
    ///   a partner's currency or the rules of its billing zone would change: that would rewrite history.
    public func apply(_ file: CatalogFile, dryRun: Bool) async throws -> CatalogApplication {
        do {
            return try await change(file, dryRun: dryRun)
        } catch TransactionError.body(let refusal as StoreError, rollback: nil) {
            throw refusal
        }
    }

    private func change(_ file: CatalogFile, dryRun: Bool) async throws(TransactionError) -> CatalogApplication {
        try await connection.transaction { connection in
            let key = Int64(bitPattern: 0x6f77_2d63_6174_6c67)
            _ = try await connection.query(Statement("SELECT pg_advisory_xact_lock($1)", .int8(key)))
            let stored = try await CatalogSnapshot.load(connection)
            let plan = try CatalogPlan(file: file, stored: stored)
            guard !plan.changes.isEmpty else {
                return CatalogApplication(changes: [], affectedRenewals: [], warnings: plan.warnings)
            }
            // A dry run makes the changes too, and takes them back: what they come to is asked of the database.
            let before = try Self.read(try await connection.pipeline(Self.statements))
            _ = try await connection.pipeline([Statement("SAVEPOINT changes")] + plan.statements)
            let after = try Self.read(try await connection.pipeline(Self.statements))
            let affected = try await AffectedRenewals.find(
                of: plan.narrowedProducts, before: before, after: after, on: connection)
            if dryRun { _ = try await connection.query(Statement("ROLLBACK TO SAVEPOINT changes")) }
            return CatalogApplication(
                changes: plan.changes, affectedRenewals: affected, warnings: plan.warnings)
        }
    }
}

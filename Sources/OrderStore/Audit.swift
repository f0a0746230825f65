// Proves that the books add up: runs every check over one snapshot of the whole database.

public import Orders
public import PostgreSQL

/// One invariant, and the statement that finds the rows that break it.
public struct AuditCheck: Sendable {
    /// Short and stable, for programs: `invoice-total`.
    public let name: String
    /// The invariant, as a sentence.
    public let invariant: String
    /// What an offending row is called, in the singular.
    public let offender: String
    /// A `SELECT` of `customer_id uuid, id text` for each breach. `customer_id` is null where no customer is concerned.
    /// The time of the audit is `(SELECT now FROM present)`.
    let sql: String

    init(_ name: String, _ invariant: String, offender: String, _ sql: String) {
        self.name = name
        self.invariant = invariant
        self.offender = offender
        self.sql = sql
    }
}

/// A row that breaks an invariant.
public struct AuditBreach: Sendable, Hashable {
    /// nil where no customer is concerned.
    public let customerID: CustomerID?
    /// The row's id, with what else it takes to find it.
    public let id: String
}

/// What a check found.
public struct AuditFinding: Sendable {
    public let check: AuditCheck
    /// How many rows break the invariant.
    public let breaches: Int64
    /// The first of them, by customer and id.
    public let examples: [AuditBreach]
}

/// How far an audit is.
public enum AuditStep: Sendable {
    /// A check begins; `number` counts from 1.
    case began(AuditCheck, number: Int, of: Int)
    case finished(AuditFinding)
}

/// Checks the invariants over the whole database.
///
/// All checks see the same snapshot, so that workers may go on meanwhile. Each is one set-based statement that reads the
/// tables it needs once; nothing is written or locked.
public struct Audit: Sendable {
    /// Every check, in the order in which they run.
    public static let checks = invoiceChecks + transactionChecks + subscriptionChecks + commandChecks + dueChecks

    private let connection: Connection

    /// - Parameter connection: its statement timeout must leave room for reading a whole table.
    public init(connection: Connection) {
        self.connection = connection
    }

    /// Runs every check.
    ///
    /// - Parameters:
    ///   - limit: how many breaches of each check are named, at least 1; all are counted.
    ///   - now: the time of the audit; the database's where it is nil.
    ///   - step: told how far the audit is.
    /// - Returns: a finding for each of ``checks``; the books add up if none has a breach.
    public nonisolated(nonsending) func run(
        limit: Int, now: Timestamp? = nil, _ step: (AuditStep) -> Void = { _ in }
    ) async throws(StoreError) -> [AuditFinding] {
        try await connection.readingSnapshot(during: "auditing") { connection in
            _ = try await connection.query(Statement(name: "prepare audit", Self.planning))
            var findings: [AuditFinding] = []
            for (index, check) in Self.checks.enumerated() {
                step(.began(check, number: index + 1, of: Self.checks.count))
                let finding = try await Self.run(check, limit: max(1, limit), now: now, on: connection)
                step(.finished(finding))
                findings.append(finding)
            }
            return findings
        }
    }

    private nonisolated(nonsending) static func run(
        _ check: AuditCheck, limit: Int, now: Timestamp?, on connection: Connection
    ) async throws -> AuditFinding {
        let rows = try await connection.query(
            Statement(
                name: "audit \(check.name)",
                """
                WITH present (now) AS (SELECT coalesce($2, now())), breaches (customer_id, id) AS (
                \(check.sql)
                )
                SELECT count(*) OVER (), customer_id, id FROM breaches ORDER BY customer_id, id LIMIT $1
                """, [.int8(Int64(limit)), .timestamptz(now?.microseconds)]))
        let examples = try rows.map { row in
            let customer = try row.optionalUUID(1).map { CustomerID(high: $0.high, low: $0.low) }
            return AuditBreach(customerID: customer, id: try row.text(2))
        }
        return AuditFinding(check: check, breaches: try rows.first?.int64(0) ?? 0, examples: examples)
    }

    /// Whole tables are joined: a plan by index, chosen because a table was small when it was last analysed, would take
    /// hours. Just-in-time compilation takes longer than most checks.
    private static let planning = """
        SELECT set_config('enable_nestloop', 'off', true), set_config('work_mem', '128MB', true),
               set_config('jit', 'off', true)
        """
}

extension Connection {
    /// Runs `body` in one read-only snapshot, which blocks nobody.
    nonisolated(nonsending) func readingSnapshot<Value>(
        during call: String, _ body: nonisolated(nonsending) (Connection) async throws -> Value
    ) async throws(StoreError) -> Value {
        do {
            return try await transaction { connection in
                _ = try await connection.query(
                    Statement("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
                return try await body(connection)
            }
        } catch {
            if let cause = error.databaseError { throw StoreError(cause, during: call) }
            if case .body(let cause as StoreError, _) = error { throw cause }
            throw StoreError(
                .unreadableRow, during: call, detail: "\(error)",
                advice: "Look at the cause; what was read so far is sound.")
        }
    }
}

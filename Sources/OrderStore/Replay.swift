// Decides the kept inbox again, customer by customer, and compares what comes of it with what is stored.

internal import OrderContract
public import Orders
public import PostgreSQL

/// Something that comes out otherwise when a customer's commands are decided again.
public struct ReplayDifference: Sendable, Hashable {
    public let customerID: CustomerID
    /// A sentence.
    public let description: String
    /// Whether the command was decided by an earlier release, which had other rules, or the difference may follow from one
    /// that was.
    public let isOfEarlierRelease: Bool
}

/// What came of a replay.
public struct ReplayResult: Sendable {
    /// How many customers' commands were decided again.
    public internal(set) var customers = 0
    /// How many customers weren't, because the command that created them isn't kept any more.
    public internal(set) var skipped = 0
    /// How many commands were decided again.
    public internal(set) var commands = 0
    /// The differences, as many as were asked for; those that are nobody's but this program's first.
    public internal(set) var differences: [ReplayDifference] = []
    /// How many differences there are, without those of earlier releases.
    public internal(set) var differenceCount = 0
    /// How many differences were made by other rules of an earlier release.
    public internal(set) var earlierCount = 0
    /// When this release's rules came into force; nil in a database that never had others.
    public internal(set) var rulesSince: Timestamp?
}

/// Decides the commands of each customer again, in the order of their outcomes, by the rules of this program and the
/// catalog as it now is, and compares outcomes, transactions, invoices, subscriptions and the customer's row.
///
/// The catalog's prices and what it sells never change for a date that has passed. What depended on a partner's settings
/// that were changed since is a difference too. What was decided before the schema came to this release's rules, and what
/// may follow from it, is told apart: an earlier release decided by others. A customer is replayed from its first command;
/// one whose creation is no longer in the inbox can't be.
public struct Replay: Sendable {
    private let connection: Connection

    /// - Parameter connection: its statement timeout must leave room for sorting the inbox.
    public init(connection: Connection) {
        self.connection = connection
    }

    /// Replays every customer that can be, in one snapshot; nothing is written or locked.
    ///
    /// - Parameters:
    ///   - limit: how many differences are named; all are counted.
    ///   - progress: told how many customers are done.
    public nonisolated(nonsending) func run(
        limit: Int, _ progress: (Int) -> Void = { _ in }
    ) async throws(StoreError) -> ReplayResult {
        let catalog = try await CatalogStore(connection: connection).load()
        var result = ReplayResult()
        try await connection.readingSnapshot(during: "replaying the inbox") { connection in
            if let row = try await connection.query(Self.rulesSince).first {
                var column = ColumnReader(row)
                result.rulesSince = try column.optionalTimestamp()
            }
            var entries: [InboxEntry] = []
            try await connection.stream(InboxTable.byCustomer, chunk: 500) { rows in
                for row in rows {
                    guard let entry = try InboxTable.read(row).entry else { continue }
                    if let last = entries.last, last.customerID != entry.customerID {
                        try await Self.replay(entries, catalog, limit, &result, on: connection)
                        progress(result.customers + result.skipped)
                        entries = []
                    }
                    entries.append(entry)
                }
            }
            try await Self.replay(entries, catalog, limit, &result, on: connection)
        }
        return result
    }

    /// When the latest rules came, where the books are older.
    private static let rulesSince = Statement(
        name: "replay rules",
        """
        SELECT max(applied_at) FROM schema_migrations
        WHERE version = $1 AND (SELECT min(received_at) FROM inbox) < applied_at
        """, [.int8(Int64(OrderMigrations.rules))])

    /// Replays one customer's commands.
    private nonisolated(nonsending) static func replay(
        _ entries: [InboxEntry], _ catalog: Catalog, _ limit: Int, _ result: inout ReplayResult,
        on connection: Connection
    ) async throws {
        // What has no number changed nothing: a refusal to somebody for whom there was no such customer.
        let numbered = entries.compactMap { entry in entry.sequence.map { (sequence: $0, entry: entry) } }
            .filter { $0.sequence > 0 }.sorted { $0.sequence < $1.sequence }
        guard let first = numbered.first else { return }
        guard first.entry.outcome.type == .customerCreated, first.sequence == 1 else {
            result.skipped += 1
            return
        }
        let stored = try await ReplayedCustomer.Stored(of: first.entry.customerID, on: connection)
        var customer = ReplayedCustomer(
            first.entry.customerID, catalog: catalog, stored: stored, rulesSince: result.rulesSince)
        for (_, entry) in numbered { customer.decide(entry) }
        let differences = customer.finish()
        result.customers += 1
        result.commands += numbered.count
        let own = differences.count { !$0.isOfEarlierRelease }
        result.differenceCount += own
        result.earlierCount += differences.count - own
        let all = result.differences + differences
        result.differences = Array(
            (all.filter { !$0.isOfEarlierRelease } + all.filter(\.isOfEarlierRelease)).prefix(limit))
    }
}

extension InboxEntry {
    /// The number of the outcome among its customer's events, from its data; nil where that begins otherwise.
    fileprivate var sequence: Int64? {
        (try? JSONDocument(outcome.data, maximumSize: .max))?.root["sequence"]?.integer
    }
}

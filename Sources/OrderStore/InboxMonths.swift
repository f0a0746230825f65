// Keeps the inbox's months: makes those to come, drops those that are over.

public import PostgreSQL

/// The tables of the inbox, one a month.
///
/// No strong lock is waited for longer than 200 ms, since all who come after it would wait too: where a reader is in the way,
/// a call fails with SQLSTATE 55P03 and can be tried again after a while. A role that only reads and writes rows is enough.
public struct InboxMonths: Sendable {
    /// How many months are made ahead of the current one.
    public static let ahead = 2

    private let connection: Connection

    public init(connection: Connection) {
        self.connection = connection
    }

    /// Makes a table for each month that has none: this one, those ahead, and those of rows that came when none was there.
    /// Each month is made by itself, and with it the rows that belong into it are moved there.
    ///
    /// - Returns: the first days of the months that were made, such as `2027-01-01`.
    /// - Throws: ``StoreError`` when the database refuses, or a reader is in the way.
    public func make() async throws(StoreError) -> [String] {
        let missing = try await query(
            Statement(
                name: "missing inbox months", "SELECT month::text FROM missing_inbox_months($1) AS month",
                [.int4(Int32(Self.ahead))])
        ) { rows in try rows.map { try $0.text(0) } }
        for month in missing {
            try await query(
                Statement(name: "make inbox month", "SELECT make_inbox_month($1::text::date)", [.text(month)])
            ) { _ in }
        }
        return missing
    }

    /// Drops the months that ended so long ago, by the database's clock, and at least 31 days ago.
    ///
    /// - Returns: how many were dropped.
    /// - Throws: ``StoreError`` when the database refuses, or a reader is in the way.
    public func drop(olderThan retention: Duration) async throws(StoreError) -> Int {
        var total = 0
        while true {
            let dropped = try await query(
                Statement(
                    name: "drop inbox months",
                    "SELECT drop_inbox_months(clock_timestamp() - make_interval(secs => $1::bigint))",
                    [.int8(retention.components.seconds)])
            ) { rows in Int(try rows.first?.int32(0) ?? 0) }
            if dropped == 0 { return total }
            total += dropped
        }
    }

    /// For how long from now, by the database's clock, there is a table for every month; 0 or less where this month's is
    /// missing already.
    ///
    /// - Throws: ``StoreError`` when the database can't be asked.
    public func made() async throws(StoreError) -> Duration {
        try await query(
            Statement(
                name: "inbox months made",
                "SELECT (extract(epoch FROM inbox_months_until() - clock_timestamp()) * 1000)::bigint")
        ) { rows in .milliseconds(try rows.first?.int64(0) ?? 0) }
    }

    @discardableResult
    private func query<Result>(
        _ statement: Statement, _ read: (Rows) throws -> Result
    ) async throws(StoreError) -> Result {
        try await connection.run([statement], during: "keeping the inbox's months") { try read($0[0]) }
    }
}

// Who owns which partition: PostgreSQL advisory locks on the session that applies the partition's commands.

public import Orders
public import PostgreSQL

/// The lanes that are alive and the partitions that are owned, as the server's locks show them at one moment.
public struct OwnershipView: Sendable, Hashable {
    /// The lanes that are alive, by their rank keys, in order.
    public let lanes: [Int32]
    /// The partitions that some lane owns.
    public let owned: Set<Int>
    /// The partitions that this session owns.
    public let ownedHere: Set<Int>

    public init(lanes: [Int32], owned: Set<Int>, ownedHere: Set<Int>) {
        self.lanes = lanes
        self.owned = owned
        self.ownedHere = ownedHere
    }
}

/// What a lane sees when it looks around.
public struct LaneLook: Sendable, Hashable {
    public let ownership: OwnershipView
    /// How many partitions there are; nil where the topology was never applied.
    public let partitions: Int?
    /// Those that may hold commands from before partitions were added.
    public let undrained: Set<Int>
    /// Those that an operator has paused.
    public let paused: Set<Int>
    /// The database's time.
    public let time: Timestamp
}

/// Partition locks on one session.
///
/// A lock lives as long as its session, so a worker that dies or is cut off loses its partitions at once, and a session
/// that lost a lock can't commit any more: the session is the fence. Needs a session of its own: a pooler in transaction
/// mode would break it.
public struct PartitionOwnership: Sendable {
    private static let laneClass: Int32 = 0x6f77_6c6e  // "owln"
    static let partitionClass: Int32 = 0x6f77_7074  // "owpt"

    private let connection: Connection

    public init(connection: Connection) {
        self.connection = connection
    }

    /// Shows the session's lane to the others under `rankKey`.
    ///
    /// - Returns: false where another lane has that key.
    public func enter(rankKey: Int32) async throws(StoreError) -> Bool {
        try await query(
            Statement(
                name: "enter lane", "SELECT pg_try_advisory_lock($1, $2)", [.int4(Self.laneClass), .int4(rankKey)])
        ) { rows in try rows.first?.bool(0) ?? false }
    }

    /// Looks at all locks, at the topology, at the database's clock, and at whether the schema is still one that this
    /// program works with.
    ///
    /// - Throws: ``StoreError`` by which the session is lost, where a migration came that needs a newer program.
    public func look() async throws(StoreError) -> LaneLook {
        let clock = Statement(name: "read the clock", "SELECT clock_timestamp()")
        return try await connection.run(
            [Self.locks, PartitionCount.state, clock, Self.neededProgram], during: "looking at the partitions' owners"
        ) { results in
            if let row = results[3].first, try row.int64(1) > Int64(OrderMigrations.program) {
                throw StoreError(
                    Migrator.tooNew(
                        try row.text(0), needs: Int(try row.int64(1)), program: OrderMigrations.program),
                    during: "looking at the schema"
                ).losingSession()
            }
            let topology = try PartitionCount.readState(results[1])
            let time = try results[2].map { Timestamp(microseconds: try $0.timestamptz(0)) }
            return LaneLook(
                ownership: try Self.view(results[0]), partitions: topology.count, undrained: topology.undrained,
                paused: topology.paused, time: time[0])
        }
    }

    /// The migration that needs the newest program.
    private static let neededProgram = Statement(
        name: "look at the schema",
        """
        SELECT version || ' ' || name, coalesce(oldest_program, version) FROM schema_migrations
        ORDER BY 2 DESC, version DESC LIMIT 1
        """)

    private static var locks: Statement {
        Statement(
            name: "look at ownership",
            """
            SELECT classid::bigint::integer = $1, objid::bigint::integer, pid = pg_backend_pid()
            FROM pg_locks
            WHERE locktype = 'advisory' AND granted AND objsubid = 2
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND classid::bigint IN ($1::integer, $2::integer)
            """, [.int4(laneClass), .int4(partitionClass)])
    }

    private static func view(_ rows: Rows) throws -> OwnershipView {
        var lanes: [Int32] = []
        var owned: Set<Int> = []
        var ownedHere: Set<Int> = []
        for row in rows {
            if try row.bool(0) {
                lanes.append(try row.int32(1))
            } else {
                owned.insert(Int(try row.int32(1)))
                if try row.bool(2) { ownedHere.insert(Int(try row.int32(1))) }
            }
        }
        return OwnershipView(lanes: lanes.sorted(), owned: owned, ownedHere: ownedHere)
    }

    /// Takes what is free of `partitions`.
    ///
    /// - Returns: those that are now owned.
    public func take(_ partitions: [Int]) async throws(StoreError) -> [Int] {
        let statement = Statement(
            name: "take partitions",
            "SELECT p, pg_try_advisory_lock($1, p) FROM unnest($2::integer[]) AS p",
            [.int4(Self.partitionClass), .int4Array(partitions.map { Int32(clamping: $0) })])
        return try await query(statement) { rows in
            try rows.filter { try $0.bool(1) }.map { Int(try $0.int32(0)) }
        }
    }

    /// Gives a partition back. Everything of it must be published and acknowledged by then.
    public func release(_ partition: Int) async throws(StoreError) {
        let statement = Statement(
            name: "release partition", "SELECT pg_advisory_unlock($1, $2)",
            [.int4(Self.partitionClass), .int4(Int32(clamping: partition))])
        try await query(statement) { _ in }
    }

    private func query<Result>(
        _ statement: Statement, _ read: (Rows) throws -> Result
    ) async throws(StoreError) -> Result {
        try await connection.run([statement], during: "deciding who owns which partition") { try read($0[0]) }
    }
}

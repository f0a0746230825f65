// The connections of a lane, and what it was told when they were made.

internal import AMQP
internal import Logging
internal import OrderContract
internal import OrderStore
internal import Orders
internal import PostgreSQL

/// What a lane has while it is connected: a database session of its own, which holds its partitions' locks, and what it
/// needs to decide.
struct LaneConnections: Sendable {
    let database: PostgreSQL.Connection
    let store: BatchStore
    let ownership: PartitionOwnership
    let admission: Admission
    let clock: DatabaseClock
    let rankKey: Int32
    let catalog: Catalog

    /// Connects to the database and shows the lane to the others.
    static func open(
        _ configuration: WorkerConfiguration, lane index: Int, name: String, logger: Logger
    ) async throws -> LaneConnections {
        var database = configuration.database
        database.applicationName = "order-worker \(name)"
        let session = try await PostgreSQL.Connection.connect(database, logger: logger)
        do {
            let store = BatchStore(connection: session)
            try await store.requireOwnSession()
            let migrator = try Migrator(migrations: OrderMigrations.all)
            let version = try await migrator.verify(on: session)
            if version > migrator.latestVersion {
                logger.info(
                    "the schema is newer than this program, which goes on working with it",
                    metadata: ["schema": "\(version)", "program": "\(migrator.latestVersion)"])
            }
            for fault in try await DatabaseConditions.requireFit(on: session) {
                logger.warning("\(fault.text)", metadata: ["advice": "\(fault.mend)"])
            }
            try await store.prepareSession()
            let ownership = PartitionOwnership(connection: session)
            let asked = ContinuousClock.now
            let clock = DatabaseClock(time: try await ownership.look().time, asked: asked)
            return LaneConnections(
                database: session, store: store, ownership: ownership,
                admission: Admission(
                    decoder: CommandDecoder(maximumBodySize: configuration.maximumMessageSize),
                    relay: Relay(ownUser: configuration.amqp.addresses.first?.user ?? ""),
                    authorization: configuration.authorization, commandAge: configuration.commandAge,
                    deferrals: configuration.deferrals,
                    replies: ReplyPolicy(
                        prefix: configuration.replyPrefix, authorization: configuration.authorization)),
                clock: clock, rankKey: try await enter(ownership, lane: index),
                catalog: try await CatalogStore(connection: session).load())
        } catch {
            await session.close()
            throw error
        }
    }

    private static func enter(_ ownership: PartitionOwnership, lane index: Int) async throws -> Int32 {
        var random = SystemRandomNumberGenerator()
        while true {
            let rankKey = FairShare.rankKey(lane: index, random: &random)
            if try await ownership.enter(rankKey: rankKey) { return rankKey }
        }
    }
}

extension StoreError {
    /// Why the database didn't take a batch; nil where the session is lost.
    var refusal: BatchRefusal? {
        // A server that has become read-only won't take anything any more: another may be the primary now.
        guard isConnectionUsable, !isReadOnly else { return nil }
        if cause?.code == .encoding { return .content }
        guard let state = cause?.sqlState else { return cause?.code == .timedOut ? .timeout : .unavailable }
        if state == "57014" { return .timeout }
        return ["22", "23", "54"].contains(state.prefix(2)) ? .content : .unavailable
    }
}

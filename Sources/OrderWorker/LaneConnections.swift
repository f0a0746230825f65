// The connections of a lane.

internal import AMQP
internal import Logging
internal import PostgreSQL

/// A lane's connections: it consumes on one and publishes on another, so that a broker that holds publishers back
/// still takes acknowledgements; and it has a database session of its own, which holds its partitions' locks.
struct LaneConnections: Sendable {
    let database: PostgreSQL.Connection
    let consumer: LaneConsumer
    let publisher: PublisherConnection
    let directReplies: DirectReplies
    let logger: Logger

    /// Connects to the database and twice to the broker, or not at all. Direct replies connect when there is one.
    static func open(_ configuration: WorkerConfiguration, name: String, logger: Logger) async throws -> LaneConnections
    {
        var amqp = configuration.amqp
        amqp.connectionName = "order-worker \(name)"
        var database = configuration.database
        database.applicationName = "order-worker \(name)"
        let session = try await PostgreSQL.Connection.connect(database, logger: logger)
        do {
            let consumer = try await LaneConsumer.connect(amqp, logger: logger)
            do {
                let publisher = try await PublisherConnection.connect(amqp, logger: logger)
                return LaneConnections(
                    database: session, consumer: consumer, publisher: publisher,
                    directReplies: DirectReplies(amqp, logger: logger), logger: logger)
            } catch {
                await consumer.close()
                throw error
            }
        } catch {
            await session.close()
            throw error
        }
    }

    /// Closes them. The consumer first: its deliveries go back to their queues before the locks are free.
    ///
    /// - Parameter limit: how long a database call that is under way may still take.
    func close(within limit: Duration = .seconds(5)) async {
        await consumer.close()
        await publisher.close()
        await directReplies.close()
        await database.close(within: limit)
    }

    /// Publishes messages in order and sees each confirmed, but for direct replies: they come last, as well as they can.
    ///
    /// - Throws: ``LaneError/notPublished(_:)`` when the broker refuses one, or returns one that must arrive.
    func publish(_ messages: [OutgoingMessage]) async throws {
        try await publishConfirmed(messages.filter { !DirectReplies.isDirectReply($0) })
        await directReplies.send(messages.filter(DirectReplies.isDirectReply))
    }

    /// Whether a message is the copy of an outcome to a publisher's own queue. Should that be full for good, nothing else may
    /// wait for it.
    private func isReply(_ message: OutgoingMessage) -> Bool {
        message.exchange.isEmpty && !message.isMandatory
    }

    private func publishConfirmed(_ messages: [OutgoingMessage]) async throws {
        guard !messages.isEmpty else { return }
        let started = ContinuousClock.now
        var left = messages
        for attempt in 0..<5 {
            let outcomes = try await publisher.publish(left)
            for (message, outcome) in zip(left, outcomes) {
                if case .returned(_, let text) = outcome {
                    throw LaneError.notPublished("'\(message.exchange)' with key '\(message.routingKey)': \(text)")
                }
            }
            let refused = outcomes.indices.first { index in
                outcomes[index] == .rejected && !(attempt > 1 && isReply(left[index]))
            }
            guard let refused else {
                for (message, outcome) in zip(left, outcomes) where outcome == .rejected {
                    logger.notice("reply dropped: its queue refuses it", metadata: ["queue": "\(message.routingKey)"])
                }
                LaneMetrics.published(messages.count, seconds: started.duration(to: .now))
                return
            }
            // All from there again: a customer's events stay in order, and those that went through keep their ids.
            left.removeFirst(refused)
            try await Task.sleep(for: .milliseconds(200))
        }
        throw LaneError.notPublished("the broker refuses \(left.count) messages, the first to '\(left[0].exchange)'")
    }
}

/// Why a lane has to begin anew.
enum LaneError: Error, CustomStringConvertible {
    case consumerCancelled(String)
    case notPublished(String)
    case rankKeyTaken

    var description: String {
        switch self {
        case .consumerCancelled(let tag):
            "the broker cancelled the consumer of '\(tag)': was the queue deleted? Apply the topology (order-worker topology apply)"
        case .notPublished(let what):
            "a message was not published: \(what). Apply the topology (order-worker topology apply)"
        case .rankKeyTaken: "another lane has the same rank key"
        }
    }
}

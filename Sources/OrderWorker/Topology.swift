// The exchanges and queues that commands and events travel through: declared, and compared with what a broker has.

public import AMQP

/// What the worker needs on the broker. Works with RabbitMQ 3.10 and later.
///
///     orders (x-consistent-hash, by customer) ─→ orders.0 … orders.N-1 ─→ orders.dead, where the broker gives up
///     orders.retry (fanout) ─→ orders.retry, waits for the retry delay ─→ orders, with its routing key
///     order.events (topic)
///
/// Every queue is a quorum queue, and dead-lettering is at-least-once: what a publisher was told is safe stays safe.
public struct Topology: Sendable, Hashable {
    /// The exchange that commands are published to, with the customer's id as routing key.
    public static let commands = "orders"
    /// The topic exchange that events are published to, with the event's type as routing key.
    public static let events = "order.events"
    /// The queue of what couldn't be read or kept crashing a worker.
    public static let deadLetters = "orders.dead"
    /// The exchange, and the queue of the same name, in which commands wait to be tried again.
    public static let retry = "orders.retry"
    /// How often the broker delivers a command before it takes it for the cause of the crashes.
    public static let deliveryLimit: Int64 = 100

    /// The queue of a partition, counted from 0.
    public static func queue(partition: Int) -> String { "\(commands).\(partition)" }

    /// The number of partition queues.
    public let partitions: Int
    /// How long a command waits before it is tried again, in whole milliseconds.
    public let retryDelay: Duration

    /// - Precondition: `partitions` is at least 1.
    public init(partitions: Int, retryDelay: Duration = .seconds(1)) {
        precondition(partitions >= 1, "a topology needs a partition")
        self.partitions = partitions
        self.retryDelay = retryDelay
    }

    // MARK: Applying

    /// Declares what is missing. Applying it again changes nothing.
    ///
    /// - Returns: what was made, a line each.
    /// - Throws: ``TopologyError`` when the exchange type isn't known to the broker, when something exists otherwise,
    ///   when there are more partitions than asked for, or when some would be added while commands are under way;
    ///   `AMQPError` for everything else.
    public func apply(on connection: TopologyConnection) async throws -> [String] {
        try await checkPartitionCount(on: connection)
        var made: [String] = []
        for exchange in exchanges {
            let isNew = try await !connection.exchangeExists(exchange.name)
            try await declare(exchange, on: connection)
            if isNew { made.append("exchange \(exchange.name) (\(exchange.type))") }
        }
        for queue in queues {
            let isNew = try await connection.depth(ofQueue: queue.name) == nil
            try await declare(queue, on: connection)
            if let source = queue.source {
                try await connection.bind(queue: queue.name, to: source, routingKey: queue.bindingKey)
            }
            if isNew { made.append("queue \(queue.name)") }
        }
        return made
    }

    /// A customer's commands move to another partition when the number changes, and would be overtaken by its next ones.
    private func checkPartitionCount(on connection: TopologyConnection) async throws {
        var existing: [QueueDepth] = []
        while let depth = try await connection.depth(ofQueue: Self.queue(partition: existing.count)) {
            existing.append(depth)
        }
        if existing.count > partitions {
            throw TopologyError(
                .partitionsDiffer, during: "counting the partitions",
                cause: "the broker has \(existing.count), not \(partitions)",
                advice: "Apply \(existing.count) partitions; or stop publishers, let the workers finish, and delete "
                    + "the queues from \(Self.queue(partition: partitions)) on.")
        }
        let isBusy = existing.contains { $0.messages > 0 || $0.consumers > 0 }
        if isBusy && existing.count < partitions {
            throw TopologyError(
                .partitionsDiffer, during: "counting the partitions",
                cause: "the broker has \(existing.count), not \(partitions), and commands are being worked on",
                advice: "Stop the publishers, let the queues run empty, stop the workers, then apply.")
        }
    }

    // MARK: Checking

    /// Compares what the broker has with what is needed. Makes nothing.
    ///
    /// Bindings can't be read over AMQP, so they aren't checked; ``apply(on:)`` makes them anew at no risk.
    ///
    /// - Returns: what differs, a line each; empty when all is as it should be.
    /// - Throws: `AMQPError` when the broker can't be asked.
    public func check(on connection: TopologyConnection) async throws -> [String] {
        var differences: [String] = []
        for exchange in exchanges {
            guard try await connection.exchangeExists(exchange.name) else {
                differences.append("The exchange \(exchange.name) doesn't exist.")
                continue
            }
            try await note(&differences) { try await declare(exchange, on: connection) }
        }
        for queue in queues {
            guard try await connection.depth(ofQueue: queue.name) != nil else {
                differences.append("The queue \(queue.name) doesn't exist.")
                continue
            }
            try await note(&differences) { try await declare(queue, on: connection) }
        }
        let next = Self.queue(partition: partitions)
        if try await connection.depth(ofQueue: next) != nil {
            differences.append("The queue \(next) exists beyond the \(partitions) partitions: nobody would consume it.")
        }
        return differences
    }

    private func note(_ differences: inout [String], _ declare: () async throws -> Void) async throws {
        do {
            try await declare()
        } catch let error as TopologyError where error.code == .exists {
            differences.append(error.cause)
        } catch let error as TopologyError where error.code == .pluginMissing {
            differences.append("\(error.cause) \(error.advice)")
        }
    }

    // MARK: What is declared

    private struct Exchange {
        let name: String
        let type: String
    }

    private struct Queue {
        let name: String
        /// The exchange it is bound to.
        var source: String?
        var bindingKey = ""
        let arguments: [String: FieldValue]
    }

    private var exchanges: [Exchange] {
        [
            Exchange(name: Self.commands, type: "x-consistent-hash"),
            Exchange(name: Self.retry, type: "fanout"),
            Exchange(name: Self.events, type: "topic"),
        ]
    }

    private var queues: [Queue] {
        // The broker refuses at-least-once dead-lettering without reject-publish.
        let deadLettered: [String: FieldValue] = [
            "x-queue-type": "quorum", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
        ]
        let partition: [String: FieldValue] = [
            "x-single-active-consumer": true,
            "x-delivery-limit": .integer(Self.deliveryLimit),
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": .string(Self.deadLetters),
        ]
        let waiting: [String: FieldValue] = [
            "x-message-ttl": .integer(retryDelay / .milliseconds(1) >= 1 ? Int64(retryDelay / .milliseconds(1)) : 1),
            "x-dead-letter-exchange": .string(Self.commands),
        ]
        // Each look at a dead letter is a delivery, and RabbitMQ 4 drops what exceeds its limit of 20.
        let dead: [String: FieldValue] = ["x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000]
        // The dead letters' queue first: the others need it.
        return [
            Queue(name: Self.deadLetters, arguments: dead),
            Queue(name: Self.retry, source: Self.retry, arguments: deadLettered.merging(waiting) { $1 }),
        ]
            + (0..<partitions).map {
                // The binding key is the weight in the hash ring.
                Queue(
                    name: Self.queue(partition: $0), source: Self.commands, bindingKey: "1",
                    arguments: deadLettered.merging(partition) { $1 })
            }
    }

    private func declare(_ exchange: Exchange, on connection: TopologyConnection) async throws {
        do throws(AMQPError) {
            try await connection.declareExchange(exchange.name, type: exchange.type)
        } catch {
            if error.code == .commandInvalid {
                throw TopologyError(
                    .pluginMissing, during: error.during,
                    cause: "The broker doesn't know the exchange type \(exchange.type).",
                    advice: "Run `rabbitmq-plugins enable rabbitmq_consistent_hash_exchange` on every node.")
            }
            throw TopologyError(existing: error) ?? error
        }
    }

    private func declare(_ queue: Queue, on connection: TopologyConnection) async throws {
        do throws(AMQPError) {
            try await connection.declareQueue(queue.name, arguments: queue.arguments)
        } catch {
            throw TopologyError(existing: error) ?? error
        }
    }
}

/// Why the topology can't be what it should be.
public struct TopologyError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure. More kinds may be added.
    public struct Code: RawRepresentable, Sendable, Hashable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// The broker lacks the plugin of an exchange type.
        public static let pluginMissing = Code(rawValue: "plugin_missing")
        /// An exchange or a queue exists with other properties.
        public static let exists = Code(rawValue: "exists")
        /// The broker has another number of partitions.
        public static let partitionsDiffer = Code(rawValue: "partitions_differ")
    }

    public let code: Code
    /// What was being done.
    public let during: String
    /// What is wrong.
    public let cause: String
    /// What to do about it.
    public let advice: String

    /// Trying again without a change doesn't help.
    public var isRetriable: Bool { false }

    public var description: String { "\(during): \(cause) \(advice)" }

    init(_ code: Code, during: String, cause: String, advice: String) {
        self.code = code
        self.during = during
        self.cause = cause
        self.advice = advice
    }

    /// nil for any other error than that something exists with other properties.
    init?(existing error: AMQPError) {
        guard error.code == .preconditionFailed else { return nil }
        self.init(
            .exists, during: error.during, cause: error.cause,
            advice: "Delete what has other properties once it is empty, then apply the topology again.")
    }
}

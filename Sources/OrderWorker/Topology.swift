// The exchanges and queues that commands and events travel through.

internal import AMQP

/// What the worker needs on the broker. Works with RabbitMQ 3.10 and later.
///
///     orders (x-consistent-hash, by customer) ─→ exchanges orders.00 … orders.N-1 (fanout)
///                                                   ├─→ queue of the same name ─→ orders.dead, where the broker gives up
///                                                   └─→ orders.unrouted, while that queue is missing
///     orders.retry (fanout) ─→ orders.retry, waits for the retry delay ─→ orders, with its routing key
///     order.events (topic)
///
/// Every queue is a quorum queue, and dead-lettering is at-least-once: what a publisher was told is safe stays safe.
///
/// The hash ring of RabbitMQ is rebuilt in the sorted order of names when the broker starts, and the binding of a queue
/// that recovers late, or is made anew, comes to the ring's end: each moves customers to other partitions. So names sort
/// as they count, and what is bound to the ring are durable exchanges, which don't come and go with a queue.
public struct Topology: Sendable, Hashable {
    /// The exchange that commands are published to, with the customer's id as routing key.
    public static let commands = "orders"
    /// The topic exchange that events are published to, with the event's type as routing key.
    public static let events = "order.events"
    /// The queue of what couldn't be read or kept crashing a worker.
    public static let deadLetters = "orders.dead"
    /// The exchange, and the queue of the same name, in which commands wait to be tried again.
    public static let retry = "orders.retry"
    /// The exchange, and the queue of the same name, for commands of a partition whose queue is missing. The elected
    /// clock sends them on once every partition has its queue again.
    public static let unrouted = "orders.unrouted"
    /// How often the broker delivers a command before it takes it for the cause of the crashes.
    public static let deliveryLimit: Int64 = 100
    /// How many partitions there can be: their names have two digits.
    public static let partitionRange = 1...100

    /// The queue of a partition, counted from 0, and the exchange that it is bound to: `orders.00`.
    public static func queue(partition: Int) -> String {
        "\(commands).\(partition < 10 ? "0" : "")\(partition)"
    }

    /// The queue that a partition below 10 had before names had two digits: `orders.0`.
    public static func formerQueue(partition: Int) -> String { "\(commands).\(partition)" }

    /// The number of partition queues.
    public let partitions: Int
    /// How long a command waits before it is tried again, in whole milliseconds.
    public let retryDelay: Duration

    /// - Precondition: `partitions` is in ``partitionRange``.
    public init(partitions: Int, retryDelay: Duration = .seconds(1)) {
        precondition(Self.partitionRange.contains(partitions), "a topology has 1 to 100 partitions")
        self.partitions = partitions
        self.retryDelay = retryDelay
    }

    // MARK: What is declared

    struct Exchange {
        let name: String
        let type: String
        var arguments: [String: FieldValue] = [:]
    }

    struct Queue {
        let name: String
        /// The exchange it is bound to.
        var source: String?
        let arguments: [String: FieldValue]
    }

    /// The weight of a partition in the hash ring.
    static let weight = "1"

    var exchanges: [Exchange] {
        [
            Exchange(name: Self.commands, type: "x-consistent-hash"),
            Exchange(name: Self.retry, type: "fanout"),
            Exchange(name: Self.unrouted, type: "fanout"),
            Exchange(name: Self.events, type: "topic"),
        ]
    }

    /// The exchange between the ring and a partition's queue.
    func exchange(partition: Int) -> Exchange {
        Exchange(
            name: Self.queue(partition: partition), type: "fanout",
            arguments: ["alternate-exchange": .string(Self.unrouted)])
    }

    // The broker refuses at-least-once dead-lettering without reject-publish.
    private static let deadLettered: [String: FieldValue] = [
        "x-queue-type": "quorum", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
    ]

    /// Each look at a message is a delivery, and RabbitMQ 4 drops what exceeds its limit of 20.
    private static let unlimited: FieldValue = 1_000_000_000

    /// The queues besides the partitions'. The dead letters' first: the others need it.
    var commonQueues: [Queue] {
        let waiting: [String: FieldValue] = [
            "x-message-ttl": .integer(retryDelay / .milliseconds(1) >= 1 ? Int64(retryDelay / .milliseconds(1)) : 1),
            "x-dead-letter-exchange": .string(Self.commands),
        ]
        // One at a time sends on what lies there, or it would change its order.
        let unrouted: [String: FieldValue] = [
            "x-single-active-consumer": true,
            "x-delivery-limit": Self.unlimited,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": .string(Self.deadLetters),
        ]
        return [
            Queue(
                name: Self.deadLetters, arguments: ["x-queue-type": "quorum", "x-delivery-limit": Self.unlimited]),
            Queue(name: Self.retry, source: Self.retry, arguments: Self.deadLettered.merging(waiting) { $1 }),
            Queue(name: Self.unrouted, source: Self.unrouted, arguments: Self.deadLettered.merging(unrouted) { $1 }),
        ]
    }

    func queue(_ partition: Int) -> Queue {
        let arguments: [String: FieldValue] = [
            "x-single-active-consumer": true,
            "x-delivery-limit": .integer(Self.deliveryLimit),
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": .string(Self.deadLetters),
        ]
        return Queue(
            name: Self.queue(partition: partition), source: Self.queue(partition: partition),
            arguments: Self.deadLettered.merging(arguments) { $1 })
    }

    /// Creates an exchange, or checks that it exists just so.
    func declare(_ exchange: Exchange, on connection: TopologyConnection) async throws {
        do throws(AMQPError) {
            try await connection.declareExchange(exchange.name, type: exchange.type, arguments: exchange.arguments)
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

    /// Creates a queue, or checks that it exists just so.
    func declare(_ queue: Queue, on connection: TopologyConnection) async throws {
        do throws(AMQPError) {
            try await connection.declareQueue(queue.name, arguments: queue.arguments)
        } catch {
            throw TopologyError(existing: error) ?? error
        }
    }
}

// The connection that a lane consumes on, which begins anew where partitions are handed over.

internal import AMQP
internal import Logging

/// The connection that a lane consumes on.
///
/// No consumer is ever cancelled. After `basic.cancel`, RabbitMQ gives a delivery that was on its way back to its quorum
/// queue at once, while what was delivered before it is still in hand: should the lane then fail, that comes back behind
/// it, and the customer's commands are out of order. What comes back with the end of a connection comes in order.
actor LaneConsumer {
    private let configuration: ConnectionConfiguration
    private let logger: Logger
    private var connection: ConsumerConnection
    private var isClosed = false

    private init(_ configuration: ConnectionConfiguration, _ connection: ConsumerConnection, logger: Logger) {
        self.configuration = configuration
        self.connection = connection
        self.logger = logger
    }

    static func connect(_ configuration: ConnectionConfiguration, logger: Logger) async throws -> LaneConsumer {
        var configuration = configuration
        // The partitions' queues dead-letter it.
        configuration.rejectsUnreadable = true
        return LaneConsumer(
            configuration, try await ConsumerConnection.connect(configuration, logger: logger), logger: logger)
    }

    /// Consumes a partition's queue. The consumer tag is the queue's name.
    func consume(partition: Int, prefetch: Int) async throws {
        let queue = Topology.queue(partition: partition)
        try await connection.consume(queue: queue, consumerTag: queue, prefetch: UInt16(clamping: prefetch))
    }

    /// Waits for deliveries, as ``ConsumerConnection/nextBatch(maximum:until:)``.
    func nextBatch(maximum: Int, until deadline: ContinuousClock.Instant) async throws -> [ConsumerEvent] {
        try await connection.nextBatch(maximum: maximum, until: deadline)
    }

    func wake() async {
        await connection.wake()
    }

    /// Acknowledges all deliveries up to and including `tag`.
    func acknowledge(through tag: UInt64) async throws {
        try await connection.acknowledge(through: tag)
    }

    /// Gives all that isn't acknowledged back to its queues, in order, and begins a new connection that consumes nothing.
    func restart() async throws {
        await connection.close()
        let next = try await ConsumerConnection.connect(configuration, logger: logger)
        connection = next
        if isClosed { await next.close() }
    }

    /// Gives all that isn't acknowledged back to its queues, in order.
    func close() async {
        isClosed = true
        await connection.close()
    }
}

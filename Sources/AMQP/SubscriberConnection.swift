// A connection that listens to an exchange through a queue that lives and dies with it.

public import Logging
internal import SocketExecutor

/// A connection with one channel and a queue of its own, exclusive and deleted with the connection, which is bound to an
/// exchange and consumed.
///
/// When a method throws anything but `invalidArgument`, the connection has ended, and what was in the queue is gone.
/// Waits don't end at the cancellation of the calling task, but at their deadlines and at ``wake()``.
public actor SubscriberConnection: LinkedConnection {
    nonisolated let executor = SocketExecutor(label: "amqp-subscriber")
    let link: Link
    var pumping: Task<Void, Never>?

    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private init(_ configuration: ConnectionConfiguration, logger: Logger) {
        link = Link(configuration: configuration, executor: executor, survivesChannel: false, logger: logger)
    }

    /// Connects to the first address that answers, trying each once, in order, and begins to listen.
    ///
    /// - Parameters:
    ///   - queue: the new queue's name, which nobody else may have.
    ///   - routingKeys: what the queue is bound to `exchange` with, each.
    ///   - maximumLength: how many messages may wait for a subscriber that doesn't keep up; beyond that the broker drops
    ///     the oldest.
    ///   - prefetch: how many deliveries may be unacknowledged; 1…65535.
    /// - Throws: ``AMQPError`` with the code of the last address and the causes of all; `accessRefused` if the user may
    ///   not have a queue of this name or read the exchange.
    public static func connect(
        _ configuration: ConnectionConfiguration, queue: String, exchange: String, routingKeys: [String],
        maximumLength: Int64, prefetch: UInt16, logger: Logger
    ) async throws(AMQPError) -> SubscriberConnection {
        let connection = SubscriberConnection(configuration, logger: logger)
        let declaration = QueueDeclaration(
            name: queue, isDurable: false, isExclusive: true, isAutoDeleted: true,
            arguments: ["x-max-length": .integer(maximumLength)])
        let bindings = routingKeys.map { key in
            OutgoingMethod.bindQueue(QueueBinding(queue: queue, exchange: exchange, routingKey: key))
        }
        try await connection.open(
            [.declareQueue(declaration)] + bindings + [
                .setPrefetch(max(1, prefetch)),
                .consume(queue: queue, consumerTag: queue, isExclusive: true, arguments: [:]),
            ])
        return connection
    }

    /// Waits for at least one message, then returns all that have arrived, in order, up to `maximum`, without lingering.
    /// They have to be acknowledged.
    ///
    /// One caller at a time may wait.
    ///
    /// - Returns: empty only at the deadline or after ``wake()``.
    /// - Throws: `channelClosed` when the broker has cancelled the consumer: its queue is gone.
    public func nextBatch(
        maximum: Int, until deadline: ContinuousClock.Instant
    ) async throws(AMQPError) -> [Delivery] {
        var deliveries: [Delivery] = []
        for event in try await link.nextEvents(maximum: maximum, until: deadline) {
            switch event {
            case .delivery(let delivery): deliveries.append(delivery)
            case .cancelled(let queue):
                throw AMQPError(.channelClosed, during: "listening", cause: "the queue \(queue) was deleted")
            }
        }
        return deliveries
    }

    /// Acknowledges all deliveries up to and including `tag`.
    public func acknowledge(through tag: UInt64) async throws(AMQPError) {
        try link.tell(.acknowledge(tag: tag, multiple: true))
    }

    /// Makes a waiting ``nextBatch(maximum:until:)`` return at once. If none waits, the next that would doesn't.
    public func wake() {
        link.wake()
    }

    /// Closes the connection, within a few seconds whatever the broker does.
    public func close() async {
        await shutDown()
    }
}

// A connection that consumes.

public import Logging
internal import SocketExecutor

/// A connection with one channel on which queues are consumed, each delivery to be acknowledged.
///
/// It stays alive on its own: frames are read and heartbeats served while the caller is busy elsewhere, and the prefetch
/// bounds what piles up. When a method throws anything but `invalidArgument`, the connection has ended. Call ``close()``
/// in any case: it gives the connection's thread and socket back.
///
/// Waits don't end at the cancellation of the calling task. They end at their deadlines, and ``nextBatch(maximum:until:)``
/// also at ``wake()``.
public actor ConsumerConnection: LinkedConnection {
    nonisolated let executor = SocketExecutor(label: "amqp-consumer")
    let link: Link
    var pumping: Task<Void, Never>?

    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private init(_ configuration: ConnectionConfiguration, logger: Logger) {
        link = Link(configuration: configuration, executor: executor, survivesChannel: false, logger: logger)
    }

    /// Connects to the first address that answers, trying each once, in order.
    ///
    /// - Throws: ``AMQPError`` with the code of the last address and the causes of all.
    public static func connect(
        _ configuration: ConnectionConfiguration, logger: Logger
    ) async throws(AMQPError) -> ConsumerConnection {
        let connection = ConsumerConnection(configuration, logger: logger)
        try await connection.open()
        return connection
    }

    /// Consumes a queue, in addition to those that are consumed already.
    ///
    /// - Parameters:
    ///   - consumerTag: names the consumer on this connection.
    ///   - prefetch: how many of this consumer's deliveries may be unacknowledged; 1…65535.
    ///   - isExclusive: whether the broker refuses every other consumer of the queue.
    ///   - arguments: the broker's own options, such as `x-priority`.
    /// - Throws: `notFound` for a queue that doesn't exist, `resourceLocked` for one that another consumes exclusively.
    public func consume(
        queue: String, consumerTag: String, prefetch: UInt16, isExclusive: Bool = false,
        arguments: [String: FieldValue] = [:]
    ) async throws(AMQPError) {
        let method = OutgoingMethod.consume(
            queue: queue, consumerTag: consumerTag, isExclusive: isExclusive, arguments: arguments)
        if prefetch == 0 {
            throw AMQPError(.invalidArgument, during: method.purpose, cause: "a prefetch of 0 would be unbounded")
        }
        _ = try await link.call(.setPrefetch(prefetch))
        _ = try await link.call(method)
    }

    /// Ends a consumer. When this returns no more deliveries come for it; those that came before are still handed out,
    /// to be acknowledged or rejected.
    public func cancel(consumerTag: String) async throws(AMQPError) {
        _ = try await link.call(.cancel(consumerTag: consumerTag))
    }

    /// Waits for at least one event, then returns all that have arrived, in order, up to `maximum`, without lingering.
    ///
    /// One caller at a time may wait.
    ///
    /// - Returns: empty only at the deadline or after ``wake()``.
    public func nextBatch(
        maximum: Int, until deadline: ContinuousClock.Instant
    ) async throws(AMQPError) -> [ConsumerEvent] {
        try await link.nextEvents(maximum: maximum, until: deadline)
    }

    /// The delivery whose headers can't be read, on a connection that keeps such: what came before it is still handed out,
    /// and nothing comes after it.
    public var unreadable: UInt64? { link.unreadable }

    /// Ends a consumer without waiting for the broker's answer.
    public func abandon(consumerTag: String) async throws(AMQPError) {
        try link.tell(.cancel(consumerTag: consumerTag))
    }

    /// Makes a waiting ``nextBatch(maximum:until:)`` return at once. If none waits, the next that would doesn't.
    public func wake() {
        link.wake()
    }

    /// Acknowledges all deliveries of this connection up to and including `tag`, whichever consumer they came to.
    ///
    /// The broker doesn't answer. If it doesn't know the tag, it ends the connection with `preconditionFailed`.
    public func acknowledge(through tag: UInt64) async throws(AMQPError) {
        try link.tell(.acknowledge(tag: tag, multiple: true))
    }

    /// Acknowledges one delivery.
    public func acknowledge(_ tag: UInt64) async throws(AMQPError) {
        try link.tell(.acknowledge(tag: tag, multiple: false))
    }

    /// Acknowledges deliveries one by one, in one go.
    public func acknowledge(_ tags: [UInt64]) async throws(AMQPError) {
        try link.tell(tags.map { .acknowledge(tag: $0, multiple: false) })
    }

    /// Gives one delivery back to its queue, or has it dead-lettered (dropped, where the queue has no such exchange).
    public func reject(_ tag: UInt64, requeue: Bool) async throws(AMQPError) {
        try link.tell(.reject(tag: tag, requeue: requeue))
    }

    /// Closes the connection, within a few seconds whatever the broker does. What wasn't acknowledged will be delivered
    /// again, to this or another consumer. Acknowledgements made before are still sent.
    public func close() async {
        await shutDown()
    }
}

// A connection that publishes with confirms.

public import Logging
internal import SocketExecutor

/// A connection with one channel in confirm mode.
///
/// When a method throws anything but `invalidArgument`, the connection has ended: close it and open another. What became
/// of messages in flight is then unknown, so publish them again; their consumers must expect a message twice.
///
/// Waits don't end at the cancellation of the calling task, but at the operation timeout.
public actor PublisherConnection: LinkedConnection {
    nonisolated let executor = SocketExecutor(label: "amqp-publisher")
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
    ) async throws(AMQPError) -> PublisherConnection {
        let connection = PublisherConnection(configuration, logger: logger)
        try await connection.open([.selectConfirms])
        return connection
    }

    /// Why the broker accepts no messages for now, such as "low on memory"; `nil` while it does.
    public var blockedReason: String? { link.blockedReason }

    /// Why the connection has ended; `nil` while it is there, as far as anybody has noticed.
    public var failure: AMQPError? { link.failure }

    /// Publishes all messages, in order and without waiting in between, then waits until the broker has settled each.
    ///
    /// Several calls may be under way at once; each call's messages stay together.
    ///
    /// - Returns: what became of each, in order.
    /// - Throws: `invalidArgument` if a message can't be encoded, in which case none was sent; `blocked` or `timedOut`
    ///   when the operation timeout passes; `notFound` for an exchange that doesn't exist.
    public func publish(_ messages: [OutgoingMessage]) async throws(AMQPError) -> [PublishOutcome] {
        try await link.publish(messages)
    }

    /// Closes the connection, within a few seconds whatever the broker does. Calls of ``publish(_:)`` that are under way
    /// fail with `connectionClosed`.
    public func close() async {
        await shutDown()
    }
}

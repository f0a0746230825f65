// A connection that publishes requests and receives the replies to them.

public import Logging
internal import SocketExecutor

/// A connection with one channel on which messages are published with confirms, and replies to them arrive, through
/// RabbitMQ's direct reply-to.
///
/// A message asks for its reply by ``replyQueue`` in its property `replyTo`. No queue is declared, and the user needs no
/// permission beyond that to publish (RabbitMQ: direct reply-to). A reply is lost when the connection ends before it came.
///
/// When a method throws anything but `invalidArgument`, the connection has ended. Waits don't end at the cancellation of
/// the calling task, but at their deadlines.
public actor CallerConnection: LinkedConnection {
    /// What a message names in `replyTo`; the broker replaces it by an address of this channel.
    public static let replyQueue = "amq.rabbitmq.reply-to"

    nonisolated let executor = SocketExecutor(label: "amqp-caller")
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
    ) async throws(AMQPError) -> CallerConnection {
        let connection = CallerConnection(configuration, logger: logger)
        try await connection.open([.selectConfirms, .consumeReplies(consumerTag: "replies")])
        return connection
    }

    /// Publishes all messages, in order, then waits until the broker has settled each; as
    /// ``PublisherConnection/publish(_:)``.
    public func publish(_ messages: [OutgoingMessage]) async throws(AMQPError) -> [PublishOutcome] {
        try await link.publish(messages)
    }

    /// Waits for at least one reply, then returns all that have arrived, in order, up to `maximum`.
    ///
    /// One caller at a time may wait.
    ///
    /// - Returns: empty only at the deadline or after ``wake()``.
    public func nextReplies(
        maximum: Int, until deadline: ContinuousClock.Instant
    ) async throws(AMQPError) -> [Message] {
        try await link.nextEvents(maximum: maximum, until: deadline).compactMap { event in
            if case .delivery(let delivery) = event { delivery.message } else { nil }
        }
    }

    /// Makes a waiting ``nextReplies(maximum:until:)`` return at once. If none waits, the next that would doesn't.
    public func wake() {
        link.wake()
    }

    /// Closes the connection, within a few seconds whatever the broker does.
    public func close() async {
        await shutDown()
    }
}

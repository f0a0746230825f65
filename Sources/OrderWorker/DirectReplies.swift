// Outcomes for clients that wait for them by RabbitMQ's direct reply-to.

internal import AMQP
internal import Logging

/// Sends replies to the addresses `amq.rabbitmq.reply-to.…`, on a connection of their own.
///
/// RabbitMQ takes such an address apart when a message is published to it, and one that it can't take apart ends the
/// publisher's connection with an internal error (541, seen with 3.10). Whoever may publish commands can send such an
/// address, so these replies must not share a connection with anything that has to arrive. They can get lost by their
/// nature: who waits for one and doesn't get it sends the command again, or looks at the events.
actor DirectReplies {
    /// What the addresses begin with.
    private static let prefix = "amq.rabbitmq.reply-to"
    /// How many addresses of one batch may break the connection before the rest of its replies are dropped.
    private static let patience = 3

    private let configuration: AMQP.ConnectionConfiguration
    private let logger: Logger
    private var connection: PublisherConnection?
    private var isClosed = false

    init(_ configuration: AMQP.ConnectionConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    static func isDirectReply(_ message: OutgoingMessage) -> Bool {
        message.exchange.isEmpty && message.routingKey.hasPrefix(prefix)
    }

    /// Sends replies, or drops and logs those that can't be sent.
    func send(_ replies: [OutgoingMessage]) async {
        if replies.isEmpty { return }
        if await publish(replies) { return }
        // The broker doesn't say which of them it was.
        var failures = 0
        for reply in replies where failures < Self.patience {
            if await !publish([reply]) {
                failures += 1
                logger.notice("direct reply dropped", metadata: ["address": "\(reply.routingKey)"])
            }
        }
        if failures == Self.patience {
            logger.warning("direct replies dropped: too many addresses of the batch are broken")
        }
    }

    func close() async {
        isClosed = true
        await connection?.close()
    }

    /// Whether they were sent. On a failure the connection is closed; the next call makes a new one.
    private func publish(_ replies: [OutgoingMessage]) async -> Bool {
        var used: PublisherConnection?
        do throws(AMQPError) {
            let publisher = try await connected()
            used = publisher
            _ = try await publisher.publish(replies)
            return true
        } catch {
            logger.debug("direct replies not sent", metadata: ["error": "\(error)"])
            if connection === used { connection = nil }
            await used?.close()
            return false
        }
    }

    private func connected() async throws(AMQPError) -> PublisherConnection {
        if let connection { return connection }
        let publisher = try await PublisherConnection.connect(configuration, logger: logger)
        // Meanwhile another call may have connected, or the lane may have ended.
        if isClosed || connection != nil { await publisher.close() }
        if let connection { return connection }
        if !isClosed { connection = publisher }
        return publisher
    }
}

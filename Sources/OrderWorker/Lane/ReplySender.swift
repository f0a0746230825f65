// Sends replies on a connection of its own, so that no event and no acknowledgement waits for one.

internal import AMQP
internal import Logging
internal import Synchronization

/// Sends replies as well as it can, apart from everything that has to arrive.
///
/// A reply can get lost: who waits for one and doesn't get it sends the command again, or looks at the events. It is dropped
/// when its queue refuses it, when its address breaks the connection (RabbitMQ takes an address of direct reply-to apart,
/// and one that it can't take apart ends the connection with an internal error, seen with 3.10), or when too many wait.
/// Whose address broke the connection gets no direct replies for a while, so that others get theirs.
actor ReplySender {
    /// How much may wait to be sent.
    private static let limit = (replies: 20_000, bytes: 8 << 20)
    private static let penalty = Duration.seconds(10)

    private struct Waiting {
        var replies: [Reply] = []
        var bytes = 0
    }

    private let configuration: AMQP.ConnectionConfiguration
    private let logger: Logger
    private var connection: PublisherConnection?
    private var excluded: [String: ContinuousClock.Instant] = [:]
    private nonisolated let waiting = Mutex(Waiting())
    private nonisolated let wakeUps: AsyncStream<Void>
    private nonisolated let wakeUp: AsyncStream<Void>.Continuation

    init(_ configuration: AMQP.ConnectionConfiguration, logger: Logger) {
        var configuration = configuration
        configuration.operationTimeout = min(configuration.operationTimeout, .seconds(5))
        self.configuration = configuration
        self.logger = logger
        (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Hands replies over; returns at once.
    nonisolated func offer(_ replies: [Reply]) {
        guard !replies.isEmpty else { return }
        let dropped = waiting.withLock { waiting in
            for (index, reply) in replies.enumerated() {
                let size = reply.message.message.body.count + 512
                guard waiting.replies.count < Self.limit.replies, waiting.bytes + size <= Self.limit.bytes else {
                    return replies.count - index
                }
                waiting.replies.append(reply)
                waiting.bytes += size
            }
            return 0
        }
        if dropped > 0 { LaneMetrics.repliesDropped(dropped, reason: "too many wait") }
        wakeUp.yield()
    }

    /// Sends until ``finish()`` is called, and then what still waits.
    func run() async {
        for await _ in wakeUps {
            let replies = waiting.withLock { waiting in
                defer { waiting = Waiting() }
                return waiting.replies
            }
            await send(replies)
        }
        await connection?.close()
    }

    nonisolated func finish() { wakeUp.finish() }

    private func send(_ replies: [Reply]) async {
        let now = ContinuousClock.now
        excluded = excluded.filter { $0.value > now }
        let allowed = replies.filter { !($0.isDirect && $0.user.map { excluded[$0] != nil } ?? false) }
        if allowed.count < replies.count {
            drop(replies.count - allowed.count, "their senders' direct addresses broke the connection")
        }
        if allowed.isEmpty { return }
        if await publish(allowed) { return }
        // The broker doesn't say which of them it was. Each sender's by themselves, in the order of the first.
        var senders: [String?] = []
        for reply in allowed where !senders.contains(reply.user) { senders.append(reply.user) }
        for sender in senders {
            let own = allowed.filter { $0.user == sender }
            let direct = own.filter(\.isDirect)
            _ = await publish(own.filter { !$0.isDirect })
            if await publish(direct) { continue }
            drop(direct.count, "a direct address broke the connection")
            if let sender { excluded[sender] = .now + Self.penalty }
        }
    }

    /// Whether they were sent, if not all taken. On a failure the connection is closed; the next call makes a new one.
    private func publish(_ replies: [Reply]) async -> Bool {
        if replies.isEmpty { return true }
        do throws(AMQPError) {
            let publisher = try await connected()
            let outcomes = try await publisher.publish(replies.map(\.message))
            let refused = outcomes.count { $0 != .confirmed }
            if refused > 0 { drop(refused, "their queues refuse them") }
            return true
        } catch {
            logger.debug("replies not sent", metadata: ["error": "\(error)"])
            await connection?.close()
            connection = nil
            // Without the broker no address is to blame.
            if error.code == .connectionFailed || error.code == .blocked {
                drop(replies.count, "the broker can't be reached")
                return true
            }
            return false
        }
    }

    private func connected() async throws(AMQPError) -> PublisherConnection {
        if let connection { return connection }
        let publisher = try await PublisherConnection.connect(configuration, logger: logger)
        connection = publisher
        return publisher
    }

    private func drop(_ count: Int, _ reason: String) {
        LaneMetrics.repliesDropped(count, reason: reason)
        logger.notice("replies dropped", metadata: ["count": "\(count)", "reason": "\(reason)"])
    }
}

// Sends replies on a connection of its own, so that no event and no acknowledgement waits for one.

internal import AMQP
internal import Logging
internal import Synchronization

/// Sends replies as well as it can, apart from everything that has to arrive.
///
/// A reply can get lost: who waits for one and doesn't get it sends the command again, or looks at the events. It is dropped
/// when its queue refuses it, when it is larger than the broker takes, when its address breaks the connection (RabbitMQ
/// takes an address of direct reply-to apart, and one that it can't take apart ends the connection with an internal error,
/// seen with 3.10), or when too many wait. Whose address broke the connection gets no direct replies for a while, so that
/// others get theirs.
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
        if dropped > 0 { LaneMetrics.repliesDropped(dropped, .tooManyWait) }
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
            drop(replies.count - allowed.count, .senderExcluded)
        }
        await sendEach(allowed)
    }

    /// Sends replies of which some may break the connection: those get lost and no others.
    private func sendEach(_ replies: [Reply]) async {
        switch await publish(replies) {
        case .sent: break
        case .tooLarge where replies.count == 1: drop(1, .tooLarge)
        case .tooLarge:
            // The broker doesn't say which of them it was.
            await sendEach(Array(replies[..<(replies.count / 2)]))
            await sendEach(Array(replies[(replies.count / 2)...]))
        case .failed: await sendBySender(replies)
        }
    }

    /// Sends each sender's by themselves, in the order of the first. The broker doesn't say whose address it was.
    private func sendBySender(_ replies: [Reply]) async {
        var senders: [String?] = []
        for reply in replies where !senders.contains(reply.user) { senders.append(reply.user) }
        for sender in senders {
            let own = replies.filter { $0.user == sender }
            let (direct, others) = (own.filter(\.isDirect), own.filter { !$0.isDirect })
            if await publish(others) == .tooLarge { await sendEach(others) }
            switch await publish(direct) {
            case .sent: break
            case .tooLarge: await sendEach(direct)
            case .failed:
                drop(direct.count, .addressBreaks)
                if let sender { excluded[sender] = .now + Self.penalty }
            }
        }
    }

    /// What became of replies that were sent together.
    private enum Sending {
        /// They were sent, if not all taken.
        case sent
        /// One of them is larger than the broker takes.
        case tooLarge
        case failed
    }

    /// On a failure the connection is closed; the next call makes a new one.
    private func publish(_ replies: [Reply]) async -> Sending {
        if replies.isEmpty { return .sent }
        do throws(AMQPError) {
            let publisher = try await connected()
            let outcomes = try await publisher.publish(replies.map(\.message))
            let refused = outcomes.count { $0 != .confirmed }
            if refused > 0 { drop(refused, .queueRefuses) }
            return .sent
        } catch {
            logger.debug("replies not sent", metadata: ["error": "\(error)"])
            await connection?.close()
            connection = nil
            switch error.code {
            case .connectionFailed, .blocked:
                // Without the broker no address is to blame.
                drop(replies.count, .brokerUnreachable)
                return .sent
            case .preconditionFailed, .contentTooLarge: return .tooLarge
            default: return .failed
            }
        }
    }

    private func connected() async throws(AMQPError) -> PublisherConnection {
        if let connection { return connection }
        let publisher = try await PublisherConnection.connect(configuration, logger: logger)
        connection = publisher
        return publisher
    }

    private func drop(_ count: Int, _ reason: ReplyLoss) {
        LaneMetrics.repliesDropped(count, reason)
        logger.notice("replies dropped", metadata: ["count": "\(count)", "reason": "\(reason.text)"])
    }
}

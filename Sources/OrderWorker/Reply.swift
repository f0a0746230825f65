// The copy of an outcome that goes to who asked for it, and which queues it may go to.

internal import AMQP
internal import OrderContract
internal import OrderStore
internal import Orders

/// An outcome on its way to the queue that its command names.
struct Reply: Sendable {
    /// RabbitMQ's direct reply-to: addresses of consumers, not of queues.
    static let directPrefix = "amq.rabbitmq.reply-to"

    let message: OutgoingMessage
    /// Who asked for it: what its address breaks may cost others nothing.
    let user: String?

    var isDirect: Bool { message.routingKey.hasPrefix(Self.directPrefix) }

    init(_ event: StoredEvent, queue: String, correlationID: String?, trace: TraceContext, user: String?) {
        self.user = user
        message = OutgoingMessage(
            exchange: "", routingKey: queue,
            message: EventMessage.make(
                id: event.id, type: event.type, time: event.time, customerID: event.customerID, data: event.data,
                traceparent: trace.traceparent, tracestate: trace.tracestate, correlationID: correlationID))
    }

    /// nil where nobody asked.
    init?(to command: ReceivedCommand, _ outcome: StoredEvent) {
        guard let queue = command.replyTo else { return nil }
        self.init(
            outcome, queue: queue, correlationID: command.decoded.correlationID, trace: command.trace,
            user: command.userID)
    }

    /// nil where nobody asked.
    init?(_ entry: OutboxEntry) {
        guard let queue = entry.replyTo else { return nil }
        self.init(entry.event, queue: queue, correlationID: entry.correlationID, trace: entry.trace, user: nil)
    }
}

/// Which queues outcomes may be sent to. The worker may write to every queue, so it must not be made to write to somebody
/// else's.
struct ReplyPolicy: Sendable, Hashable {
    /// What the names of reply queues begin with; the publisher's user name and a dot follow.
    var prefix = "replies."
    var authorization = Authorization.userID

    /// Whether `user` may have outcomes sent to `queue`: an address of direct reply-to, or a queue under the user's own
    /// prefix. Where all publishers are trusted, any queue under the prefix. nil is no queue.
    func allows(_ queue: String?, user: String?) -> Bool {
        guard let queue else { return true }
        if queue.hasPrefix(Reply.directPrefix) { return true }
        switch (authorization, user) {
        case (.trusted, _): return queue.hasPrefix(prefix)
        case (.userID, let user?): return queue.hasPrefix("\(prefix)\(user).")
        case (.userID, nil): return false
        }
    }
}

// Which messages become commands, for whom they speak and as of when they count. Pure.

internal import AMQP
internal import Logging
internal import OrderContract
internal import OrderStore
internal import Orders
internal import PostgreSQL
internal import Tracing

/// A delivery that was read as a command.
struct ReceivedCommand: Sendable {
    let delivery: Delivery
    let partition: Int
    let decoded: DecodedCommand
    /// The publisher that the broker verified.
    let userID: String?
    /// How often it was deferred.
    let attempts: Int
    /// The queue that the outcome goes to as well, which the publisher may name.
    let replyTo: String?
    /// The span of its receipt, where it is traced.
    var span: ServiceContext?

    /// The header in which a broker that is told so (`message_interceptors.incoming.set_header_timestamp`) writes when it took
    /// a message.
    private static let brokerTimeHeader = "timestamp_in_ms"

    /// When it was published, as far as anybody says: the broker, else the sender.
    var publishedAt: Timestamp? {
        if let milliseconds = delivery.message.properties.headers[Self.brokerTimeHeader]?.integer,
            (0...Int64(UInt32.max) * 1000).contains(milliseconds)
        {
            return Timestamp(microseconds: milliseconds * 1000)
        }
        return decoded.time
    }

    var trace: TraceContext {
        TraceContext(traceparent: decoded.traceparent, tracestate: decoded.tracestate)
    }

    var metadata: Logger.Metadata {
        var metadata: Logger.Metadata = [
            "id": "\(decoded.key.id)", "type": "\(decoded.type.rawValue)", "customer": "\(decoded.command.customerID)",
        ]
        if let identity = span.flatMap(LaneTracing.identity) {
            metadata["trace"] = "\(identity.trace)"
            metadata["span"] = "\(identity.span)"
        } else if let trace = decoded.traceparent {
            metadata["trace"] = "\(trace)"
        }
        return metadata
    }
}

/// A message that is refused without having been a command: it goes to the dead letters, and a refusal to its sender.
struct Refusal: Sendable {
    let code: RejectionCode
    /// The dead letter, then the event that refuses the message.
    let messages: [OutgoingMessage]
    let reply: Reply?
    let metadata: Logger.Metadata
}

/// The rules by which a worker reads and admits messages.
struct Admission: Sendable {
    let decoder: CommandDecoder
    let relay: Relay
    let authorization: Authorization
    let commandAge: Duration
    let deferrals: Int

    let replies: ReplyPolicy

    init(
        decoder: CommandDecoder, relay: Relay, authorization: Authorization, commandAge: Duration, deferrals: Int,
        replies: ReplyPolicy? = nil
    ) {
        self.decoder = decoder
        self.relay = relay
        self.authorization = authorization
        self.commandAge = commandAge
        self.deferrals = deferrals
        self.replies = replies ?? ReplyPolicy(authorization: authorization)
    }

    /// Reads a delivery that came by a partition.
    func read(_ delivery: Delivery, partition: Int, now: Timestamp) -> LaneCommand {
        if let marker = PartitionMarker(delivery.message, partition: partition, ownUser: relay.ownUser) {
            return .marker(marker)
        }
        let (message, attempts) = relay.received(delivery.message)
        switch decoder.decode(message, routingKey: delivery.routingKey) {
        case .success(let decoded):
            let user = message.properties.userID
            // Who nobody knows is told that, to all, and nothing in particular.
            let isAllowed = replies.allows(decoded.replyTo, user: user)
            guard isAllowed || user == nil else {
                return .unreadable(refuse(delivery, Self.unanswerable(decoded, replies, user: user), now: now))
            }
            return .command(
                ReceivedCommand(
                    delivery: delivery, partition: partition, decoded: decoded, userID: user, attempts: attempts,
                    replyTo: isAllowed ? decoded.replyTo : nil))
        case .failure(let unreadable):
            return .unreadable(refuse(delivery, unreadable, now: now))
        }
    }

    private static func unanswerable(
        _ decoded: DecodedCommand, _ replies: ReplyPolicy, user: String?
    ) -> UnreadableMessage {
        UnreadableMessage(
            violation: Violation(
                .replyToNotAllowed, at: "",
                "The reply_to must be an address of direct reply-to, or a queue whose name begins with "
                    + "\(replies.prefix)\(user ?? "<user_id>")."),
            key: decoded.key, type: decoded.type.rawValue, customerID: decoded.command.customerID,
            traceparent: decoded.traceparent, tracestate: decoded.tracestate, correlationID: decoded.correlationID)
    }

    /// Refuses a command that the database refuses.
    func refuse(_ command: ReceivedCommand, because error: StoreError, now: Timestamp) -> Refusal {
        let state = error.cause?.sqlState.map { " (SQLSTATE \($0))" } ?? ""
        let unreadable = UnreadableMessage(
            violation: Violation(
                .internalError, at: "",
                "The command could not be stored\(state). It is kept for an operator, who can replay it."),
            key: command.decoded.key, type: command.decoded.type.rawValue,
            customerID: command.decoded.command.customerID, traceparent: command.decoded.traceparent,
            tracestate: command.decoded.tracestate, replyTo: command.replyTo,
            correlationID: command.decoded.correlationID)
        return refuse(command.delivery, unreadable, now: now)
    }

    /// The dead letter of a command whose partner can't be served, which is left for an operator to replay.
    func leave(_ command: ReceivedCommand, for partner: UnusablePartner, now: Timestamp) -> OutgoingMessage {
        relay.deadLetter(
            command.delivery,
            UnreadableMessage(
                violation: Violation(
                    .partnerUnusable, at: "",
                    "The partner \(partner.id) can't be served: \(partner.reason) Replay it once that is mended."),
                key: command.decoded.key, type: command.decoded.type.rawValue,
                customerID: command.decoded.command.customerID))
    }

    private func refuse(_ delivery: Delivery, _ unreadable: UnreadableMessage, now: Timestamp) -> Refusal {
        let original = relay.received(delivery.message).message
        let event = StoredEvent(unreadable.rejection(of: original, routingKey: delivery.routingKey, at: now))
        let trace = TraceContext(traceparent: unreadable.traceparent, tracestate: unreadable.tracestate)
        let user = original.properties.userID
        let reply = unreadable.replyTo.flatMap { queue in
            replies.allows(queue, user: user)
                ? Reply(event, queue: queue, correlationID: unreadable.correlationID, trace: trace, user: user) : nil
        }
        return Refusal(
            code: unreadable.code,
            messages: [
                relay.deadLetter(delivery, unreadable),
                event.announcement(correlationID: unreadable.correlationID, trace: trace),
            ], reply: reply,
            metadata: [
                "reason": "\(unreadable.code.rawValue)", "id": "\(unreadable.key?.id ?? "")",
                "type": "\(unreadable.type ?? "")", "routing-key": "\(delivery.routingKey.prefix(64))",
            ])
    }

    /// Who sent a command, as far as it can be trusted.
    func publisher(of command: ReceivedCommand, catalog: Catalog) -> Publisher {
        if isOwn(command) { return .worker }
        switch authorization {
        case .trusted:
            return .trusted(partner: command.decoded.partnerID)
        case .userID:
            guard let user = command.userID else { return .anonymous }
            // A command that claims to be another partner's is nobody's.
            let isForged = command.decoded.partnerID.map { catalog.partnerID(for: .user(user)) != $0 } ?? false
            return isForged ? .anonymous : .user(user)
        }
    }

    /// What identifies a command in the inbox.
    func key(of command: ReceivedCommand, _ publisher: Publisher, catalog: Catalog) -> InboxKey {
        let sender: String
        if case .worker = publisher {
            sender = InboxKey.worker
        } else {
            sender = catalog.partnerID(for: publisher) ?? InboxKey.unknown
        }
        return InboxKey(sender: sender, command: command.decoded.key)
    }

    /// The sender's time, clamped so that neither a backlog nor a false clock can buy at another day's terms. The worker's
    /// own clock is believed, even where an operator sets it ahead.
    func effectiveTime(of command: ReceivedCommand, now: Timestamp) -> Timestamp {
        guard let time = command.decoded.time else { return now }
        if isOwn(command) {
            return SettleCommand.effectiveTime(of: command.delivery.message, time: time, now: now)
        }
        return min(now, max(time, now.adding(.zero - commandAge)))
    }

    /// Whether a command may be put aside for a while.
    func mayDefer(_ command: ReceivedCommand) -> Bool {
        command.attempts < deferrals && DeadLetter.canPassOn(command.delivery.message)
    }

    /// What falls due by then may be settled by the batch: now, or later where an operator has set the clock ahead.
    func horizon(of batch: Batch, now: Timestamp) -> Timestamp {
        batch.commands.filter(isOwn).map { command in
            let time = effectiveTime(of: command, now: now)
            // The end of a day is the beginning of the next.
            if case .settle(_, dayIsOver: true) = command.decoded.command { return time.adding(.microseconds(1)) }
            return time
        }.reduce(now, max)
    }

    private func isOwn(_ command: ReceivedCommand) -> Bool {
        command.userID == relay.ownUser && command.decoded.type == .customerSettle
    }
}

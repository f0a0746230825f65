// What each frame from the broker means for a connection with one channel. Pure: no socket, no clock.

/// Assembles deliveries, matches answers with commands and confirms with messages, and says what to do.
struct ConnectionStateMachine {
    /// What to do about a frame.
    enum Action: Equatable {
        case nothing
        /// Hand this to the consumer.
        case emit(ConsumerEvent)
        /// The oldest command that awaits an answer has this one.
        case answer(Reply)
        /// These publishes are settled.
        case complete([ConfirmLedger.Settled])
        /// The broker stopped, or started again, to accept messages.
        case noteBlocked(reason: String?)
        /// The broker closed the channel: acknowledge that; all commands that await an answer have failed.
        case acknowledgeChannelClosed(AMQPError)
        /// The broker closed the connection: acknowledge that, then give it up.
        case acknowledgeConnectionClosed(AMQPError)
        /// The broker broke the protocol: give the connection up.
        case fail(AMQPError)
        /// A delivery's headers can't be decoded: reject it, or it would come again and break every connection; then give
        /// this one up.
        case refuse(tag: UInt64, AMQPError)
        /// A delivery's headers can't be decoded: read nothing more, and keep the connection.
        case park(tag: UInt64)
    }

    /// A message that has begun to arrive.
    private struct Content {
        enum Purpose {
            case delivery(Delivery.Envelope)
            case fetched(Delivery.Envelope, remaining: Int)
            case returned(ReturnedEnvelope)
        }

        var purpose: Purpose
        /// `nil` until the content header has come.
        var properties: MessageProperties?
        var body: [UInt8] = []
        var missing = 0
    }

    private var content: Content?
    private var awaited = FIFO<Reply.Kind>()
    private var confirms = ConfirmLedger()
    /// Why the broker accepts no messages for now.
    private(set) var blockedReason: String?

    /// What errors say was being done.
    let operation: String
    /// Whether a delivery that can't be read is to be rejected.
    private let rejectsUnreadable: Bool
    /// Whether one is to be kept.
    private let keepsUnreadable: Bool

    init(operation: String, rejectsUnreadable: Bool = false, keepsUnreadable: Bool = false) {
        self.operation = operation
        self.rejectsUnreadable = rejectsUnreadable
        self.keepsUnreadable = keepsUnreadable
    }

    /// Notes that a command was sent that has an answer.
    mutating func expect(_ reply: Reply.Kind) {
        awaited.append(reply)
    }

    /// Notes that messages are sent.
    mutating func publish(_ messages: [OutgoingMessage]) -> UInt64 {
        confirms.enter(messages)
    }

    /// Takes the next frame.
    mutating func receive(_ frame: consuming IncomingFrame) -> Action {
        switch consume frame {
        case .deliver(let envelope):
            return begin(.delivery(envelope))
        case .fetched(let envelope, let remaining):
            return begin(.fetched(envelope, remaining: remaining))
        case .returned(let envelope):
            return begin(.returned(envelope))
        case .header(let bodySize, let properties):
            return takeHeader(properties, bodySize: bodySize)
        case .body(let bytes):
            return takeBody(bytes)
        case .acknowledged(let tag, let multiple):
            return settle(tag, multiple: multiple, isRejected: false)
        case .refused(let tag, let multiple):
            return settle(tag, multiple: multiple, isRejected: true)
        case .consumerCancelled(let consumerTag):
            return .emit(.cancelled(consumerTag: consumerTag))
        case .reply(let reply):
            return answer(reply)
        case .blocked(let reason):
            blockedReason = reason
            return .noteBlocked(reason: reason)
        case .unblocked:
            blockedReason = nil
            return .noteBlocked(reason: nil)
        case .channelClosed(let code, let text):
            content = nil
            awaited = FIFO()
            return .acknowledgeChannelClosed(brokerError(code, text, fallback: .channelClosed))
        case .connectionClosed(let code, let text):
            return .acknowledgeConnectionClosed(brokerError(code, text, fallback: .connectionClosed))
        case .ignored:
            return .nothing
        case .undecodable:
            return giveUp()
        }
    }

    private func brokerError(_ code: Int, _ text: String, fallback: AMQPError.Code) -> AMQPError {
        AMQPError(
            .init(brokerCode: code, text: text, fallback: fallback), brokerCode: code, during: operation, cause: text)
    }

    private func violation(_ cause: String) -> Action {
        .fail(AMQPError(.protocol, during: operation, cause: cause))
    }

    // MARK: Content

    private mutating func begin(_ purpose: Content.Purpose) -> Action {
        if content != nil { return violation("a message began before the one before it was complete") }
        content = Content(purpose: purpose)
        return .nothing
    }

    private mutating func takeHeader(_ properties: MessageProperties, bodySize: UInt64) -> Action {
        guard content != nil, content?.properties == nil else { return violation("a content header came unasked") }
        guard let size = Int(exactly: bodySize) else { return violation("a message claims \(bodySize) bytes") }
        content?.properties = properties
        content?.missing = size
        return size == 0 ? finishContent() : .nothing
    }

    private mutating func takeBody(_ bytes: UnsafeRawBufferPointer) -> Action {
        guard content?.properties != nil, let missing = content?.missing, bytes.count <= missing else {
            return violation("a message has more body than announced")
        }
        if content?.body.isEmpty == true {
            // The announced size is believed up to a point, so that a false one doesn't take all memory.
            content?.body.reserveCapacity(min(missing, 1 << 24))
        }
        content?.body.append(contentsOf: bytes)
        content?.missing = missing - bytes.count
        return missing == bytes.count ? finishContent() : .nothing
    }

    private func giveUp() -> Action {
        guard let content, content.properties == nil else { return violation("a frame can't be decoded") }
        let cause = "can't be read: its headers are too large, or nested too deep"
        switch content.purpose {
        case .delivery(let envelope) where keepsUnreadable:
            return .park(tag: envelope.tag)
        case .delivery(let envelope) where rejectsUnreadable:
            let about = "the message \(envelope.routingKey) from \(envelope.consumerTag) \(cause); it is rejected"
            return .refuse(tag: envelope.tag, AMQPError(.connectionClosed, during: operation, cause: about))
        case .delivery(let envelope), .fetched(let envelope, _):
            return violation("the message \(envelope.routingKey) \(cause)")
        case .returned(let envelope):
            return violation("the message \(envelope.routingKey) that was returned \(cause)")
        }
    }

    private mutating func finishContent() -> Action {
        guard let content = content.take(), let properties = content.properties else { return .nothing }
        let message = Message(properties: properties, body: content.body)
        switch content.purpose {
        case .delivery(let envelope):
            return .emit(.delivery(Delivery(envelope, message: message)))
        case .fetched(let envelope, let remaining):
            let delivery = Delivery(envelope, message: message)
            return answer(.fetched(FetchedMessage(delivery: delivery, remaining: remaining)))
        case .returned(let envelope):
            if confirms.noteReturn(envelope, message: message) { return .nothing }
            return violation("a message was returned that isn't awaited, to \(envelope.exchange)")
        }
    }

    // MARK: Answers and confirms

    private mutating func answer(_ reply: Reply) -> Action {
        let expected = awaited.popFirst()
        if expected == reply.kind { return .answer(reply) }
        return violation("the answer \(reply.kind) came in place of \(expected.map { "\($0)" } ?? "none")")
    }

    private mutating func settle(_ tag: UInt64, multiple: Bool, isRejected: Bool) -> Action {
        guard let settled = confirms.settle(tag, multiple: multiple, isRejected: isRejected) else {
            return violation("the broker confirmed the message \(tag), which wasn't published")
        }
        return settled.isEmpty ? .nothing : .complete(settled)
    }
}

extension Delivery {
    init(_ envelope: Envelope, message: Message) {
        self.init(
            tag: envelope.tag, consumerTag: envelope.consumerTag, isRedelivered: envelope.isRedelivered,
            exchange: envelope.exchange, routingKey: envelope.routingKey, message: message)
    }
}

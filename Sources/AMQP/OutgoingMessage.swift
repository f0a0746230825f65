// What a publisher sends, and what became of it.

/// A message and where to publish it.
public struct OutgoingMessage: Sendable, Hashable {
    /// The exchange; empty for the default one, which routes to the queue named by the routing key.
    public var exchange: String
    public var routingKey: String
    /// Whether the broker returns the message when no queue takes it.
    public var isMandatory: Bool
    public var message: Message

    public init(exchange: String, routingKey: String, isMandatory: Bool = false, message: Message) {
        self.exchange = exchange
        self.routingKey = routingKey
        self.isMandatory = isMandatory
        self.message = message
    }

    /// Why the message can't be sent, or `nil`. Checked before anything is sent: a message that fails halfway would
    /// break the connection for all others.
    ///
    /// - Parameter frameMaximum: the largest frame that was agreed with the broker, in bytes.
    func reasonNotToSend(frameMaximum: Int) -> String? {
        let properties = message.properties
        let texts = [
            exchange, routingKey, properties.contentType, properties.contentEncoding, properties.correlationID,
            properties.replyTo, properties.expiration, properties.messageID, properties.type, properties.userID,
            properties.appID,
        ]
        var headerSize = 64
        for case let text? in texts {
            let length = text.utf8.count
            if length > 255 { return "a text is longer than 255 bytes: \(text.prefix(40))…" }
            headerSize += length
        }
        if !properties.headers.isEmpty {
            if let key = FieldValue.overlongKey(in: properties.headers) {
                return "a header's name is longer than 255 bytes: \(key.prefix(40))…"
            }
            headerSize += FieldValue.encodedSize(of: properties.headers)
            if headerSize > frameMaximum {
                return "the headers take \(headerSize) bytes, more than a frame of \(frameMaximum)"
            }
        }
        return nil
    }
}

/// What became of a published message.
public enum PublishOutcome: Sendable, Hashable {
    /// The broker has taken responsibility for it.
    case confirmed
    /// It was mandatory and no queue took it. The broker has forgotten it.
    case returned(code: Int, text: String)
    /// The broker couldn't keep it (`basic.nack`): a queue refused it, or had an error. It may be published again.
    case rejected
}

// What a consumer receives: deliveries, and word that its consumer was cancelled.

/// A message that the broker delivered and that must be acknowledged or rejected on the connection it came from.
public struct Delivery: Sendable, Hashable {
    /// Counts the channel's deliveries from 1; meaningful on its own connection alone.
    public let tag: UInt64
    /// The consumer it was delivered to; empty for a message that was fetched by `get`.
    public let consumerTag: String
    /// Whether it may have been delivered before, to this consumer or to another.
    public let isRedelivered: Bool
    public let exchange: String
    public let routingKey: String
    public let message: Message

    public init(
        tag: UInt64, consumerTag: String, isRedelivered: Bool, exchange: String, routingKey: String, message: Message
    ) {
        self.tag = tag
        self.consumerTag = consumerTag
        self.isRedelivered = isRedelivered
        self.exchange = exchange
        self.routingKey = routingKey
        self.message = message
    }
}

extension Delivery {
    /// Roughly what it takes in memory, in bytes: its headers take far more than on the wire.
    public var footprint: Int {
        512 + message.body.count + 16 * FieldValue.encodedSize(of: message.properties.headers)
    }
}

/// What a consumer receives.
public enum ConsumerEvent: Sendable, Hashable {
    case delivery(Delivery)
    /// The broker cancelled this consumer: its queue was deleted or its node failed. No more deliveries come.
    case cancelled(consumerTag: String)
}

extension ConsumerEvent {
    /// Roughly what it takes in memory, in bytes.
    var footprint: Int {
        if case .delivery(let delivery) = self { delivery.footprint } else { 512 }
    }
}

/// A message that `get` fetched.
public struct FetchedMessage: Sendable, Hashable {
    public let delivery: Delivery
    /// How many messages were left in the queue.
    public let remaining: Int

    public init(delivery: Delivery, remaining: Int) {
        self.delivery = delivery
        self.remaining = remaining
    }
}

// A message: its properties and its body.

/// Whether the broker keeps a message on disk.
public enum DeliveryMode: UInt8, Sendable, Hashable, Codable {
    case transient = 1
    case persistent = 2
}

/// The properties of a message. What is `nil` or empty isn't sent.
///
/// Texts may have at most 255 bytes of UTF-8. A received text that isn't valid UTF-8 is repaired (U+FFFD).
public struct MessageProperties: Sendable, Hashable, Codable {
    public var contentType: String?
    public var contentEncoding: String?
    public var correlationID: String?
    public var replyTo: String?
    /// The time to live in milliseconds, as decimal digits.
    public var expiration: String?
    public var messageID: String?
    public var type: String?
    /// The publisher's user name. The broker refuses any other name than the connection's own.
    public var userID: String?
    public var appID: String?
    public var headers: [String: FieldValue]
    public var deliveryMode: DeliveryMode?
    /// 0…255; queues honour it up to their `x-max-priority`.
    public var priority: UInt8?
    /// Seconds since 1970-01-01T00:00:00Z.
    public var timestamp: UInt64?

    public init(
        contentType: String? = nil,
        contentEncoding: String? = nil,
        correlationID: String? = nil,
        replyTo: String? = nil,
        expiration: String? = nil,
        messageID: String? = nil,
        type: String? = nil,
        userID: String? = nil,
        appID: String? = nil,
        headers: [String: FieldValue] = [:],
        deliveryMode: DeliveryMode? = nil,
        priority: UInt8? = nil,
        timestamp: UInt64? = nil
    ) {
        self.contentType = contentType
        self.contentEncoding = contentEncoding
        self.correlationID = correlationID
        self.replyTo = replyTo
        self.expiration = expiration
        self.messageID = messageID
        self.type = type
        self.userID = userID
        self.appID = appID
        self.headers = headers
        self.deliveryMode = deliveryMode
        self.priority = priority
        self.timestamp = timestamp
    }
}

/// A message.
public struct Message: Sendable, Hashable, Codable {
    public var properties: MessageProperties
    public var body: [UInt8]

    public init(properties: MessageProperties = MessageProperties(), body: [UInt8] = []) {
        self.properties = properties
        self.body = body
    }
}

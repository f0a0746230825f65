// A message that couldn't be read, as it is kept for people to look at.

public import AMQP
internal import Orders

/// Puts unreadable messages aside: the body unchanged, with headers that say why.
public enum DeadLetter {
    /// The ``RejectionCode``.
    public static let reason = "x-order-worker-reason"
    /// A sentence.
    public static let message = "x-order-worker-message"
    /// A JSON array of `{code, pointer, message}`, cut off after 4 KiB.
    public static let violations = "x-order-worker-violations"
    /// The routing key that the message came with.
    public static let routingKey = "x-order-worker-routing-key"
    /// The broker-verified user who published it.
    public static let user = "x-order-worker-user"
    /// When the worker put it aside, RFC 3339.
    public static let time = "x-order-worker-time"
    /// The time to live that it had.
    public static let expiration = "x-order-worker-expiration"
    /// Present where the message's own headers were left out, because with these they would not fit into a frame.
    public static let headersLeftOut = "x-order-worker-headers-left-out"

    /// What the message named in `CC` and `BCC`, by which the broker would route the dead letter to other queues too.
    public static let copies = "x-order-worker-copies"

    /// Bytes of headers that can be passed on with room for more: a message's properties go in one frame, of 32 KiB.
    public static let maximumHeaderSize = 20_000

    /// Whether a message can be passed on with all its headers.
    public static func canPassOn(_ message: Message) -> Bool {
        size(of: .table(message.properties.headers)) <= maximumHeaderSize
    }

    /// The headers that say why the message was put aside, without those that depend on the message itself.
    public static func headers(for unreadable: UnreadableMessage, routingKey: String) -> [String: FieldValue] {
        [
            reason: .string(unreadable.code.rawValue),
            message: .string(unreadable.reason),
            violations: .string(String(decoding: list(unreadable.violations), as: UTF8.self)),
            self.routingKey: .string(routingKey),
        ]
    }

    /// The message as it goes to the dead letters: nothing of its body changed, and nothing left in its properties that
    /// could make the broker refuse it, let it expire, or route it anywhere else.
    ///
    /// Headers larger than ``maximumHeaderSize`` are left out.
    public static func make(_ original: Message, _ unreadable: UnreadableMessage, routingKey: String) -> Message {
        var result = original
        let properties = original.properties
        result.properties.contentType = clipped(properties.contentType)
        result.properties.contentEncoding = clipped(properties.contentEncoding)
        result.properties.correlationID = clipped(properties.correlationID)
        result.properties.replyTo = clipped(properties.replyTo)
        result.properties.messageID = clipped(properties.messageID)
        result.properties.type = clipped(properties.type)
        result.properties.appID = clipped(properties.appID)
        // The broker accepts no other user's name, and a dead letter waits for as long as it takes.
        result.properties.userID = nil
        result.properties.expiration = nil
        result.properties.deliveryMode = .persistent

        var headers: [String: FieldValue] = [:]
        if canPassOn(original) {
            headers = clipped(properties.headers)
            let copied = ["CC", "BCC"].compactMap { headers.removeValue(forKey: $0) }
            if !copied.isEmpty { headers[copies] = .array(copied) }
        } else {
            headers[headersLeftOut] = true
        }
        if let user = properties.userID { headers[self.user] = .string(user) }
        if let expiration = properties.expiration { headers[self.expiration] = .string(expiration) }
        result.properties.headers = headers.merging(self.headers(for: unreadable, routingKey: routingKey)) { $1 }
        return result
    }

    private static func list(_ violations: [Violation]) -> [UInt8] {
        var listed: [Violation] = []
        var size = 0
        for violation in violations {
            size += violation.pointer.utf8.count + violation.message.utf8.count + 80
            if size > 4096, !listed.isEmpty { break }
            listed.append(violation)
        }
        var writer = JSONWriter()
        writer.array(listed, EventEncoder.write)
        return writer.bytes
    }

    // MARK: What the protocol can carry

    /// Texts have at most 255 bytes. Only one that was repaired, because it wasn't UTF-8, can have become longer.
    private static func clipped(_ text: String) -> String {
        guard text.utf8.count > 255 else { return text }
        var clipped = text
        while clipped.utf8.count > 255 { clipped.unicodeScalars.removeLast() }
        return clipped
    }

    private static func clipped(_ text: String?) -> String? { text.map { clipped($0) } }

    private static func clipped(_ table: [String: FieldValue]) -> [String: FieldValue] {
        Dictionary(table.map { (clipped($0.key), clipped($0.value)) }, uniquingKeysWith: { first, _ in first })
    }

    private static func clipped(_ value: FieldValue) -> FieldValue {
        switch value {
        case .table(let table): .table(clipped(table))
        case .array(let values): .array(values.map { clipped($0) })
        default: value
        }
    }

    /// At least as many bytes as the value takes on the wire.
    private static func size(of value: FieldValue) -> Int {
        switch value {
        case .string(let text): 5 + text.utf8.count
        case .bytes(let bytes): 5 + bytes.count
        case .array(let values): values.reduce(5) { $0 + size(of: $1) }
        case .table(let table): table.reduce(5) { $0 + 1 + $1.key.utf8.count + size(of: $1.value) }
        default: 9
        }
    }
}

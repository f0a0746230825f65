// An id that depends on a message's content alone.

internal import AMQP
internal import Orders

/// Two hashes of 64 bits over a message: enough to tell messages apart, not to withstand someone who makes collisions
/// on purpose; that would only hide that sender's own refusals.
struct MessageFingerprint {
    /// FNV-1a.
    private var first: UInt64 = 0xCBF2_9CE4_8422_2325
    /// Multiply and rotate, in the manner of xxHash's short inputs.
    private var second: UInt64 = 0x27D4_EB2F_1656_67C5

    /// A UUID of version 8 (RFC 9562: its content is the maker's affair). It can't equal one of version 7.
    static func eventID(of message: Message, routingKey: String) -> EventID {
        var fingerprint = MessageFingerprint()
        let properties = message.properties
        for text in [routingKey, properties.messageID, properties.type, properties.appID, properties.correlationID] {
            fingerprint.add(text)
        }
        // Other headers change on the way: the broker counts deliveries in them.
        let attributes = properties.headers.filter { EventAttributes.headerPrefixes.contains(where: $0.key.hasPrefix) }
        for (name, value) in attributes.sorted(by: { $0.key < $1.key }) {
            fingerprint.add(name)
            fingerprint.add(value.string)
        }
        fingerprint.add(message.body)
        return EventID(
            high: fingerprint.first & ~0xF000 | 0x8000,
            low: fingerprint.mixedSecond & ~(0b11 << 62) | 0b10 << 62)
    }

    private mutating func add(_ text: String?) {
        if let text { add(Array(text.utf8)) } else { add(UInt8(0)) }
    }

    /// Adds bytes with their number in front, so that what is next to each other can't run together.
    private mutating func add(_ bytes: [UInt8]) {
        for shift in stride(from: 0, to: 64, by: 8) {
            add(UInt8(truncatingIfNeeded: (UInt64(bytes.count) + 1) >> UInt64(shift)))
        }
        for byte in bytes { add(byte) }
    }

    private mutating func add(_ byte: UInt8) {
        first = (first ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
        second ^= UInt64(byte) &* 0x27D4_EB2F_1656_67C5
        second = (second << 11 | second >> 53) &* 0x9E37_79B1_85EB_CA87
    }

    private var mixedSecond: UInt64 {
        var value = second
        value = (value ^ value >> 33) &* 0xC2B2_AE3D_27D4_EB4F
        value = (value ^ value >> 29) &* 0x1656_67B1_9E37_79F9
        return value ^ value >> 32
    }
}

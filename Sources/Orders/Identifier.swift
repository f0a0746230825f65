// A 128-bit UUID that knows what kind of thing it names.

/// A UUID that names one `Entity`, so that a customer's id can't be passed where a transaction's is meant.
///
/// Order is that of the bytes, which is also the order of the text. An id made with ``version7(at:random:)`` sorts by
/// the time at which it was made.
public struct Identifier<Entity>: Hashable, Comparable, Sendable {
    /// The first eight bytes, big-endian.
    public let high: UInt64
    /// The last eight bytes, big-endian.
    public let low: UInt64

    /// The nil UUID (RFC 9562, 5.9), which names nothing: no id that is made can be this.
    public static var unassigned: Self { Self(high: 0, low: 0) }

    /// Creates an id from its sixteen bytes.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads the text form: 36 characters in either case, grouped 8-4-4-4-12. Any version and variant is accepted;
    /// anything else, such as braces or missing hyphens, gives `nil`.
    public init?(_ text: String) {
        var text = text
        let halves: (UInt64, UInt64)? = text.withUTF8 { bytes in
            guard bytes.count == 36 else { return nil }
            var high: UInt64 = 0
            var low: UInt64 = 0
            for (index, byte) in bytes.enumerated() {
                if index == 8 || index == 13 || index == 18 || index == 23 {
                    guard byte == UInt8(ascii: "-") else { return nil }
                    continue
                }
                let digit: UInt64
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = UInt64(byte - UInt8(ascii: "0"))
                case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = UInt64(byte - UInt8(ascii: "a") + 10)
                case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = UInt64(byte - UInt8(ascii: "A") + 10)
                default: return nil
                }
                if index < 18 { high = high << 4 | digit } else { low = low << 4 | digit }
            }
            return (high, low)
        }
        guard let halves else { return nil }
        self.init(high: halves.0, low: halves.1)
    }

    /// Makes an id of UUID version 7 (RFC 9562): 48 bits of milliseconds, the fraction of the millisecond in the next
    /// 12 (its method 3), and 62 random bits.
    ///
    /// - Parameters:
    ///   - time: when the entity came to be; before 1970 counts as 1970.
    ///   - random: where the random bits come from.
    public static func version7(at time: Timestamp, random: inout some RandomNumberGenerator) -> Self {
        let microseconds = UInt64(max(0, time.microseconds))
        let milliseconds = (microseconds / 1000) & 0xFFFF_FFFF_FFFF
        let fraction = (microseconds % 1000) * 4096 / 1000
        return Self(
            high: milliseconds << 16 | 0x7000 | fraction,
            low: 0x8000_0000_0000_0000 | (random.next() as UInt64) >> 2
        )
    }

    public static func < (left: Self, right: Self) -> Bool {
        left.high != right.high ? left.high < right.high : left.low < right.low
    }
}

extension Identifier: CustomStringConvertible {
    /// The canonical text form, lower case.
    public var description: String {
        String(unsafeUninitializedCapacity: 36) { buffer in
            var index = 0
            for half in [high, low] {
                for shift in stride(from: 60, through: 0, by: -4) {
                    if index == 8 || index == 13 || index == 18 || index == 23 {
                        buffer[index] = UInt8(ascii: "-")
                        index += 1
                    }
                    let digit = UInt8(truncatingIfNeeded: half >> UInt64(shift)) & 0xF
                    buffer[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
                    index += 1
                }
            }
            return index
        }
    }
}

/// What a ``CustomerID`` names.
public enum CustomerEntity {}
/// What a ``SubscriptionID`` names.
public enum SubscriptionEntity {}
/// What a ``TransactionID`` names.
public enum TransactionEntity {}
/// What an ``InvoiceID`` names.
public enum InvoiceEntity {}
/// What an ``EventID`` names.
public enum EventEntity {}

/// Names a customer; chosen by the sender of `customer.create`.
public typealias CustomerID = Identifier<CustomerEntity>
/// Names a subscription; chosen by the sender of `subscription.order`.
public typealias SubscriptionID = Identifier<SubscriptionEntity>
/// Names a transaction; made by the worker.
public typealias TransactionID = Identifier<TransactionEntity>
/// Names an invoice; made by the worker.
public typealias InvoiceID = Identifier<InvoiceEntity>
/// Names an event; made by the worker.
public typealias EventID = Identifier<EventEntity>

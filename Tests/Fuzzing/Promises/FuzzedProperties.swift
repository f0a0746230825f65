// A fuzzer's bytes as the properties of a message, as they come from the broker.

internal import CRabbitMQ
import Orders

@testable import AMQP
@testable import OrderContract

extension DecoderPromises {
    /// The promise that librabbitmq, this project's conversion of what it decodes, or the decoder breaks for a
    /// message's properties, if there is one.
    ///
    /// - Parameter input: an even first byte gives the message a plain body, an odd one a structured event; the
    ///   properties follow, as in a content header frame: flags, then fields.
    public static func broken(byProperties input: UnsafeRawBufferPointer) -> String? {
        guard let choice = input.first, let start = input.baseAddress else { return nil }
        var pool = amqp_pool_t()
        init_amqp_pool(&pool, 4096)
        defer { empty_amqp_pool(&pool) }
        let encoded = amqp_bytes_t(len: input.count - 1, bytes: UnsafeMutableRawPointer(mutating: start + 1))
        var decoded: UnsafeMutableRawPointer?
        guard amqp_decode_properties(UInt16(AMQP_BASIC_CLASS), &pool, encoded, &decoded) >= 0, let decoded else {
            return nil
        }
        let properties = MessageProperties(decoded.load(as: amqp_basic_properties_t.self))
        let data = CommandType.customerCreate.examples[0]
        let event =
            #"{"specversion":"1.0","id":"1","source":"fuzzer","type":"customer.create","data":\#(data)}"#
        let body = Array((choice.isMultiple(of: 2) ? data : event).utf8)
        return brokenByEncoding(properties) ?? broken(by: Message(properties: properties, body: body))
    }

    /// What can be sent comes back the same.
    private static func brokenByEncoding(_ properties: MessageProperties) -> String? {
        let outgoing = OutgoingMessage(exchange: "", routingKey: "", message: Message(properties: properties))
        guard outgoing.reasonNotToSend(frameMaximum: 32_768) == nil else { return nil }
        let arena = EncodingArena()
        var native = arena.properties(properties)
        var bytes = [UInt8](repeating: 0, count: 32_768)
        let count = bytes.withUnsafeMutableBytes { bytes in
            amqp_encode_properties(
                UInt16(AMQP_BASIC_CLASS), &native, amqp_bytes_t(len: bytes.count, bytes: bytes.baseAddress))
        }
        guard count >= 0 else { return "The properties pass as sendable, but don't fit a frame: \(properties)" }
        var pool = amqp_pool_t()
        init_amqp_pool(&pool, 4096)
        defer { empty_amqp_pool(&pool) }
        let again: MessageProperties? = bytes.withUnsafeMutableBytes { bytes in
            var decoded: UnsafeMutableRawPointer?
            let encoded = amqp_bytes_t(len: Int(count), bytes: bytes.baseAddress)
            guard amqp_decode_properties(UInt16(AMQP_BASIC_CLASS), &pool, encoded, &decoded) >= 0, let decoded else {
                return nil
            }
            return MessageProperties(decoded.load(as: amqp_basic_properties_t.self))
        }
        // By their descriptions, in which one NaN is like another, and with what the dictionary's order can't change.
        guard let again, again.comparable == properties.comparable else {
            return "The properties come back as others: \(properties) as \(again.map { "\($0)" } ?? "none")"
        }
        return nil
    }
}

extension MessageProperties {
    fileprivate var comparable: String {
        var others = self
        others.headers = [:]
        return "\(others) \(FieldValue.table(headers).comparable)"
    }
}

extension FieldValue {
    fileprivate var comparable: String {
        switch self {
        case .table(let table):
            let members = table.map { "\($0.key.debugDescription):\($0.value.comparable)" }
            return "{\(members.sorted().joined(separator: ","))}"
        case .array(let values):
            return "[\(values.map(\.comparable).joined(separator: ","))]"
        default:
            return "\(self)"
        }
    }
}

// What is shown of a dead letter.

internal import AMQP
internal import FoundationEssentials
internal import OrderContract

extension DeadLetterRecord {
    /// The heading over ``line``.
    static let heading =
        "\("#".padded(to: 5)) \("put aside".padded(to: 20)) \("sent".padded(to: 20)) \("reason".padded(to: 24)) \("type".padded(to: 22)) "
        + "\("id".padded(to: 36)) \("routing key".padded(to: 36)) bytes"

    /// A row of the list.
    var line: String {
        let aside = (deadLetteredAt?.formatted(.iso8601) ?? "").padded(to: 20)
        let sent = (sentAt?.formatted(.iso8601) ?? "").padded(to: 20)
        return "\("\(place)".padded(to: 5)) \(aside) \(sent) \(reason.visible.cut(to: 24).padded(to: 24)) "
            + "\((type ?? "").visible.cut(to: 22).padded(to: 22)) \(id.visible.padded(to: 36)) "
            + "\((routingKey ?? "").visible.padded(to: 36)) \(size)"
    }

    /// One line for programs.
    var json: [UInt8] {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("place", Int64(place))
            writer.member("reason", reason)
            writer.member("by", origin.name)
            writer.member("id", id)
            writer.member("type", ifPresent: type)
            writer.member("routingKey", ifPresent: routingKey)
            writer.member("user", ifPresent: user)
            writer.member("deadLetteredAt", ifPresent: deadLetteredAt?.formatted(style))
            writer.member("sentAt", ifPresent: sentAt?.formatted(style))
            writer.member("size", Int64(size))
        }
        return writer.bytes
    }

    /// Everything about it but the body, a line each.
    func details(of message: Message) -> [String] {
        func row(_ name: String, _ value: String?) -> String? {
            value.map { "\(name.padded(to: 16)) \($0.visible)" }
        }
        let headers = message.properties.headers
        let sentence = origin == .broker ? nil : headers[DeadLetter.message]?.string
        var lines = [
            row("reason", sentence.map { "\(reason): \($0)" } ?? reason), row("put aside by", origin.name),
            row("put aside at", deadLetteredAt?.formatted(.iso8601)), row("sent at", sentAt?.formatted(.iso8601)),
            row("type", type), row("id", id), row("publisher", user ?? "none that the broker verified"),
            row("routing key", routingKey ?? "not known"),
        ].compactMap { $0 }
        if origin != .broker, let text = headers[DeadLetter.violations]?.string,
            let violations = (try? JSONDocument(Array(text.utf8)))?.root
        {
            lines += violations.elements.compactMap { violation in
                let pointer = violation["pointer"]?.string ?? ""
                return row(
                    "violation",
                    "\(violation["code"]?.string ?? "?")\(pointer.isEmpty ? "" : " at \(pointer)"): "
                        + (violation["message"]?.string ?? ""))
            }
        }
        let properties = message.properties
        let texts = [
            ("content_type", properties.contentType), ("content_encoding", properties.contentEncoding),
            ("message_id", properties.messageID), ("type", properties.type), ("app_id", properties.appID),
            ("correlation_id", properties.correlationID), ("reply_to", properties.replyTo),
            ("timestamp", properties.timestamp.map { "\($0)" }),
        ]
        lines += texts.compactMap { name, value in row("property", value.map { "\(name) = \($0)" }) }
        lines += headers.sorted { $0.key < $1.key }.compactMap { row("header", "\($0.key) = \($0.value.text)") }
        return lines
    }
}

extension DeadLetterRecord.Origin {
    var name: String {
        switch self {
        case .worker: "worker"
        case .broker: "broker"
        case .other: "unknown"
        }
    }
}

extension FieldValue {
    fileprivate var text: String {
        switch self {
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .double(let value): "\(value)"
        case .string(let value): value
        case .bytes(let value): "\(value.count) bytes"
        case .timestamp(let value): "\(value) s"
        case .decimal(let scale, let value): "\(value)e-\(scale)"
        case .array(let values): "[\(values.map(\.text).joined(separator: ", "))]"
        case .table(let table):
            "{\(table.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.text)" }.joined(separator: ", "))}"
        case .void: "(void)"
        }
    }
}

/// The body of a message for people.
enum BodyText {
    /// The most that is shown, in bytes.
    static let maximum = 65_536

    /// JSON indented, other text as it is, and bytes that aren't text as `\xNN`; what a terminal would obey is escaped.
    static func lines(_ body: [UInt8]) -> [String] {
        if body.count <= maximum, let document = try? JSONDocument(body, maximumDepth: 200) {
            var text = ""
            print(document.root, indentation: "", into: &text)
            return text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        }
        let shown = body.prefix(maximum)
        let text = String(validating: shown, as: UTF8.self) ?? escaped(shown)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { String($0).visible }
        return lines + (shown.count < body.count ? ["… and \(body.count - shown.count) bytes more"] : [])
    }

    private static func escaped(_ bytes: ArraySlice<UInt8>) -> String {
        bytes.reduce(into: "") { text, byte in
            if byte == 0x0A || (0x20..<0x7F).contains(byte) {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
    }

    private static func print(_ value: JSONValue, indentation: String, into text: inout String) {
        let inner = indentation + "  "
        let isArray = value.source.first == UInt8(ascii: "[")
        let parts: [(name: String?, value: JSONValue)] =
            isArray ? value.elements.map { (nil, $0) } : value.members.map { ($0.name, $0.value) }
        guard isArray || value.isObject, !parts.isEmpty else {
            text += String(decoding: value.source, as: UTF8.self).visible
            return
        }
        text += isArray ? "[" : "{"
        for (index, part) in parts.enumerated() {
            text += (index == 0 ? "\n" : ",\n") + inner
            if let name = part.name {
                var writer = JSONWriter()
                writer.string(name)
                text += String(decoding: writer.bytes, as: UTF8.self).visible + ": "
            }
            print(part.value, indentation: inner, into: &text)
        }
        text += "\n\(indentation)" + (isArray ? "]" : "}")
    }
}

// The CloudEvents attributes of a message, from wherever the message carries them.

internal import AMQP
internal import Orders

/// Gathers a message's attributes in a stated precedence: the body of a structured event, then the headers
/// `cloudEvents:…`, `cloudEvents_…` and `ce-…`, then the AMQP properties. The first place that has an attribute gives
/// its value; a later one that says otherwise is a conflict.
struct EventAttributes {
    /// What the names of the headers with attributes begin with: the two forms of CloudEvents' binding for AMQP, and
    /// that of the CloudEvents SDKs for RabbitMQ.
    static let headerPrefixes = ["cloudEvents:", "cloudEvents_", "ce-"]

    private(set) var id = Attribute("id")
    private(set) var source = Attribute("source")
    private(set) var type = Attribute("type")
    private(set) var time: Timestamp?
    /// What contradicts itself or can't be read, so far.
    private(set) var problems: [Violation] = []
    private var trace: TraceContext?
    private var contentType: MediaType?

    /// An attribute with the place where it was found first.
    struct Attribute {
        let name: String
        var value: String?
        var place = ""

        init(_ name: String) { self.name = name }

        /// Takes the value unless there is one already, with which it then has to agree. Nothing and an empty text are
        /// no value.
        mutating func offer(_ offered: String?, _ place: String, _ problems: inout [Violation]) {
            guard let offered, !offered.isEmpty else { return }
            guard let value else {
                self.value = offered
                self.place = place
                return
            }
            // Code point by code point: two texts that only look the same are two identities.
            if !value.unicodeScalars.elementsEqual(offered.unicodeScalars) {
                problems.append(
                    Violation(
                        .attributeConflict, at: "", "The \(name) in \(self.place) and that in \(place) differ."))
            }
        }
    }

    var traceparent: String? { trace?.traceparent }
    var tracestate: String? { trace?.tracestate }

    private static let identity = TextRule.line(maximum: 200)

    /// Whether a text can be a command's id, source or type: one that can be stored, logged and told.
    ///
    /// U+FFFD stands for bytes that weren't UTF-8: two different ids could have become the same.
    static func isIdentity(_ text: String) -> Bool {
        identity.accepts(Array(text.utf8)[...]) && !text.unicodeScalars.contains("\u{FFFD}")
    }

    // MARK: The places

    /// The attributes of a structured event.
    mutating func read(_ event: JSONValue) {
        guard event.isObject else { return report("The body is not a CloudEvent: it must be a JSON object.") }
        guard let version = event["specversion"]?.string else { return report("The event has no specversion.") }
        check(version: version)
        let place = "the body"
        for member in event.members where member.name != "data" && member.name != "data_base64" {
            let name = member.name
            guard isWellFormed(name, member.value) else {
                report("The event's attribute \(name.utf8.count <= 64 ? name : "with a very long name") is malformed.")
                continue
            }
            if member.value.isNull { continue }
            let isText = member.value.isString
            switch name {
            case "id": id.offer(member.value.string, place, &problems)
            case "source": source.offer(member.value.string, place, &problems)
            case "type": type.offer(member.value.string, place, &problems)
            case "time": offer(time: member.value.string ?? "")
            case "datacontenttype": offer(contentType: member.value.string ?? "")
            case "specversion", "dataschema", "subject", "traceparent", "tracestate": break
            default: continue
            }
            if !isText { report("The event's attribute \(name) must be a string.") }
        }
        trace = TraceContext(traceparent: event["traceparent"]?.string, tracestate: event["tracestate"]?.string)
    }

    /// The attributes in the headers.
    mutating func read(headers: [String: FieldValue]) {
        if headers.isEmpty { return }
        for prefix in Self.headerPrefixes {
            let place = "the headers \(prefix)…"
            if let version = text(headers, prefix, "specversion") { check(version: version) }
            id.offer(text(headers, prefix, "id"), place, &problems)
            source.offer(text(headers, prefix, "source"), place, &problems)
            type.offer(text(headers, prefix, "type"), place, &problems)
            switch headers[prefix + "time"] {
            case .timestamp(let seconds): offer(seconds: seconds, "The header \(prefix)time")
            case .integer(let milliseconds): offer(milliseconds: milliseconds, "The header \(prefix)time")
            default: if let text = text(headers, prefix, "time") { offer(time: text) }
            }
            if let type = text(headers, prefix, "datacontenttype") { offer(contentType: type) }
            trace =
                trace
                ?? TraceContext(
                    traceparent: headers[prefix + "traceparent"]?.string,
                    tracestate: headers[prefix + "tracestate"]?.string)
        }
        // The plain headers tell of this hop, the event's extension of the first one (CloudEvents, distributed
        // tracing): they may differ, and the nearer one is carried on.
        trace =
            TraceContext(traceparent: headers["traceparent"]?.string, tracestate: headers["tracestate"]?.string)
            ?? trace
    }

    /// The attributes in the properties. The content type is that of the data unless the event is structured.
    mutating func read(_ properties: MessageProperties, isStructured: Bool) {
        let place = "the properties"
        if id.value == nil || !isMadeUp(properties.messageID) { id.offer(properties.messageID, place, &problems) }
        type.offer(properties.type, place, &problems)
        source.offer(properties.appID, place, &problems)
        if let seconds = properties.timestamp { offer(seconds: seconds, "The property timestamp") }
        if !isStructured, let type = properties.contentType { offer(contentType: type) }
        if source.value == nil {
            // Nothing else says where the command comes from; the broker has verified the user.
            source.value = properties.userID.flatMap { $0.isEmpty ? nil : $0 } ?? Publisher.anonymous.name
        }
    }

    /// Whether a message id is such as aio-pika gives, at random, to every message that has none: a UUID of version 4
    /// without hyphens. It is no second id of an event that has its own.
    private func isMadeUp(_ messageID: String?) -> Bool {
        guard let digits = messageID.map({ Array($0.utf8) }), digits.count == 32 else { return false }
        return digits[12] == UInt8(ascii: "4") && "89ab".utf8.contains(digits[16])
            && digits.allSatisfy { "0123456789abcdef".utf8.contains($0) }
    }

    /// Checks what has been gathered.
    mutating func finish() {
        for attribute in [id, source, type] {
            if let value = attribute.value, !Self.isIdentity(value) {
                report("The \(attribute.name) must be \(Self.identity.expectation), in UTF-8.")
            }
        }
        if id.value == nil {
            problems.append(
                Violation(.idMissing, at: "", "The message has no id: set the property message_id or cloudEvents:id."))
        }
        if type.value == nil {
            report("The message has no type: set the property type or cloudEvents:type.")
        }
    }

    // MARK: Offers

    private mutating func offer(time text: String) {
        guard let value = Timestamp(text) else { return report("The time is not an RFC 3339 time.") }
        offer(value)
    }

    private mutating func offer(_ value: Timestamp) {
        if let time, time != value { conflict("Two times of the message differ.") }
        time = time ?? value
    }

    /// A time as AMQP 1.0 has it, which AMQP 0-9-1 carries as a number.
    private mutating func offer(milliseconds: Int64, _ place: String) {
        // A number of seconds would be a time in 1970: it is a mistake, not a command of that year.
        guard (100_000_000_000..<253_402_300_800_000).contains(milliseconds) else {
            return report("\(place) must be in milliseconds since 1970, or a text.")
        }
        offer(Timestamp(microseconds: milliseconds * 1000))
    }

    /// A time in whole seconds: it agrees with any instant less than a second away, however that was rounded.
    private mutating func offer(seconds: UInt64, _ place: String) {
        guard seconds < 253_402_300_800 else {
            return report("\(place) must be in seconds since 1970, before the year 10000.")
        }
        let value = Timestamp(microseconds: Int64(seconds) * 1_000_000)
        if let time, abs(time.microseconds - value.microseconds) >= 1_000_000 {
            conflict("\(place) and the event's time differ.")
        }
        time = time ?? value
    }

    private mutating func offer(contentType text: String) {
        let value = MediaType(text)
        // What a library filled in doesn't count against what was said, nor does it say anything.
        if value.isUnspecific { return }
        if let contentType, contentType.name != value.name { conflict("Two content types of the data differ.") }
        if !value.isJSON { report("The data must be JSON in UTF-8: its content type is another.") }
        contentType = contentType ?? value
    }

    private mutating func check(version: String) {
        if version != "1.0" { report("The event's specversion must be 1.0.") }
    }

    /// A header's text; a header that is something else is a problem.
    private mutating func text(_ headers: [String: FieldValue], _ prefix: String, _ name: String) -> String? {
        switch headers[prefix + name] {
        case .string(let value): return value
        case nil, .void: return nil
        default:
            report("The header \(prefix)\(name) must be a string.")
            return nil
        }
    }

    /// Whether an attribute's name and value are such as CloudEvents allows: lower-case letters and digits; a string, a
    /// truth value, or a whole number of 32 bits. null counts as absent.
    private func isWellFormed(_ name: String, _ value: JSONValue) -> Bool {
        guard !name.isEmpty, name.utf8.allSatisfy({ $0.isLowerCaseOrDigit }) else { return false }
        if value.isNull || value.isString || value.bool != nil { return true }
        return value.integer.map { Int32(exactly: $0) != nil } ?? false
    }

    private mutating func report(_ message: String) {
        guard problems.count < SchemaValidator.maximumViolations else { return }
        problems.append(Violation(.malformedMessage, at: "", message))
    }

    private mutating func conflict(_ message: String) {
        problems.append(Violation(.attributeConflict, at: "", message))
    }
}

extension UInt8 {
    fileprivate var isLowerCaseOrDigit: Bool {
        (self >= UInt8(ascii: "a") && self <= UInt8(ascii: "z"))
            || (self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9"))
    }
}

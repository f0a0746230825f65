// An event as a line for people or for programs.

internal import AMQP
internal import OrderContract
internal import Orders

/// An event that was received.
struct EventLine {
    private let message: Message
    /// `nil` where the body isn't JSON.
    private let data: JSONValue?

    init(_ message: Message) {
        self.message = message
        data = (try? JSONDocument(message.body, maximumSize: Int(Int32.max), maximumDepth: 200))?.root
    }

    var type: String { attribute("type") ?? message.properties.type ?? "?" }

    /// The customer that the event is about.
    var customer: String? { data?["customerId"]?.string ?? attribute("subject") }

    private func attribute(_ name: String) -> String? {
        message.properties.headers["cloudEvents:\(name)"]?.string
    }

    // MARK: For people

    /// The time, the sequence number, the type, the customer, and what happened.
    var text: String {
        let time = (attribute("time") ?? "?").visible.padded(to: 27)
        let sequence = "#\(data?["sequence"]?.integer.map(String.init) ?? "?")".padded(to: 6)
        let customer = (customer ?? "?").visible.padded(to: 36)
        return "\(time) \(sequence) \(type.visible.padded(to: 22)) \(customer) \(summary.visible)"
    }

    private var summary: String {
        guard let data else { return "(its data can't be read)" }
        let parts: [String?] =
            switch EventType(rawValue: type) {
            case .customerCreated, .customerUpdated: [data["companyName"]?.string]
            case .invoiceUpdated, .invoiceClosed: [Self.invoice(data)]
            case .quotePrepared: [data["total"].flatMap(Self.money)]
            case .customerSettled: [data["events"]?.integer.map { "\($0) events" }]
            case .commandRejected: [Self.rejection(data)]
            default:
                (data["subscriptions"].map { Array($0.elements) } ?? []).map(Self.subscription)
                    + OutcomeLine.totals(of: data).map(\.formatted) + [data["reason"]?.string]
            }
        return parts.compactMap { $0 }.joined(separator: "  ")
    }

    /// `enterprise-pki P1Y active to 2027-11-01: 25 ov-ssl, 5 ev-ssl`
    private static func subscription(_ value: JSONValue) -> String {
        let inventory = (value["inventory"].map { Array($0.elements) } ?? []).map { item in
            "\(item["quantity"]?.integer ?? 0) \(item["certificateType"]?.string ?? "?")"
        }
        let words = ["product", "term", "state"].compactMap { value[$0]?.string }
        let end = value["end"]?.string.map { " to \($0)" } ?? ""
        return "\(words.joined(separator: " "))\(end): \(inventory.joined(separator: ", "))"
    }

    /// `open, version 3, from 2026-11-01, 1 line, total 2,827.40 EUR`
    private static func invoice(_ data: JSONValue) -> String {
        let lines = data["lines"].map { Array($0.elements).count } ?? 0
        let parts = [
            data["number"]?.integer.map { "number \($0)" }, data["state"]?.string,
            data["version"]?.integer.map { "version \($0)" }, data["period"]?["start"]?.string.map { "from \($0)" },
            lines == 1 ? "1 line" : "\(lines) lines", data["total"].flatMap(money).map { "total \($0)" },
        ]
        return parts.compactMap { $0 }.joined(separator: ", ")
    }

    private static func rejection(_ data: JSONValue) -> String {
        let command = data["command"].map { command in
            [command["type"]?.string, command["id"]?.string].compactMap { $0 }.joined(separator: " ")
        }
        let violations = (data["violations"].map { Array($0.elements) } ?? []).map(OutcomeLine.violation)
        let sentences = violations.isEmpty ? data["message"]?.string ?? "" : violations.joined(separator: " ")
        return "\(data["code"]?.string ?? "?"): \(sentences) (\(command ?? "?"))"
    }

    private static func money(_ value: JSONValue) -> String? {
        guard let amount = value["amount"]?.integer, let currency = value["currency"]?.string.flatMap({ Currency($0) })
        else { return nil }
        return Money(amount: amount, currency: currency).formatted
    }

    // MARK: For programs

    /// The event in the structured mode of CloudEvents, on one line.
    var json: [UInt8] {
        var writer = JSONWriter()
        let prefix = "cloudEvents:"
        let required = ["specversion", "id", "source", "type", "time", "subject"]
        writer.object { writer in
            for name in required { writer.member(name, ifPresent: attribute(name)) }
            writer.member("datacontenttype", ifPresent: message.properties.contentType)
            for (key, value) in message.properties.headers.sorted(by: { $0.key < $1.key }) where key.hasPrefix(prefix) {
                let name = String(key.dropFirst(prefix.count))
                if !required.contains(name), let text = value.string { writer.member(name, text) }
            }
            if data == nil { writer.member("data", String(decoding: message.body, as: UTF8.self)) }
        }
        guard data != nil else { return writer.bytes }
        // In JSON a line feed can only stand between tokens, where a space does as well.
        let body = message.body.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }
        let isEmpty = writer.bytes.count == 2
        return writer.bytes.dropLast() + Array("\(isEmpty ? "" : ",")\"data\":".utf8) + body + [UInt8(ascii: "}")]
    }
}

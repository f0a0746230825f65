// What became of a published command, as a line for people or for programs.

internal import AMQP
internal import FoundationEssentials
internal import OrderContract
internal import Orders

/// What became of a command.
enum CommandOutcome: Sendable {
    /// The worker's outcome event.
    case event(Message)
    /// The broker didn't take the message, and why.
    case notTaken(String)
    /// Nothing came in time.
    case noAnswer

    var isRejection: Bool {
        guard case .event(let message) = self else { return false }
        return message.properties.type == EventType.commandRejected.rawValue
    }

    /// Whether it is unknown what became of the command.
    var isTrouble: Bool {
        if case .event = self { false } else { true }
    }
}

/// A command with its outcome, and when that came.
struct OutcomeLine {
    let command: CommandDocument
    let outcome: CommandOutcome
    let time: Date

    // MARK: For people

    var text: String {
        let clock = time.formatted(.iso8601.time(includingFractionalSeconds: true))
        return "\(clock) \(command.type.padded(to: 20)) \(command.id) customer \(command.customerID) \(result)"
    }

    private var result: String {
        switch outcome {
        case .notTaken(let reason): return "NOT SENT: \(reason)"
        case .noAnswer: return "NO OUTCOME in time"
        case .event(let message):
            let type = message.properties.type ?? "?"
            guard let data = Self.data(of: message) else { return type }
            if outcome.isRejection {
                let violations = (data["violations"].map { Array($0.elements) } ?? []).map(Self.violation)
                let sentences = violations.isEmpty ? [data["message"]?.string ?? ""] : violations
                let separator = sentences[0].hasPrefix("at /") ? " " : ": "
                return "REJECTED \(data["code"]?.string ?? "?")\(separator)\(sentences.joined(separator: " "))".visible
            }
            return ([type] + Self.totals(of: data).map(\.formatted)).joined(separator: "  ")
        }
    }

    /// `at /member: sentence`, as `--dry-run` has it.
    static func violation(_ value: JSONValue) -> String {
        let pointer = value["pointer"]?.string ?? ""
        return (pointer.isEmpty ? "" : "at \(pointer): ") + (value["message"]?.string ?? "")
    }

    // MARK: For programs

    /// A JSON object: `time`, `command`, `outcome` (the event's type, `not_sent` or `no_answer`), and of an event its
    /// `eventId`, `totals` and `data`.
    var json: [UInt8] {
        var writer = JSONWriter()
        var data: [UInt8]?
        writer.object { writer in
            writer.member("time", time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
            writer.member("command") { writer in
                writer.member("id", command.id)
                writer.member("source", command.source)
                writer.member("type", command.type)
                writer.member("customerId", command.customerID)
            }
            switch outcome {
            case .notTaken(let reason):
                writer.member("outcome", "not_sent")
                writer.member("reason", reason)
            case .noAnswer:
                writer.member("outcome", "no_answer")
            case .event(let message):
                writer.member("outcome", message.properties.type ?? "")
                writer.member("eventId", message.properties.messageID ?? "")
                guard let value = Self.data(of: message) else { return }
                data = message.body
                writer.member("totals", Self.totals(of: value)) { writer, money in
                    writer.object { writer in
                        writer.member("amount", money.amount)
                        writer.member("currency", money.currency.code)
                    }
                }
            }
        }
        guard let data else { return writer.bytes }
        return writer.bytes.dropLast() + Array(",\"data\":".utf8) + data + [UInt8(ascii: "}")]
    }

    private static func data(of message: Message) -> JSONValue? {
        (try? JSONDocument(message.body, maximumSize: Int(Int32.max), maximumDepth: 200))?.root
    }

    /// What the event's transactions come to, in each currency; empty where it has none.
    static func totals(of data: JSONValue) -> [Money] {
        let amounts = (data["transactions"].map { Array($0.elements) } ?? []).compactMap { transaction -> Money? in
            guard let amount = transaction["amount"], let units = amount["amount"]?.integer,
                let currency = amount["currency"]?.string.flatMap({ Currency($0) })
            else { return nil }
            return Money(amount: units, currency: currency)
        }
        let groups = Dictionary(grouping: amounts, by: \.currency).sorted { $0.key.code < $1.key.code }
        return groups.compactMap { Money.sum(of: $0.value, in: $0.key) }
    }
}

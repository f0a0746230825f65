// `order-worker command`: a command's whole story.

internal import AMQP
internal import ArgumentParser
internal import OrderContract
internal import OrderStore
internal import Orders

struct CommandStoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "command", abstract: "Tell what became of a command, by its id.",
        discussion: """
            Shows who sent it and when it was received, the partition that it came by, the time at which it counts, the \
            version of the catalog that decided it, its outcome, the transactions that it wrote, whether the outcome is \
            published, and the dead letters with its id (while it looks at them it holds them; without a broker's address \
            it doesn't look). Commands are kept for 90 days. Exit status 1 if nothing is known of it. With --json it \
            prints one object with the arrays commands and deadLetters; deadLetters is missing where they weren't looked at.
            """)

    @Argument(help: "The command's id, as its sender gave it.") var id: String
    @Option(help: ArgumentHelp("Only the one of this source.", valueName: "uri")) var source: String?
    @Flag(help: "Print one JSON object.") var json = false
    @OptionGroup(title: "Broker") var broker: BrokerOptions
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var waiting: WaitOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try common.load(broker, database, waiting)
        let stories = try await settings.withDatabase(statementTimeout: Settings.wholeTables) {
            try await CommandStory.find(id: id, source: source, on: $0)
        }
        let letters = try await deadLetters(settings)
        if json {
            Console.printBytes(Self.json(stories, letters) + [UInt8(ascii: "\n")])
        } else {
            for story in stories { for line in story.lines { Console.print(line) } }
            for letter in letters ?? [] {
                Console.print("\("dead letter".padded(to: 16)) \(letter.line)")
            }
            if letters == nil { Console.print("\("dead letters".padded(to: 16)) not looked at") }
        }
        if stories.isEmpty, letters?.isEmpty ?? true {
            throw Failure(
                status: .refused, message: "Nothing is known of a command '\(id)'.",
                advice: "It may still wait in its queue, or be older than what is kept.")
        }
    }

    /// nil where they can't be looked at.
    private func deadLetters(_ settings: Settings) async throws -> [DeadLetterRecord]? {
        guard settings.entries[.amqpURL] != nil || settings.entries[.amqpURLFile] != nil else { return nil }
        do {
            return try await settings.withDeadLetters { browser in
                var found: [DeadLetterRecord] = []
                while let letter = try await browser.next() {
                    if letter.record.id == id { found.append(letter.record) }
                }
                return found
            }
        } catch {
            Console.error(Redaction.redacted("note: the dead letters can't be looked at: \(Failure(error))"))
            return nil
        }
    }

    private static func json(_ stories: [CommandStory], _ letters: [DeadLetterRecord]?) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("commands", stories) { writer, story in story.write(to: &writer) }
            if let letters {
                writer.member("deadLetters", letters) { writer, letter in writer.json(letter.json) }
            }
        }
        return writer.bytes
    }
}

extension CommandStory {
    /// For people.
    var lines: [String] {
        func line(_ name: String, _ text: String) -> String { "\(name.padded(to: 16)) \(text.visible)" }
        let sender =
            switch entry.key.sender {
            case InboxKey.worker: "the worker's own clock"
            case InboxKey.unknown: "nobody's partner"
            case let partner: "partner \(partner)"
            }
        var lines = [
            line("command", "\(entry.type) \(entry.key.command.id)"),
            line("source", entry.key.command.source),
            line("sent by", "\(entry.publisher), \(sender)"),
            line("customer", "\(entry.customerID)"),
            line("received", "\(entry.receivedAt) by partition \(entry.partition)"),
            line("counts at", "\(entry.effectiveAt)"),
            line("decided by", catalogVersion.map { "catalog version \($0)" } ?? "a catalog that wasn't noted"),
        ]
        if let trace = entry.trace.traceparent { lines.append(line("trace", trace)) }
        lines.append(line("outcome", EventLine(entry.announcement).text))
        for transaction in written {
            let what = [transaction.quantity.map { "\($0)" }, transaction.certificateType].compactMap { $0 }
            let amount = Currency(transaction.currency).map {
                Money(amount: transaction.amount, currency: $0).formatted
            }
            lines.append(
                line(
                    "wrote",
                    "\(transaction.type) \(what.joined(separator: " ")) of subscription \(transaction.subscriptionID), "
                        + "\(amount ?? "\(transaction.amount)"), transaction \(transaction.transactionID)"
                        + (transaction.invoiceID.map { ", invoice \($0)" } ?? "")))
        }
        lines.append(line("event", "\(entry.outcome.id) \(announcement.text)"))
        return lines
    }

    /// For programs.
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            entry.writeMembers(to: &writer)
            writer.member("catalogVersion", ifPresent: catalogVersion)
            writer.member("announcement", announcement.word)
            writer.member("transactions", written) { writer, transaction in
                writer.object { writer in
                    writer.member("transactionId", transaction.transactionID)
                    writer.member("type", transaction.type)
                    writer.member("subscriptionId", transaction.subscriptionID)
                    writer.member("certificateType", ifPresent: transaction.certificateType)
                    writer.member("quantity", ifPresent: transaction.quantity)
                    writer.member("amount", transaction.amount)
                    writer.member("currency", transaction.currency)
                    writer.member("invoiceId", ifPresent: transaction.invoiceID)
                }
            }
        }
    }
}

extension InboxEntry {
    /// The message that announced the outcome.
    fileprivate var announcement: Message {
        EventMessage.make(
            id: outcome.id, type: outcome.type, time: outcome.time, customerID: customerID, data: outcome.data,
            traceparent: trace.traceparent, tracestate: trace.tracestate)
    }

    func write(to writer: inout JSONWriter) { writer.object { writeMembers(to: &$0) } }

    fileprivate func writeMembers(to writer: inout JSONWriter) {
        writer.member("id", key.command.id)
        writer.member("source", key.command.source)
        writer.member("type", type)
        writer.member("sender", key.sender)
        writer.member("publisher", publisher)
        writer.member("customerId", "\(customerID)")
        writer.member("partition", Int64(partition))
        writer.member("receivedAt", "\(receivedAt)")
        writer.member("effectiveAt", "\(effectiveAt)")
        writer.member("traceparent", ifPresent: trace.traceparent)
        writer.name("data")
        writer.json(data)
        writer.name("outcome")
        writer.json(EventLine(announcement).json)
    }
}

extension CommandStory.Announcement {
    fileprivate var word: String {
        switch self {
        case .published: "published"
        case .waiting: "waiting"
        case .quarantined: "quarantined"
        }
    }

    fileprivate var text: String {
        switch self {
        case .published: "is published"
        case .waiting: "waits in the outbox"
        case .quarantined(_, isReleased: true): "is released from quarantine, and about to be published"
        case .quarantined("", _): "is in quarantine, behind another of its customer"
        case .quarantined(let reason, _): "is in quarantine: \(reason)"
        }
    }
}

// `order-worker customer`: all of a customer in one look, and for export.

internal import ArgumentParser
internal import FoundationEssentials
internal import OrderContract
internal import OrderStore
internal import Orders
internal import PostgreSQL

struct CustomerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "customer", abstract: "Show all of a customer: its data, subscriptions, invoices, transactions.",
        discussion: """
            Also what waits of it: events that aren't published, commands that wait for another partition. With --json \
            one object: customer, waiting, subscriptions, invoices and transactions as the reports have them, and with \
            --commands all commands that are kept (90 days), with their data and outcomes. It holds personal data. Exit \
            status 1 if there is no such customer.
            """)

    @Argument(help: "The customer's id.", transform: CustomerCommand.customer) var id: CustomerID
    @Flag(help: "Print one JSON object.") var json = false
    @Flag(help: "Also the commands that are kept: the whole inbox is read for it.") var commands = false
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var waiting: WaitOptions
    @OptionGroup var common: CommonOptions

    private static let reports: [ReportKind] = [.subscriptions, .invoices, .transactions]

    func run() async throws {
        let settings = try common.load(database, waiting)
        try await settings.withDatabase(statementTimeout: Settings.wholeTables) { connection in
            guard let story = try await CustomerStory.read(id, on: connection) else {
                throw Failure(
                    status: .refused, message: "There is no customer \(id).",
                    advice: "Look for what became of its creation: order-worker command ID.")
            }
            if json { try await writeJSON(story, connection) } else { try await writeText(story, connection) }
        }
    }

    // MARK: For people

    private func writeText(_ story: CustomerStory, _ connection: Connection) async throws {
        for (name, value) in story.members {
            if let value { Console.print("\(name.padded(to: 28)) \(value.visible)") }
        }
        let waiting = [
            (story.waitingEvents, "events wait in the outbox"), (story.quarantinedEvents, "events are in quarantine"),
            (story.parkedCommands, "commands wait for the former partition"),
        ]
        for (count, what) in waiting where count > 0 { Console.print("\("waiting".padded(to: 28)) \(count) \(what)") }
        for kind in Self.reports {
            Console.print("")
            Console.print(kind.rawValue.uppercased())
            try await write(kind, .table, connection) { Console.printBytes($0) }
        }
        guard commands else { return }
        Console.print("")
        Console.print("COMMANDS")
        try await CustomerStory.commands(of: id, on: connection) { entries in
            for entry in entries {
                Console.print(
                    "\(entry.receivedAt) \(entry.type.padded(to: 22)) \(entry.key.command.id.visible) "
                        + "\(entry.outcome.type.rawValue)")
            }
        }
    }

    private func write(
        _ kind: ReportKind, _ format: ReportFormat, _ connection: Connection, _ output: ([UInt8]) -> Void
    ) async throws {
        let now = Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
        var writer = ReportWriter(format, columns: kind.columns, width: Console.width)
        output(writer.beginning())
        try await Report(kind, ReportFilter(customer: id)).read(on: connection, now: now) { rows in
            for row in rows { output(writer.row(row)) }
        }
        output(writer.end())
    }

    // MARK: For programs

    private func writeJSON(_ story: CustomerStory, _ connection: Connection) async throws {
        var head = JSONWriter()
        head.object { writer in
            writer.member("customer") { writer in
                for (name, value) in story.members { writer.member(name, ifPresent: value) }
            }
            writer.member("waiting") { writer in
                writer.member("events", story.waitingEvents)
                writer.member("quarantined", story.quarantinedEvents)
                writer.member("parkedCommands", story.parkedCommands)
            }
        }
        // What is long is written as it is read.
        Console.printBytes(Array(head.bytes.dropLast()))
        for kind in Self.reports {
            Console.printBytes(Array(",\"\(kind.rawValue)\":".utf8))
            try await write(kind, .json, connection) { Console.printBytes($0) }
        }
        if commands {
            Console.printBytes(Array(",\"commands\":[".utf8))
            var isFirst = true
            try await CustomerStory.commands(of: id, on: connection) { entries in
                for entry in entries {
                    var writer = JSONWriter()
                    entry.write(to: &writer)
                    Console.printBytes((isFirst ? [] : [UInt8(ascii: ",")]) + writer.bytes)
                    isFirst = false
                }
            }
            Console.printBytes([UInt8(ascii: "]")])
        }
        Console.print("}")
    }

    static func customer(_ text: String) throws -> CustomerID {
        guard let id = CustomerID(text.lowercased()) else {
            throw ValidationError("'\(text)' is no customer id: it must be a UUID.")
        }
        return id
    }
}

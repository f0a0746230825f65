// `order-worker listen`: prints events as they come.

internal import AMQP
internal import ArgumentParser
internal import Logging
internal import OrderWorker
internal import Orders
internal import UnixSignals

struct ListenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "listen", abstract: "Print events as they come, until Ctrl-C.",
        discussion: """
            Listens through a queue of its own, which goes with the connection: what was published before isn't shown, \
            and nobody else misses anything. The account needs no more than a consumer's rights. A line shows the \
            event's time, its customer's sequence number, its type, the customer, and what happened; an event that \
            tells of a due date in the past has that as its time. With --json each line is a CloudEvent. Should \
            \(Self.maximumLength) events wait because the output isn't read, the oldest are dropped: the sequence \
            numbers then have a gap.
            """)

    @Option(help: ArgumentHelp("Only events of this type; may be repeated.", valueName: "type"), transform: Self.type)
    var type: [EventType] = []
    @Option(help: ArgumentHelp("Only this customer's events.", valueName: "id"), transform: Self.customer)
    var customer: CustomerID?
    @Flag(help: "Print CloudEvents in the structured mode, one a line.") var json = false
    @Option(help: ArgumentHelp("Stop after so many events.", valueName: "number")) var count: Int?
    @OptionGroup var broker: BrokerOptions
    @OptionGroup var waiting: WaitOptions
    @OptionGroup var common: CommonOptions

    /// Events that may wait in the broker while the output isn't read.
    private static let maximumLength = 100_000

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count must be at least 1.") }
    }

    func run() async throws {
        let settings = try common.load(broker, waiting)
        let configuration = try settings.amqp()
        let connection = try await settings.patiently {
            try await SubscriberConnection.connect(
                configuration, queue: "events.listen.\(String(UInt64.random(in: 0 ... .max), radix: 36))",
                exchange: Topology.events, routingKeys: type.isEmpty ? ["#"] : type.map(\.rawValue),
                maximumLength: Int64(Self.maximumLength), prefetch: 1000, logger: Logger(label: "amqp"))
        }
        // Only from here on is there something to close; until then a signal ends the process.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let lastResort = TerminationSignals.endProcess(afterSeconds: 1)
        defer { withExtendedLifetime(lastResort) {} }
        Logger(label: "order-worker").info("listening", metadata: ["exchange": "\(Topology.events)"])
        let result: Result<Void, any Error>
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { for await _ in signals { return } }
                tasks.addTask { try await printEvents(from: connection) }
                // A signal, or the last event that was asked for.
                try await tasks.next()
                tasks.cancelAll()
                await connection.wake()
                try await tasks.waitForAll()
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await connection.close()
        try result.get()
    }

    private func printEvents(from connection: SubscriberConnection) async throws {
        var left = count ?? .max
        while !Task.isCancelled, left > 0 {
            let deliveries = try await connection.nextBatch(maximum: 500, until: .now + .seconds(3600))
            for delivery in deliveries where left > 0 {
                let event = EventLine(delivery.message)
                if let customer, event.customer != customer.description { continue }
                Console.print(json ? String(decoding: event.json, as: UTF8.self) : event.text)
                left -= 1
            }
            if let last = deliveries.last { try await connection.acknowledge(through: last.tag) }
        }
    }

    private static func type(_ text: String) throws -> EventType {
        guard let type = EventType(rawValue: text) else {
            let types = EventType.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("'\(text)' is no type of event. There are: \(types).")
        }
        return type
    }

    private static func customer(_ text: String) throws -> CustomerID {
        guard let id = CustomerID(text.lowercased()) else {
            throw ValidationError("'\(text)' is no customer id: it must be a UUID.")
        }
        return id
    }
}

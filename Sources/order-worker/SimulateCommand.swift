// `order-worker simulate`: what would become of commands, without a broker and without a database.

internal import AMQP
internal import ArgumentParser
internal import FoundationEssentials
internal import OrderContract
internal import OrderStore
internal import OrderWorker
internal import Orders

struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Show what commands would come to, without broker and database.",
        discussion: """
            Begins with a catalog and nothing else, plays the commands of FILE in their order, and prints every event as a \
            worker would publish it: outcomes, renewals, expiries, invoices. It decides by the worker's own code, so that \
            what it prints is right to the byte, but for ids and the moment of an event. Nothing is sent or stored.

            FILE holds commands as `publish` takes them: one, an array, or one a line. Two members more say how each comes: \
            `publisher`, the login that sends it, and `received`, when the worker takes it; where that is missing, it is \
            taken at its `time`, but never before the command before it. A command whose `time` lies before it is taken \
            comes late and counts as of that time, up to --command-age. One without a `time` comes with the one before it.

            Between commands time passes, and after the last one up to --until: what falls due is settled at that moment, \
            by a worker that is always awake. The ids that it makes follow from --seed: the same input prints the same, so \
            that a refund can name the transaction that an earlier run has shown.

            Exit status 0: all accepted; 1: one was rejected, or the input can't be played.
            """)

    @Argument(help: "JSON file; - for standard input.") var file: String
    @Option(help: ArgumentHelp("The catalog, as catalog apply takes it.", valueName: "file")) var catalog: String
    @Option(help: ArgumentHelp("The login that sends the commands that name none.", valueName: "name"))
    var publisher: String?
    @Option(help: ArgumentHelp("When it begins.", valueName: "time"), transform: Self.time) var start: Timestamp?
    @Option(
        help: ArgumentHelp(
            "Let time pass to the end of this date in each partner's zone, or to this time.", valueName: "date"),
        transform: Self.destination)
    var until: Clock.Destination?
    @Option(help: ArgumentHelp("What the ids that are made follow from.", valueName: "number")) var seed: UInt64 = 1
    @Option(help: ArgumentHelp("How far back a command's own time may reach.", valueName: "duration"))
    var commandAge = DurationArgument(duration: .seconds(86400))
    @Flag(help: "Print CloudEvents in the structured mode, one a line.") var json = false

    func run() async throws {
        let catalog = try CatalogFile(
            json: Data(InputFile.read(path: catalog, maximumSize: 64 << 20, status: .trouble)))
        if let unusable = catalog.unusablePartners.first { throw Failure(status: .refused, message: "\(unusable).") }
        let bytes = try InputFile.read(path: file, maximumSize: 1 << 30, status: .trouble)
        let commands = try SimulatedCommand.read(
            bytes, name: file == "-" ? "standard input" : file, publisher: publisher, start: start)
        var simulator = Simulator(catalog: catalog.catalog, seed: seed, commandAge: commandAge.duration)
        var rejected = 0
        for command in commands {
            show(simulator.pass(until: .time(command.received)))
            if !json { Console.print(Self.heading(command).visible) }
            let events = simulator.take(
                command.document.message(correlationID: nil, replyTo: nil, user: command.publisher),
                routingKey: command.document.customerID, now: command.received)
            show(events)
            if events.contains(where: { $0.properties.type == EventType.commandRejected.rawValue }) { rejected += 1 }
        }
        if let until {
            show(simulator.pass(until: until))
        }
        if rejected > 0 { throw ExitCode(ExitStatus.refused.rawValue) }
    }

    private static func heading(_ command: SimulatedCommand) -> String {
        let document = command.document
        return "\(document.place): \(document.type) \(document.id) by \(command.publisher) at \(command.received)"
    }

    private func show(_ events: [Message]) {
        for message in events {
            let event = EventLine(message)
            Console.print(json ? String(decoding: event.json, as: UTF8.self) : event.text)
        }
    }

    private static func time(_ text: String) throws -> Timestamp {
        guard let time = Timestamp(text) else {
            throw ValidationError("'\(text)' is no time: write it as 2026-11-30T12:00:00Z.")
        }
        return time
    }

    private static func destination(_ text: String) throws -> Clock.Destination {
        guard let destination = ClockCommand.Run.destination(text) else {
            throw ValidationError("--until must be a date such as 2026-12-31 or a time such as 2026-12-31T12:00:00Z.")
        }
        return destination
    }
}

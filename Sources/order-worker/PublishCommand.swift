// `order-worker publish`: sends commands and shows what becomes of each.

internal import AMQP
internal import ArgumentParser
internal import Glibc
internal import Logging
internal import OrderContract
internal import OrderWorker

struct PublishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish", abstract: "Send commands, wait for the outcome of each, and print it.",
        discussion: """
            FILE holds CloudEvents in JSON: one, an array, or one a line. Each needs `type` and `data`; where they are \
            missing, `id` is a random UUID, `time` now and `source` "\(CommandDocument.ownSource)". Sending a command \
            again with the same id and source does no harm and shows the same outcome.

            Exit status 0: all accepted; 1: one was rejected; 2: an outcome is missing.
            """)

    @Argument(help: "JSON file; - for standard input.") var file: String
    @Option(help: ArgumentHelp("How long to wait for each outcome.", valueName: "duration"))
    var timeout: DurationArgument = DurationArgument(duration: .seconds(30))
    @Flag(help: "Print JSON lines, with the whole outcome.") var json = false
    @Flag(help: "Only hold the commands against the contract; nothing is sent.") var dryRun = false
    @OptionGroup var broker: BrokerOptions
    @OptionGroup var waiting: WaitOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try common.load(broker, waiting)
        let bytes = try InputFile.read(path: file, maximumSize: 1 << 30, status: .trouble)
        let commands = try CommandDocument.read(bytes, name: file == "-" ? "standard input" : file)
        if commands.isEmpty { throw Failure(status: .refused, message: "There is no command in it.") }
        let isAccepted = try await dryRun ? validate(commands) : send(commands, settings)
        if !isAccepted { throw ExitCode(ExitStatus.refused.rawValue) }
    }

    // MARK: Sending

    private func send(_ commands: [CommandDocument], _ settings: Settings) async throws -> Bool {
        let configuration = try settings.amqp()
        let users = Set(configuration.addresses.map(\.user))
        let connection = try await settings.patiently {
            try await CallerConnection.connect(configuration, logger: Logger(label: "amqp"))
        }
        let isProgressShown = commands.count > 100 && isatty(1) == 0
        var tally = (done: 0, rejected: 0, trouble: 0)
        let sender = CommandSender(connection, user: users.count == 1 ? users.first : nil, timeout: timeout.duration)
        let result: Result<Void, any Error>
        do {
            try await sender.send(commands) { line in
                Console.print(json ? String(decoding: line.json, as: UTF8.self) : line.text)
                tally.done += 1
                if line.outcome.isRejection { tally.rejected += 1 }
                if line.outcome.isTrouble { tally.trouble += 1 }
                if isProgressShown { Console.progress("\(tally.done) of \(commands.count) outcomes") }
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await connection.close()
        if isProgressShown { Console.progress("") }
        if tally.done < commands.count {
            Console.error("\(commands.count - tally.done) of \(commands.count) commands have no outcome yet.")
        }
        try result.get()
        if tally.trouble > 0 { throw ExitCode(ExitStatus.trouble.rawValue) }
        return tally.rejected == 0
    }

    // MARK: Validating

    private func validate(_ commands: [CommandDocument]) -> Bool {
        let decoder = CommandDecoder(maximumBodySize: .max)
        var isAccepted = true
        for (index, command) in commands.enumerated() {
            let message = command.message(correlationID: "\(index)", user: nil)
            switch decoder.decode(message, routingKey: command.customerID) {
            case .success:
                Console.print("\(command.type.padded(to: 20)) \(command.id) valid")
            case .failure(let unreadable):
                isAccepted = false
                for violation in unreadable.violations {
                    Console.print("\(command.type.padded(to: 20)) \(command.id) \(violation.line)")
                }
            }
        }
        return isAccepted
    }
}

/// A duration on the command line, such as `30s`.
struct DurationArgument: ExpressibleByArgument {
    let duration: Duration

    init(duration: Duration) { self.duration = duration }

    init?(argument: String) {
        guard let duration = Duration(text: argument) else { return nil }
        self.duration = duration
    }

    var defaultValueDescription: String { duration.text }
}

// `order-worker deadletters`: looks at what was put aside, sends it again, or throws it away.

internal import AMQP
internal import ArgumentParser
internal import Glibc
internal import Logging

struct DeadLettersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deadletters", abstract: "Look at what was put aside, send it again, or throw it away.",
        discussion: """
            In the queue orders.dead are messages that couldn't be read or stored, which workers put there, and those \
            that were delivered too often, which the broker put there. Log in as the workers do. While one of these \
            commands runs, it holds the dead letters; afterwards all that it didn't remove is in its old place, whatever \
            happened.
            """,
        subcommands: [List.self, Show.self, Replay.self, Discard.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the dead letters from front to back.",
            discussion: """
                `put aside` is when the broker or a worker did that, `sent` the message's own time. A \
                message without an id is shown with one made of its contents, body:…, by which the other commands find \
                it. With --json it prints an object a line: place, reason, by (worker, broker, unknown), id, type, \
                routingKey, user, deadLetteredAt, sentAt, size.
                """)

        @Flag(help: "Print JSON lines.") var json = false
        @OptionGroup var broker: BrokerOptions
        @OptionGroup var waiting: WaitOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let settings = try common.load(broker, waiting)
            try await settings.withDeadLetters { browser in
                if browser.total == 0, !json { Console.print("There are no dead letters.") }
                while let letter = try await browser.next() {
                    if json {
                        Console.print(String(decoding: letter.record.json, as: UTF8.self))
                        continue
                    }
                    if letter.record.place == 1 { Console.print(DeadLetterRecord.heading) }
                    Console.print(letter.record.line)
                }
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a dead letter with its reason, headers and body. Exit status 1 if there is no such one.")

        @Argument(help: "Its place in the list.") var place: Int?
        @Option(help: ArgumentHelp("Its id.", valueName: "id")) var id: String?
        @Flag(help: "Print the body alone, byte for byte.") var body = false
        @OptionGroup var broker: BrokerOptions
        @OptionGroup var waiting: WaitOptions
        @OptionGroup var common: CommonOptions

        func validate() throws {
            if (place == nil) == (id == nil) { throw ValidationError("Give either a place or --id.") }
        }

        func run() async throws {
            let settings = try common.load(broker, waiting)
            let found = try await settings.withDeadLetters { browser -> HeldDeadLetter? in
                while let letter = try await browser.next() {
                    if letter.record.place == place || letter.record.id == id { return letter }
                }
                return nil
            }
            guard let found else { throw Failure(status: .refused, message: "There is no such dead letter.") }
            if found.record.isUnreadable {
                throw Failure(
                    status: .trouble,
                    message: "The headers of this dead letter can't be read, so that it can't be shown.",
                    advice: "Look at it in RabbitMQ's management page, or discard it (--id \(found.record.id)).")
            }
            if body {
                Console.printBytes(found.message.body)
                return
            }
            for line in found.record.details(of: found.message) { Console.print(line) }
            Console.print("\("body".padded(to: 16)) \(found.record.size) bytes")
            for line in BodyText.lines(found.message.body) { Console.print(line) }
        }
    }

    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send commands to the workers again, as their own publishers sent them.",
            discussion: """
                Each is removed from the dead letters once the broker has confirmed it as a command. If this is \
                interrupted, some may be sent a second time, which does no harm: a command counts once. What fails \
                again comes back as a new dead letter. Exit status 1 if one can't be sent, or none was found; 2 if the \
                broker didn't take one.
                """)

        @OptionGroup var selection: DeadLetterSelection
        @OptionGroup var broker: BrokerOptions
        @OptionGroup var waiting: WaitOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let settings = try common.load(broker, waiting)
            let configuration = try settings.amqp()
            let publisher = try await settings.patiently {
                try await PublisherConnection.connect(configuration, logger: Logger(label: "amqp"))
            }
            let result: Result<DeadLetterReplayer.Tally, any Error>
            do {
                let tally = try await settings.withDeadLetters { browser in
                    try await DeadLetterReplayer(publisher).replay(selection, from: &browser) { Console.print($0) }
                }
                result = .success(tally)
            } catch {
                result = .failure(error)
            }
            await publisher.close()
            let tally = try result.get()
            Console.print("\(tally.replayed) sent again, \(tally.kept) kept.")
            if let trouble = tally.trouble { throw trouble }
            if tally.kept > 0 || selection.isMissed(found: tally.replayed) {
                throw ExitCode(ExitStatus.refused.rawValue)
            }
        }
    }

    struct Discard: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Throw dead letters away for good, after asking.",
            discussion: "Exit status 1 if none was found, or the question wasn't answered with y.")

        @OptionGroup var selection: DeadLetterSelection
        @Flag(help: "Don't ask. Needed where there is no terminal to ask on.") var yes = false
        @OptionGroup var broker: BrokerOptions
        @OptionGroup var waiting: WaitOptions
        @OptionGroup var common: CommonOptions

        func validate() throws {
            if !yes && !(isatty(0) == 1 && isatty(2) == 1) {
                throw ValidationError("There is no terminal to ask on: say --yes to discard without being asked.")
            }
        }

        func run() async throws {
            let settings = try common.load(broker, waiting)
            let (found, discarded) = try await settings.withDeadLetters { browser -> (Int, Int) in
                var chosen: [HeldDeadLetter] = []
                while let letter = try await browser.next() {
                    guard selection.includes(letter.record) else { continue }
                    chosen.append(letter)
                    if !yes { Console.print(letter.record.line) }
                }
                if chosen.isEmpty || !(yes || isConfirmed(chosen.count)) { return (chosen.count, 0) }
                try await browser.remove(chosen)
                return (chosen.count, chosen.count)
            }
            Console.print("\(discarded) discarded.")
            if discarded < found || selection.isMissed(found: found) { throw ExitCode(ExitStatus.refused.rawValue) }
        }

        private func isConfirmed(_ count: Int) -> Bool {
            let what = count == 1 ? "this dead letter" : "these \(count) dead letters"
            _ = Console.write(Array("Throw \(what) away for good? [y/N] ".utf8), to: 2)
            return ["y", "yes"].contains(readLine()?.lowercased())
        }
    }
}

/// Which dead letters a command is for.
struct DeadLetterSelection: ParsableArguments {
    @Option(help: ArgumentHelp("The one with this id; may be repeated.", valueName: "id")) var id: [String] = []
    @Option(help: ArgumentHelp("All with this reason.", valueName: "code")) var reason: String?
    @Flag(help: "All.") var all = false

    func validate() throws {
        if [!id.isEmpty, reason != nil, all].filter({ $0 }).count != 1 {
            throw ValidationError("Say which: --id, --reason or --all.")
        }
    }

    func includes(_ record: DeadLetterRecord) -> Bool {
        all || id.contains(record.id) || record.reason == reason
    }

    /// Whether particular ones were named and none of them was there.
    func isMissed(found: Int) -> Bool { found == 0 && !all }
}

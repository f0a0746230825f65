// `order-worker outbox`: what is committed and not yet published, and what the broker doesn't take.

internal import ArgumentParser
internal import FoundationEssentials
internal import OrderStore
internal import Orders

struct OutboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "outbox",
        abstract: "Show what waits to be published and what the broker doesn't take; release it.",
        subcommands: [Show.self, Release.self], defaultSubcommand: Show.self)

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show how many events wait to be published, in which partitions, since when; and the quarantine.",
            discussion: """
                While workers run, events wait for milliseconds. What waits longer is what a crash left: the partition's \
                next owner publishes it before it applies anything new. An event that the broker will never take, because \
                it is larger than its limit, goes into quarantine with all later ones of its customer. Exit status 1 if an \
                event is older than --older-than, or in quarantine.
                """)

        @Option(help: ArgumentHelp("How long an event may wait.", valueName: "duration"))
        var olderThan = DurationArgument(duration: .seconds(60))
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var waiting: WaitOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let settings = try common.load(database, waiting)
            let (waiting, quarantined) = try await settings.withDatabase {
                (try await OutboxBacklog.read(on: $0), try await QuarantinedEvent.read(on: $0))
            }
            for backlog in waiting { Console.print(Self.line(backlog)) }
            let total = waiting.reduce(0) { $0 + $1.events }
            Console.print(total == 0 ? "No event waits." : total == 1 ? "1 event waits." : "\(total) events wait.")
            for event in quarantined { Console.print(Self.line(event)) }
            if !quarantined.isEmpty {
                Console.print(
                    "\(quarantined.count) events are in quarantine. Once the broker takes them: order-worker outbox release"
                )
            }
            let isLate = waiting.contains { Duration.microseconds($0.age) > olderThan.duration }
            if isLate || !quarantined.isEmpty { throw ExitCode(ExitStatus.refused.rawValue) }
        }

        private static func line(_ backlog: OutboxBacklog) -> String {
            let since = Date(timeIntervalSince1970: Double(backlog.oldest) / 1_000_000)
                .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
            let age = Duration.seconds(max(0, backlog.age / 1_000_000)).text
            let (partition, events) = ("\(backlog.partition)".padded(to: 5), "\(backlog.events)".padded(to: 8))
            return "partition \(partition) \(events) since \(since), \(age)"
        }

        private static func line(_ event: QuarantinedEvent) -> String {
            let why = event.isReleased ? "released" : event.reason.isEmpty ? "behind another" : event.reason
            return "quarantine \(event.type) \(event.eventID) customer \(event.customerID), \(event.size) bytes, "
                + "since \(event.since): \(why.visible)"
        }
    }

    struct Release: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Release events from quarantine: their partitions' owners publish them, in order.",
            discussion: """
                Do it once the cause is gone, such as a limit of the broker's (max_message_size). What the broker still \
                doesn't take goes back into quarantine.
                """)

        @Option(help: ArgumentHelp("Only this customer's.", valueName: "id")) var customer: String?
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var waiting: WaitOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let id = try customer.map { text in
                guard let id = CustomerID(text) else { throw ValidationError("'\(text)' is no customer id (a UUID).") }
                return id
            }
            let settings = try common.load(database, waiting)
            let count = try await settings.withDatabase { try await QuarantinedEvent.release(id, on: $0) }
            Console.print(count == 1 ? "1 event is released." : "\(count) events are released.")
        }
    }
}

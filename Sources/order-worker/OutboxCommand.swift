// `order-worker outbox`: what is committed and not yet published.

internal import ArgumentParser
internal import FoundationEssentials
internal import OrderStore

struct OutboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "outbox", abstract: "Show how many events wait to be published, in which partitions, since when.",
        discussion: """
            While workers run, events wait for milliseconds. What waits longer is what a crash left: the partition's \
            next owner publishes it before it applies anything new. Exit status 1 if an event is older than \
            --older-than: then nobody serves its partition, or the broker takes nothing.
            """)

    @Option(help: ArgumentHelp("How long an event may wait.", valueName: "duration"))
    var olderThan = DurationArgument(duration: .seconds(60))
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var waiting: WaitOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try common.load(database, waiting)
        let waiting = try await settings.withDatabase { try await OutboxBacklog.read(on: $0) }
        if waiting.isEmpty {
            Console.print("No event waits.")
            return
        }
        for backlog in waiting { Console.print(Self.line(backlog)) }
        let total = waiting.reduce(0) { $0 + $1.events }
        Console.print(total == 1 ? "1 event waits." : "\(total) events wait.")
        if waiting.contains(where: { Duration.microseconds($0.age) > olderThan.duration }) {
            throw ExitCode(ExitStatus.refused.rawValue)
        }
    }

    private static func line(_ backlog: OutboxBacklog) -> String {
        let since = Date(timeIntervalSince1970: Double(backlog.oldest) / 1_000_000)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        let age = Duration.seconds(max(0, backlog.age / 1_000_000)).text
        let (partition, events) = ("\(backlog.partition)".padded(to: 5), "\(backlog.events)".padded(to: 8))
        return "partition \(partition) \(events) since \(since), \(age)"
    }
}

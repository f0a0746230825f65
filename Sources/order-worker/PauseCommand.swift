// `order-worker pause` and `order-worker resume`: have partitions consumed no more for a while.

internal import ArgumentParser
internal import OrderStore

struct PauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Have a partition, or all, consumed no more until it is resumed.",
        discussion: """
            For all workers, those that start later included: it is noted in the database, and each worker sees it within a \
            second. What they have in hand is finished; what comes waits in its queue. Readiness, doctor and metrics say so.
            """)

    @OptionGroup var selection: PartitionSelection
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var waiting: WaitOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try common.load(database, waiting)
        try await settings.withDatabase { connection in
            let count = try await PartitionCount.read(on: connection)
            if let partition = selection.partition, let count, partition >= count {
                throw Failure(
                    status: .refused, message: "There is no partition \(partition): there are \(count), from 0 on.")
            }
            try await Pause.add(selection.partition, on: connection)
            for pause in try await Pause.read(on: connection) { Console.print("\(pause.text) since \(pause.since)") }
        }
    }
}

struct ResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Have a paused partition, or all, consumed again.",
        discussion: "Exit status 1 if nothing of that was paused.")

    @OptionGroup var selection: PartitionSelection
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var waiting: WaitOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try common.load(database, waiting)
        try await settings.withDatabase { connection in
            let wasPaused = try await Pause.remove(selection.partition, on: connection)
            let left = try await Pause.read(on: connection)
            for pause in left { Console.print("\(pause.text) since \(pause.since)") }
            if left.isEmpty { Console.print("nothing is paused") }
            if selection.partition != nil, left.contains(where: { $0.partition == nil }) {
                throw Failure(
                    status: .refused, message: "All partitions are paused together.",
                    advice: "order-worker resume --all, then pause those that shall stay so.")
            }
            if !wasPaused { throw ExitCode(ExitStatus.refused.rawValue) }
        }
    }
}

/// Which partitions are meant.
struct PartitionSelection: ParsableArguments {
    @Option(help: ArgumentHelp("This one, counted from 0.", valueName: "number")) var partition: Int?
    @Flag(help: "All, those to come included.") var all = false

    func validate() throws {
        if (partition == nil) != all { throw ValidationError("Say which: --partition or --all.") }
        if let partition, !(0..<100).contains(partition) {
            throw ValidationError("--partition must be a number from 0 to 99.")
        }
    }
}

extension Pause {
    /// `partition 3 is paused`.
    var text: String { partition.map { "partition \($0) is paused" } ?? "every partition is paused" }
}

// `order-worker topology`: the exchanges and queues on the broker.

internal import ArgumentParser
internal import OrderWorker

struct TopologyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "topology", abstract: "Declare the exchanges and queues, or compare them with what is needed.",
        subcommands: [Apply.self, Check.self])

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Declare what is missing; safe to repeat.")

        @OptionGroup var partitions: PartitionOptions
        @OptionGroup var broker: BrokerOptions
        @OptionGroup var waiting: WaitOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let settings = try common.load(partitions, broker, waiting)
            let topology = Topology(partitions: try settings.integer(.partitions))
            let made = try await settings.withTopologyConnection { try await topology.apply(on: $0) }
            for line in made { Console.print("made \(line)") }
            Console.print("The topology has \(topology.partitions) partitions.")
        }
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say what differs. Exit status 1 if anything does.",
            discussion: "Bindings can't be read over AMQP and aren't compared; `topology apply` makes them anew.")

        @OptionGroup var partitions: PartitionOptions
        @OptionGroup var broker: BrokerOptions
        @OptionGroup var waiting: WaitOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let settings = try common.load(partitions, broker, waiting)
            let topology = Topology(partitions: try settings.integer(.partitions))
            let differences = try await settings.withTopologyConnection { try await topology.check(on: $0) }
            for line in differences { Console.print(line) }
            if !differences.isEmpty { throw ExitCode(ExitStatus.refused.rawValue) }
            Console.print("The exchanges and queues are as they should be. Bindings can't be read over AMQP.")
        }
    }
}

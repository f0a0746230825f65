// `order-worker topology`: the exchanges and queues on the broker.

internal import AMQP
internal import ArgumentParser
internal import Logging
internal import Operations
internal import OrderStore
internal import OrderWorker
internal import PostgreSQL

struct TopologyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "topology", abstract: "Declare the exchanges and queues, or compare them with what is needed.",
        subcommands: [Apply.self, Check.self])

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make what is missing, and store the number of partitions for the workers; safe to repeat.",
            discussion: """
                Workers and publishers can go on meanwhile: a missing queue is restored, and partitions are added, while \
                commands are under way; what came for a queue while it was missing is sent on first. Partitions are taken \
                away only when their queues are empty. Log in as the workers do: commands that have to be moved are moved \
                under their account. Queues with the names of an earlier version (orders.0) are moved to today's \
                (orders.00): stop the workers for it, and, to keep the order of commands sent in that very moment too, \
                the publishers.
                """)

        @OptionGroup var partitions: PartitionOptions
        @OptionGroup var broker: BrokerOptions
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var waiting: WaitOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let settings = try common.load(partitions, broker, database, waiting)
            let mover = CommandMover(try settings.amqp(), logger: Logger(label: "topology"))
            let made = try await settings.withTopologyConnection { broker in
                try await settings.withDatabase { database in
                    try await Migrator(migrations: OrderMigrations.all).verify(on: database)
                    let stored = try await PartitionCount.read(on: database)
                    let topology = Topology(partitions: settings.partitions ?? stored ?? Settings.standardPartitions)
                    var change = TopologyChange(topology, on: broker, mover: mover, previous: stored) { count in
                        try await PartitionCount.write(count, on: database)
                    } noteUndrained: { partitions in
                        try await PartitionCount.noteUndrained(partitions, on: database)
                    }
                    return try await change.apply() + ["The topology has \(topology.partitions) partitions."]
                }
            }
            for line in made { Console.print(line) }
        }
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say what differs. Exit status 1 if anything does.",
            discussion: """
                Policies and bindings are compared where the settings say how to reach RabbitMQ's management API; they can't \
                be seen over AMQP.
                """)

        @OptionGroup var partitions: PartitionOptions
        @OptionGroup var broker: BrokerOptions
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var waiting: WaitOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let settings = try common.load(partitions, broker, database, waiting)
            let (topology, declared) = try await settings.withTopologyConnection { broker in
                let stored = try await settings.storedPartitions()
                let topology = Topology(partitions: stored ?? settings.partitions ?? Settings.standardPartitions)
                let differences = try await settings.partitionDifference(stored: stored) + topology.check(on: broker)
                return (topology, differences)
            }
            var (shown, unseen) = (Settings.ManagementDifferences?.none, Settings.managementUnseen)
            do {
                shown = try await settings.managementDifferences(topology)
            } catch let error as OperationsError {
                unseen = "Bindings and policies couldn't be seen: \(error.during): \(error.cause)."
            }
            for line in declared { Console.print(line) }
            for line in shown?.lines ?? [] { Console.print(line) }
            if !declared.isEmpty || shown?.lines.isEmpty == false { throw ExitCode(ExitStatus.refused.rawValue) }
            let kinds = shown == nil ? "exchanges and queues" : "exchanges, queues, bindings and policies"
            Console.print("The \(kinds) are as they should be.")
            if shown == nil { Console.print(unseen) }
        }
    }
}

extension Settings {
    static let managementUnseen =
        "Bindings and policies couldn't be seen: set RABBITMQ_MANAGEMENT_URL to the broker's management API."

    /// What the management API shows of the topology that should not be.
    struct ManagementDifferences {
        /// Bindings that are missing or lead elsewhere.
        var bindings: [String]
        var policies: [PolicyDifference]
        /// What keeps the queues from outliving a node; nil where the account may not see the nodes.
        var cluster: [ClusterDifference]?

        var lines: [String] { bindings + policies.map(\.text) + (cluster ?? []).map(\.text) }
    }

    /// What differs by the management API; nil where the settings don't say where it is.
    func managementDifferences(_ topology: Topology) async throws -> ManagementDifferences? {
        guard let management = try management() else { return nil }
        return ManagementDifferences(
            bindings: topology.differences(in: try await management.bindings()),
            policies: topology.differences(by: try await management.policies()),
            cluster: try await clusterDifferences(topology, management))
    }

    private func clusterDifferences(
        _ topology: Topology, _ management: BrokerManagement
    ) async throws -> [ClusterDifference]? {
        let nodes: [BrokerNode]
        do {
            nodes = try await management.nodes()
        } catch let error as OperationsError where error.code == .refused {
            return nil
        }
        return topology.differences(
            of: nodes, try await management.queueMembers(), virtualHost: management.virtualHost)
    }

    /// How many partitions are made where nothing says how many.
    static let standardPartitions = 8

    /// What the setting says; nil where it isn't set and the database decides.
    var partitions: Int? {
        if case .integer(let number)? = entries[.partitions]?.value { return number }
        return nil
    }

    /// The number of partitions in the database; nil where the topology was never applied.
    func storedPartitions() async throws -> Int? {
        try await withDatabase { database in
            try await Migrator(migrations: OrderMigrations.all).verify(on: database)
            return try await PartitionCount.read(on: database)
        }
    }

    /// What is wrong with the number of partitions, in words.
    func partitionDifference(stored: Int?) -> [String] {
        guard let stored else {
            return ["The number of partitions isn't stored: the topology was never applied, and workers serve nothing."]
        }
        guard let partitions, partitions != stored else { return [] }
        return [
            "The setting partitions is \(partitions), but the topology has \(stored): such a worker serves nothing."
        ]
    }
}

// Compares the topology with how a cluster's management API shows the nodes and the queues' members on them.

internal import AMQP

/// A node of the broker's cluster.
public struct BrokerNode: Sendable, Hashable {
    public let name: String
    public let isRunning: Bool
    /// The nodes that it lost sight of and hasn't joined again, although they are there.
    public let apartFrom: [String]

    public init(name: String, isRunning: Bool, apartFrom: [String] = []) {
        self.name = name
        self.isRunning = isRunning
        self.apartFrom = apartFrom
    }
}

/// Where a quorum queue is.
public struct QueueMembers: Sendable, Hashable {
    public let queue: String
    public let members: [String]
    /// Those of the members that can be reached.
    public let online: [String]

    public init(queue: String, members: [String], online: [String]) {
        self.queue = queue
        self.members = members
        self.online = online
    }
}

/// What is wrong with a cluster, and how it is mended.
public struct ClusterDifference: Sendable, Hashable {
    public let text: String
    public let mend: String
}

extension Topology {
    /// How many members a queue is made with on a cluster that has as many nodes (RabbitMQ: `quorum_initial_cluster_size`).
    static let usualMembers = 3

    /// What keeps the queues from outliving the loss of a node; empty on a single node.
    public func differences(of nodes: [BrokerNode], _ queues: [QueueMembers], virtualHost: String)
        -> [ClusterDifference]
    {
        var differences: [ClusterDifference] = []
        for node in nodes.filter({ !$0.apartFrom.isEmpty }).sorted(by: { $0.name < $1.name }) {
            differences.append(
                ClusterDifference(
                    text:
                        "The node \(node.name) goes on apart from \(node.apartFrom.sorted().joined(separator: ", ")), as "
                        + "the network between them was cut: what is published there may wait for ever.",
                    mend: "restart the node that the others do without"))
        }
        let names = Set(commonQueues.map(\.name) + (0..<partitions).map(Self.queue(partition:)))
        let own = queues.filter { names.contains($0.queue) }.sorted { $0.queue < $1.queue }
        let wanted = min(Self.usualMembers, nodes.count)
        let few = own.filter { $0.members.count < wanted }
        if let first = few.first {
            let others = few.count > 1 ? " and \(few.count - 1) other queues have" : " has"
            let count = few.map(\.members.count).min() ?? 0
            let joining = nodes.map(\.name).filter { name in few.contains { !$0.members.contains(name) } }.sorted()
            differences.append(
                ClusterDifference(
                    text:
                        "\(first.queue)\(others) \(count == 1 ? "one member" : "\(count) members") on \(nodes.count) nodes: "
                        + "the loss of \(count == 1 ? "that node stops them" : "one node may stop them").",
                    mend: joining.map {
                        "rabbitmq-queues grow \($0) all --vhost-pattern '^\(virtualHost)$' --queue-pattern '^orders\\.'"
                    }.joined(separator: "; ")))
        }
        let without = own.filter { $0.online.count * 2 <= $0.members.count }
        if let first = without.first {
            let others = without.count > 1 ? " and \(without.count - 1) other queues have" : " has"
            differences.append(
                ClusterDifference(
                    text:
                        "\(first.queue)\(others) no majority: \(first.online.count) of \(first.members.count) members are "
                        + "online. Nothing is taken or given there.",
                    mend: "start the nodes that are down"))
        }
        return differences
    }
}

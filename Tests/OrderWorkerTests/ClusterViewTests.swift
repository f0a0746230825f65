// What a cluster's nodes and the queues' members on them say of the topology.

import OrderWorker
import Testing

@Suite("The broker's cluster")
struct ClusterViewTests {
    private let topology = Topology(partitions: 2)
    private static let names = ["orders.00", "orders.01", "orders.dead", "orders.retry", "orders.unrouted"]

    private static func nodes(_ names: String...) -> [BrokerNode] {
        names.map { BrokerNode(name: $0, isRunning: true) }
    }

    private static func queues(_ members: [String], online: [String]? = nil) -> [QueueMembers] {
        names.map { QueueMembers(queue: $0, members: members, online: online ?? members) }
    }

    private func differences(_ nodes: [BrokerNode], _ queues: [QueueMembers]) -> [ClusterDifference] {
        topology.differences(of: nodes, queues, virtualHost: "shop")
    }

    @Test(
        "Queues with a member on each of three nodes, or on the only one, are fine",
        arguments: [["a"], ["a", "b"], ["a", "b", "c"]])
    func whole(_ names: [String]) {
        #expect(differences(names.map { BrokerNode(name: $0, isRunning: true) }, Self.queues(names)).isEmpty)
    }

    @Test("Three members are enough on five nodes")
    func enough() {
        #expect(differences(Self.nodes("a", "b", "c", "d", "e"), Self.queues(["b", "d", "e"])).isEmpty)
    }

    @Test("Queues that were made before the other nodes joined are named, and how they grow")
    func few() throws {
        let found = differences(Self.nodes("a", "b", "c"), Self.queues(["a"]))
        let difference = try #require(found.first)
        #expect(found.count == 1)
        #expect(difference.text.contains("orders.00 and 4 other queues have one member on 3 nodes"))
        #expect(
            difference.mend
                == "rabbitmq-queues grow b all --vhost-pattern '^shop$' --queue-pattern '^orders\\.'; "
                + "rabbitmq-queues grow c all --vhost-pattern '^shop$' --queue-pattern '^orders\\.'")
    }

    @Test("Other parties' queues are theirs")
    func others() {
        let other = QueueMembers(queue: "events.billing", members: ["a"], online: [])
        #expect(differences(Self.nodes("a", "b", "c"), [other]).isEmpty)
    }

    @Test("A queue without a majority is named, one that has lost a single member isn't")
    func majority() throws {
        let all = ["a", "b", "c"]
        #expect(differences(Self.nodes("a", "b", "c"), Self.queues(all, online: ["a", "c"])).isEmpty)
        let found = differences(Self.nodes("a", "b", "c"), Self.queues(all, online: ["a"]))
        #expect(try #require(found.first).text.contains("no majority: 1 of 3 members are online"))
    }

    @Test("A node that goes on apart from the others is named")
    func apart() throws {
        let nodes = Self.nodes("a", "b") + [BrokerNode(name: "c", isRunning: false, apartFrom: ["b", "a"])]
        let found = differences(nodes, Self.queues(["a", "b", "c"]))
        #expect(try #require(found.first).text.contains("The node c goes on apart from a, b"))
    }
}

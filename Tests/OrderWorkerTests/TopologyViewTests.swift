// What policies and bindings make of the topology.

import OrderWorker
import Testing

@Suite("The broker's view of the topology")
struct TopologyViewTests {
    private let topology = Topology(partitions: 2)

    private static func policy(
        _ limits: [String: Int64], on pattern: String = ".*", to kind: String = "all", priority: Int = 0,
        isOperators: Bool = false
    ) -> BrokerPolicy {
        BrokerPolicy(
            name: "p\(priority)", pattern: pattern, appliesTo: kind, priority: priority, isOperators: isOperators,
            limits: limits)
    }

    @Test(
        "A policy that lowers a limit or lets something vanish is named for each queue that it harms",
        arguments: [
            ([policy(["delivery-limit": 3])], ["orders.00", "orders.01", "orders.dead", "orders.unrouted"]),
            ([policy(["delivery-limit": 100], on: "^orders\\.[0-9]+$")], []),
            ([policy(["delivery-limit": -1])], []),
            (
                [policy(["expires": 60_000])],
                ["orders.00", "orders.01", "orders.dead", "orders.retry", "orders.unrouted"]
            ),
            ([policy(["message-ttl": 500], on: "^orders.retry$")], ["orders.retry"]),
            ([policy(["message-ttl": 5000], on: "^orders.retry$")], []),
            ([policy(["max-length": 10], on: "dead")], ["orders.dead"]),
            ([policy(["expires": 1], to: "exchanges")], []),
            ([policy(["expires": 1], to: "classic_queues")], []),
            ([policy(["expires": 1], on: "^replies")], []),
            // Only the one with the highest priority is in force, and beside it one of the operators'.
            ([policy(["expires": 1]), policy(["ha-sync-batch-size": 1], priority: 1)], []),
            (
                [policy(["max-length": 1], on: "dead", isOperators: true), policy([:], priority: 9)],
                ["orders.dead"]
            ),
        ])
    func policies(_ policies: [BrokerPolicy], queues: [String]) {
        #expect(topology.differences(by: policies).map(\.queue).sorted() == queues)
    }

    @Test("A policy that lowers the delivery limit of the dead letters makes it dangerous to look at them")
    func looking() {
        let hazard = Topology.hazardOfLooking(by: [Self.policy(["delivery-limit": 3, "expires": 1])])
        #expect(hazard?.policy == "p0")
        #expect(hazard?.text.contains("sets delivery-limit of orders.dead to 3") == true)
        #expect(Topology.hazardOfLooking(by: [Self.policy(["delivery-limit": 3], on: "^orders\\.0")]) == nil)
        #expect(Topology.hazardOfLooking(by: [Self.policy(["expires": 3])]) == nil)
    }

    @Test("Bindings that are missing, of another weight, or lead commands elsewhere are named")
    func bindings() {
        func exchange(_ name: String, weight: String = "1") -> BrokerBinding {
            BrokerBinding(source: "orders", destination: name, isToExchange: true, routingKey: weight)
        }
        let queues = ["orders.00", "orders.01", "orders.retry", "orders.unrouted"].map { name in
            BrokerBinding(source: name, destination: name, isToExchange: false, routingKey: "")
        }
        let sound = [exchange("orders.00"), exchange("orders.01")] + queues
        #expect(topology.differences(in: sound).isEmpty)
        #expect(topology.differences(in: Array(sound.dropLast())).count == 1)
        #expect(topology.differences(in: Array(sound.dropFirst())).count == 1)
        let heavy = topology.differences(in: [exchange("orders.00", weight: "7")] + sound.dropFirst())
        #expect(heavy.count == 2)
        let stray = BrokerBinding(source: "orders", destination: "orders.3", isToExchange: false, routingKey: "1")
        let foreign = topology.differences(in: sound + [stray])
        #expect(foreign.count == 1)
        #expect(foreign.first?.contains("orders.3") == true)
    }
}

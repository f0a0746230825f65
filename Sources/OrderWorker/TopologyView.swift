// Compares the topology with what the broker's management API shows of it: bindings, and what policies make of the queues.

internal import AMQP

/// A policy of a virtual host, or an operator's.
public struct BrokerPolicy: Sendable, Hashable {
    public let name: String
    /// A regular expression that names match which it applies to.
    public let pattern: String
    /// `all`, `queues`, `quorum_queues`, `exchanges`, …
    public let appliesTo: String
    public let priority: Int
    public let isOperators: Bool
    /// Its numbers, by key; what isn't a number is left out.
    public let limits: [String: Int64]

    public init(
        name: String, pattern: String, appliesTo: String, priority: Int, isOperators: Bool, limits: [String: Int64]
    ) {
        self.name = name
        self.pattern = pattern
        self.appliesTo = appliesTo
        self.priority = priority
        self.isOperators = isOperators
        self.limits = limits
    }

    /// Whether it can apply to a quorum queue of that name. A pattern that can't be read here counts as one that does.
    func applies(toQueue name: String) -> Bool {
        guard ["all", "queues", "quorum_queues"].contains(appliesTo) else { return false }
        guard let expression = try? Regex(pattern) else { return true }
        return name.firstMatch(of: expression) != nil
    }
}

/// A binding of a virtual host.
public struct BrokerBinding: Sendable, Hashable {
    public let source: String
    public let destination: String
    public let isToExchange: Bool
    public let routingKey: String

    public init(source: String, destination: String, isToExchange: Bool, routingKey: String) {
        self.source = source
        self.destination = destination
        self.isToExchange = isToExchange
        self.routingKey = routingKey
    }
}

/// What a policy makes of a queue that it should not be.
public struct PolicyDifference: Sendable, Hashable {
    public let queue: String
    public let policy: String
    /// Such as `delivery-limit`.
    public let key: String
    public let value: Int64
    /// What comes of it.
    public let consequence: String

    /// A sentence.
    public var text: String {
        "The policy \(policy) sets \(key) of \(queue) to \(value): \(consequence)."
    }
}

extension Topology {
    // MARK: Policies

    /// What the policies in force make of the queues that loses messages or refuses them. Where a queue has an argument and
    /// policies, the broker takes the lowest.
    public func differences(by policies: [BrokerPolicy]) -> [PolicyDifference] {
        (commonQueues + (0..<partitions).map { queue($0) }).flatMap { queue in
            Self.inForce(policies, queue: queue.name).flatMap { policy in
                policy.limits.sorted { $0.key < $1.key }.compactMap { key, value in
                    Self.consequence(of: key, value, queue).map { consequence in
                        PolicyDifference(
                            queue: queue.name, policy: policy.name, key: key, value: value, consequence: consequence)
                    }
                }
            }
        }
    }

    /// The policy by which looking at the dead letters could lose them; nil where they can be looked at any number of times.
    public static func hazardOfLooking(by policies: [BrokerPolicy]) -> PolicyDifference? {
        Topology(partitions: 1).differences(by: policies).first {
            $0.queue == deadLetters && $0.key == "delivery-limit"
        }
    }

    /// At most one policy and one of the operators' are in force on a queue: those with the highest priority.
    private static func inForce(_ policies: [BrokerPolicy], queue: String) -> [BrokerPolicy] {
        let matching = policies.filter { $0.applies(toQueue: queue) }
        return [false, true].flatMap { isOperators in
            let own = matching.filter { $0.isOperators == isOperators }
            let highest = own.map(\.priority).max()
            // Of equals the broker takes any.
            return own.filter { $0.priority == highest }
        }
    }

    private static func consequence(of key: String, _ value: Int64, _ queue: Queue) -> String? {
        let isWithoutConsumers = queue.name == retry
        switch key {
        case "delivery-limit":
            let declared = queue.arguments["x-delivery-limit"]?.integer ?? .max
            if isWithoutConsumers || value < 0 || value >= declared { return nil }
            return queue.name == deadLetters
                ? "each look at a dead letter counts, and after so many they are gone"
                : "a message that was given back so often is put aside, whatever the reason"
        case "expires":
            return "the queue vanishes with what it holds when nobody has used it for so many milliseconds"
        case "message-ttl":
            if let declared = queue.arguments["x-message-ttl"]?.integer, value >= declared { return nil }
            return "what waits for longer than so many milliseconds leaves the queue"
        case "max-length", "max-length-bytes":
            return queue.arguments["x-overflow"] == nil
                ? "beyond that the oldest are lost" : "beyond that publishers are refused"
        default:
            return nil
        }
    }

    // MARK: Bindings

    /// Which bindings are missing, and which lead commands to where nobody applies them, a sentence each.
    public func differences(in bindings: [BrokerBinding]) -> [String] {
        let found = Set(bindings)
        let ring = (0..<partitions).map { partition in
            BrokerBinding(
                source: Self.commands, destination: Self.queue(partition: partition), isToExchange: true,
                routingKey: Self.weight)
        }
        let others = (0..<partitions).map { Self.queue(partition: $0) } + [Self.retry, Self.unrouted]
        let needed =
            ring
            + others.map { name in
                BrokerBinding(source: name, destination: name, isToExchange: false, routingKey: "")
            }
        let missing = needed.filter { !found.contains($0) }.map { binding in
            "The exchange \(binding.source) isn't bound to the \(binding.isToExchange ? "exchange" : "queue") "
                + "\(binding.destination)."
        }
        let foreign = bindings.filter { $0.source == Self.commands && !ring.contains($0) }.map { binding in
            "The exchange \(Self.commands) is bound to the \(binding.isToExchange ? "exchange" : "queue") "
                + "\(binding.destination) with the weight \(binding.routingKey): it takes a share of the commands."
        }
        return missing + foreign
    }
}

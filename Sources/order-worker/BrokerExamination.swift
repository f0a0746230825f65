// What the doctor looks at on the broker.

internal import AMQP
internal import Logging
internal import OrderStore
internal import OrderWorker

struct BrokerExamination {
    let settings: Settings
    /// How many partitions there should be.
    let partitions: Int
    /// What this process is for, and the accounts that may publish, where the database tells.
    let purpose: RolePurpose
    let publishers: Set<String>

    func run(_ examination: inout Examination) async {
        let configuration: AMQP.ConnectionConfiguration
        do {
            configuration = try settings.amqp()
            examination.note("broker address", .fine("\(configuration)"))
        } catch {
            examination.note("broker address", error)
            return
        }
        do {
            let connection = try await settings.patiently {
                try await TopologyConnection.connect(configuration, logger: Logger(label: "amqp"))
            }
            let users = Set(configuration.addresses.map(\.user)).sorted().joined(separator: ", ")
            examination.note("broker login", .fine("as \(users)"))
            await examine(connection, &examination)
            if let address = configuration.addresses.first {
                await BrokerRightsExamination(
                    virtualHost: address.virtualHost, user: address.user,
                    account: purpose == .reader ? .reader : .worker, publishers: publishers
                ).run(connection, try settings.management(), &examination)
            }
            await connection.close()
        } catch {
            examination.note("broker login", error)
        }
    }

    private func examine(_ connection: TopologyConnection, _ examination: inout Examination) async {
        do {
            let topology = Topology(partitions: partitions)
            // To compare what there is the account must be one that could make it.
            let differences = try await topology.check(on: connection, existenceOnly: purpose == .reader)
            for difference in differences {
                examination.note("topology", .wrong(difference, mend: "order-worker topology apply"))
            }
            await examineManagement(topology, &examination)
            if !differences.isEmpty { return }
            examination.note("topology", .fine("\(topology.partitions) partitions"))
        } catch {
            examination.note("topology", error)
            return
        }
        if purpose == .worker { await examinePermissions(connection, &examination) }
        await examineDeadLetters(connection, &examination)
    }

    /// What only the management API shows.
    private func examineManagement(_ topology: Topology, _ examination: inout Examination) async {
        do {
            guard let differences = try await settings.managementDifferences(topology) else {
                examination.note("policies", .remark(Settings.managementUnseen))
                return
            }
            for difference in differences.bindings {
                examination.note(
                    "bindings",
                    .wrong(difference, mend: "order-worker topology apply; and remove what others have bound"))
            }
            for difference in differences.policies {
                examination.note(
                    "policies", .wrong(difference.text, mend: "change the policy \(difference.policy), or its pattern"))
            }
            switch differences.cluster {
            case nil:
                examination.note(
                    "cluster", .remark("couldn't be seen: that needs an account with the tag monitoring"))
            case let found? where found.isEmpty:
                examination.note("cluster", .fine("every queue has its members"))
            case let found?:
                for difference in found { examination.note("cluster", .wrong(difference.text, mend: difference.mend)) }
            }
            if differences.bindings.isEmpty { examination.note("bindings", .fine("are as they should be")) }
            if differences.policies.isEmpty { examination.note("policies", .fine("none changes what was declared")) }
        } catch {
            examination.note("policies", .remark("couldn't be seen: \(Failure(error).message)"))
        }
    }

    /// Commands that change nothing, but for which the broker checks the permissions that a worker needs.
    private func examinePermissions(_ connection: TopologyConnection, _ examination: inout Examination) async {
        let binding = "order-worker doctor: never bound"
        var isFine = true
        func attempt(_ need: String, _ command: () async throws(AMQPError) -> Void) async {
            do throws(AMQPError) {
                try await command()
            } catch {
                // A queue with a single active consumer can't be looked into, but says so only to who may read it.
                if error.code == .resourceLocked { return }
                isFine = false
                examination.note("permissions", .wrong("\(need): \(error.cause)", mend: error.advice))
            }
        }
        // Undoing a binding needs the right to write to its destination and to read its source.
        for target in [Topology.commands, Topology.events, Topology.retry] {
            await attempt("publish to \(target)") { () async throws(AMQPError) in
                try await connection.unbind(exchange: target, from: Topology.commands, routingKey: binding)
            }
        }
        let queue = Topology.queue(partition: 0)
        await attempt("consume \(queue)") { () async throws(AMQPError) in
            if let message = try await connection.get(queue: queue) {
                try await connection.reject(message.delivery.tag, requeue: true)
            }
        }
        if isFine { examination.note("permissions", .fine("may publish and consume")) }
    }

    private func examineDeadLetters(_ connection: TopologyConnection, _ examination: inout Examination) async {
        let depths: QueueDepths
        do {
            depths = try await measure(connection)
        } catch {
            return examination.note("commands", error)
        }
        if depths.unrouted > 0 {
            examination.note(
                "unrouted",
                .wrong(
                    "\(depths.unrouted) commands wait in \(Topology.unrouted) for a partition's queue that was missing",
                    mend: "order-worker topology apply; a running worker then sends them on"))
        }
        if depths.dead > 0 {
            examination.note("dead letters", .remark("\(depths.dead) in \(Topology.deadLetters)"))
        }
        let served =
            depths.unserved.isEmpty
            ? "every partition has a worker" : "without a worker: \(depths.unserved.joined(separator: ", "))"
        examination.note("commands", .remark("\(depths.waiting) wait; \(served)"))
    }

    private struct QueueDepths {
        var dead = 0
        var unrouted = 0
        var waiting = 0
        var unserved: [String] = []
    }

    private func measure(_ connection: TopologyConnection) async throws -> QueueDepths {
        var depths = QueueDepths()
        depths.dead = try await connection.depth(ofQueue: Topology.deadLetters)?.messages ?? 0
        depths.unrouted = try await connection.depth(ofQueue: Topology.unrouted)?.messages ?? 0
        for partition in 0..<partitions {
            let queue = Topology.queue(partition: partition)
            let depth = try await connection.depth(ofQueue: queue)
            depths.waiting += depth?.messages ?? 0
            if depth?.consumers == 0 { depths.unserved.append(queue) }
        }
        return depths
    }
}

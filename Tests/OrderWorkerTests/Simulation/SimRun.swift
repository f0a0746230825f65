// One run of the simulated world: commands and faults by a seed, then a time without faults, then the checks.

import OrderStore
import Orders

@testable import OrderWorker

/// A run, repeated exactly by its seed.
struct SimRun {
    let seed: UInt64
    let commands: Int
    /// Which kinds of faults happen.
    var faults: Set<SimFault> = Set(SimFault.allCases)

    /// Plays it.
    ///
    /// - Returns: the steps it took.
    /// - Throws: ``SimBreach`` where a promise was broken.
    func play(trace: ((String) -> Void)? = nil) throws -> Int {
        let world = SimWorld(seed: seed, partitions: 4)
        world.trace = trace
        let faults = SimFault.allCases.filter(faults.contains)
        for _ in 0..<world.number(1...4) { world.startLane() }
        let time = Duration.seconds(40)
        let customers = (1...world.number(2...12)).map { CustomerID(high: 0, low: UInt64($0)) }
        for _ in 0..<commands {
            world.after(.milliseconds(world.number(0...30_000))) {
                let kind: SimCommand.Kind =
                    faults.isEmpty
                    ? .ordinary : world.chance(1) ? .poison : world.chance(1) ? .oversized : .ordinary
                world.send(customers[world.number(0...(customers.count - 1))], kind)
                if world.chance(5) { world.sendAgain() }
            }
        }
        if !faults.isEmpty {
            for _ in 0..<world.number(0...12) {
                let fault = faults[world.number(0...(faults.count - 1))]
                world.after(.milliseconds(world.number(0...35_000))) { fault.strike(world) }
            }
        }
        world.run(until: time)
        SimFault.end(world)
        // Twice the longest of what has to pass by itself: a standing process' session, a marker's interval, each backoff.
        world.run(until: time + .seconds(180)) { isQuiet(world) }
        try check(world)
        return world.steps
    }

    private func isQuiet(_ world: SimWorld) -> Bool {
        world.broker.isDrained && world.database.outbox.isEmpty && world.database.parked.isEmpty
    }

    // MARK: What must hold

    private func check(_ world: SimWorld) throws {
        let database = world.database
        let poison = Set(world.sent.filter { $0.kind == .poison }.map(\.id))
        guard world.broker.limitExceeded.isEmpty else {
            throw breach("healthy commands reached the delivery limit: \(world.broker.limitExceeded.map(\.id))")
        }
        // Each fault costs a delivery or two, however long it lasts.
        guard world.broker.mostDeliveries <= 30 else {
            throw breach("a command came back \(world.broker.mostDeliveries) times")
        }
        guard isQuiet(world) else {
            throw breach(
                "it doesn't come to rest: \(world.broker.queues.map(\.count).prefix(world.broker.partitions)) wait, "
                    + "outbox \(database.outbox.count), parked \(database.parked), undrained \(database.undrained), "
                    + "lanes \(world.lanes.filter(\.isAlive).map(\.machine.report))")
        }
        guard Set(world.broker.deadLetters) == poison else {
            throw breach("put aside \(Set(world.broker.deadLetters)), not \(poison)")
        }
        guard database.doubled.isEmpty else { throw breach("applied twice: \(database.doubled)") }
        for (customer, commands) in Dictionary(grouping: world.sent, by: \.customer) {
            let expected = commands.map(\.id).filter { !poison.contains($0) }
            let applied = database.applied[customer, default: []].map(\.id)
            guard Set(applied) == Set(expected) else {
                throw breach("customer \(customer.low): applied \(applied), not \(expected)")
            }
            guard applied == expected else {
                throw breach("customer \(customer.low): out of order, \(applied) instead of \(expected)")
            }
        }
        try checkEvents(world)
    }

    private func checkEvents(_ world: SimWorld) throws {
        let database = world.database
        let quarantined = Set(database.quarantine.map(\.event))
        let stuck = Set(database.events.filter(\.isOversized).map(\.customer))
        guard Set(quarantined.map(\.customer)) == stuck else {
            throw breach("in quarantine are \(quarantined), not events of \(stuck.map(\.low))")
        }
        let expected = Set(database.events.filter { !quarantined.contains($0) })
        for (name, queue) in [("healthy", world.broker.healthy), ("fragile", world.broker.fragile)] {
            // A command that is sent again gets its outcome again, also one that is in quarantine.
            let taken = Set(queue)
            guard taken.isSuperset(of: expected), taken.subtracting(expected).isSubset(of: quarantined) else {
                throw breach(
                    "the \(name) queue lacks \(expected.subtracting(taken)), has \(taken.subtracting(expected))")
            }
        }
        var seen: Set<SimEvent> = []
        var last: [CustomerID: Int] = [:]
        var copies: [SimEvent: Int] = [:]
        for event in world.broker.healthy {
            copies[event, default: 0] += 1
            guard seen.insert(event).inserted else { continue }
            if stuck.contains(event.customer) { continue }
            guard event.number == last[event.customer, default: 0] + 1 else {
                throw breach("customer \(event.customer.low): event \(event.number) after \(last[event.customer] ?? 0)")
            }
            last[event.customer] = event.number
        }
        if let most = copies.max(by: { $0.value < $1.value }), most.value > 60 {
            throw breach("a healthy queue got \(most.value) copies of one event")
        }
    }

    private func breach(_ what: String) -> SimBreach {
        SimBreach(description: "seed \(seed), \(commands) commands: \(what)")
    }
}

/// What can go wrong in the simulated world.
enum SimFault: CaseIterable {
    case consumerLost, brokerRestart, ringMoves, queueUnavailable, sessionsLost, databaseDown, databaseRefuses
    case databaseSlow, eventsRefused, brokerBlocked, publisherLost, laneKilled, laneFrozen, laneStopped, laneStarted
    case partitionsAdded

    func strike(_ world: SimWorld) {
        world.note("fault: \(self)")
        let broker = world.broker
        let database = world.database
        let lane = world.lanes.randomElement(using: &world.random)
        let duration = Duration.milliseconds(world.number(100...8000))
        switch self {
        case .consumerLost: broker.loseConnections { _ in world.chance(30) }
        case .brokerRestart:
            // Somebody has to see that it was away, and what is unknown can't be told from what is late.
            let isSeen = world.lanes.contains { $0.isAlive && $0.machine.phase == .serving && !$0.machine.isStopping }
            broker.restart(
                turning: isSeen && world.knowsOfMove && world.knowsAllCustomers && world.chance(70))
            world.after(duration) { broker.recover() }
        case .ringMoves:
            // Unnoticed it may move to where no customer was before, or where all that lies elsewhere has been seen.
            guard world.knowsAllCustomers, world.knowsOfMove else { return }
            if world.hasSeenAll {
                broker.forgetTurns()
                broker.turn(by: world.number(1...3))
            } else if let turn = broker.unusedTurn {
                broker.turn(by: turn)
            }
        case .queueUnavailable:
            let partition = world.number(0...(broker.partitions - 1))
            broker.makeUnavailable(partition)
            world.after(duration) {
                if broker.isUp { broker.recover() }
            }
        case .sessionsLost: database.loseSessions()
        case .databaseDown:
            database.isUp = false
            database.loseSessions()
            world.after(duration) { database.isUp = true }
        case .databaseRefuses:
            database.isRefusing = true
            world.after(duration) { database.isRefusing = false }
        case .databaseSlow:
            database.slowLimit = world.number(1...4)
            world.after(duration) { database.slowLimit = .max }
        case .eventsRefused:
            broker.isFull = true
            world.after(duration) { broker.isFull = false }
        case .brokerBlocked:
            broker.blockedReason = "low on memory"
            world.after(duration) { broker.blockedReason = nil }
        case .publisherLost: lane?.isPublisherConnected = false
        case .laneKilled:
            guard world.knowsOfMove else { return }
            lane?.kill()
            world.after(duration) { world.startLane() }
        case .laneFrozen: lane?.freeze(for: world.chance(50) ? duration : duration + .seconds(25))
        case .laneStopped:
            guard world.knowsOfMove else { return }
            lane?.stop()
            world.after(duration) { world.startLane() }
        case .laneStarted: if world.lanes.count < 10 { world.startLane() }
        case .partitionsAdded:
            // As the topology is applied: only once an earlier change is through.
            guard database.undrained.isEmpty, database.parked.isEmpty, world.hasSeenAll, world.knowsOfMove,
                broker.partitions < 32
            else { return }
            let before = broker.partitions
            database.undrained = Set(0..<before)
            broker.grow(by: world.number(1...4))
            database.partitionCount = broker.partitions
        }
    }

    /// Ends all that lasts.
    static func end(_ world: SimWorld) {
        world.note("no more faults")
        world.broker.recover()
        world.database.isUp = true
        world.database.isRefusing = false
        world.database.slowLimit = .max
        if !world.lanes.contains(where: { $0.isAlive && !$0.isFinished }) { world.startLane() }
    }
}

// A lane of the simulated world: its state machine, and a shell that performs actions on the simulated servers.

import OrderStore
import Orders

@testable import OrderWorker

/// A lane of its own worker.
final class SimLane {
    typealias Machine = LaneStateMachine<SimCommand, SimEvent>

    let number: Int
    private unowned let world: SimWorld
    private(set) var machine: Machine
    private(set) var isAlive = true
    /// Whether the process stands still; then what happens meanwhile waits.
    private(set) var isFrozen = false
    private var backlog: [Machine.Event] = []
    private var session: SimDatabase.Session?
    var isPublisherConnected = false
    private var consumers: [Int: SimBroker.Consumer] = [:]
    private var armed: Duration?

    init(_ world: SimWorld, number: Int) {
        self.world = world
        self.number = number
        machine = Machine(
            limits: LaneLimits(partitions: nil, batch: 10, prefetch: SimBroker.prefetch, weight: 40),
            seed: UInt64(world.number(1...1 << 30)))
    }

    func start() { feed(.tick) }

    var isFinished: Bool { machine.phase == .finished }

    // MARK: Events

    func feed(_ event: Machine.Event) {
        guard isAlive else { return }
        if isFrozen {
            backlog.append(event)
            return
        }
        let actions = machine.handle(event, at: world.now)
        for action in actions { perform(action) }
        if let deadline = machine.deadline, armed.map({ deadline < $0 || $0 <= world.now }) ?? true {
            armed = deadline
            world.after(deadline - world.now) { [self] in feed(.tick) }
        }
    }

    func arrived(_ consumer: SimBroker.Consumer, _ items: [(tag: UInt64, entry: SimBroker.Entry)]) {
        feed(
            .arrived(
                consumer: consumer.number,
                items.map { tag, entry in
                    InHand(
                        place: Place(partition: consumer.partition, consumer: consumer.number, tag: tag),
                        customer: entry.command.id < 0 ? nil : entry.command.customer,
                        weight: 1 + entry.command.number % 5, bytes: 100,
                        deliveryCount: entry.count, command: entry.command, isMarker: entry.command.id < 0)
                }))
    }

    // MARK: Faults

    func kill() {
        world.note("lane \(number) is killed")
        isAlive = false
        disconnect()
    }

    private func disconnect() {
        for consumer in consumers.values { world.broker.close(consumer) }
        consumers = [:]
        if let session { world.database.close(session) }
        session = nil
        isPublisherConnected = false
    }

    func freeze(for duration: Duration) {
        guard isAlive, !isFrozen else { return }
        world.note("lane \(number) stands still")
        isFrozen = true
        // The server ends a session that says nothing, the broker a connection without heartbeats.
        let session = session
        world.after(.seconds(20)) { [self] in
            if isFrozen, let session { world.database.close(session) }
        }
        let frozen = consumers.values
        world.after(.seconds(30)) { [self] in
            guard isFrozen else { return }
            for consumer in frozen {
                world.broker.close(consumer)
                feed(.consumerEnded(consumer.number, reason: "no heartbeat", connectionIsLost: true))
            }
        }
        world.after(duration) { [self] in
            isFrozen = false
            let waiting = backlog
            backlog = []
            for event in waiting { feed(event) }
            feed(.tick)
        }
    }

    func stop() { feed(.stop) }

    // MARK: Performing

    private func perform(_ action: Machine.Action) {
        let world = world
        switch action {
        case .connect:
            world.about(10) { [self] in
                guard isAlive else { return }
                let rankKey = Int32(number + 1)
                if world.broker.isUp, let session = world.database.open(rankKey: rankKey) {
                    self.session = session
                    isPublisherConnected = true
                    feed(.connected(rankKey: rankKey))
                } else {
                    feed(.connectFailed("no server"))
                }
            }
        case .connectPublisher:
            world.about(5) { [self] in
                isPublisherConnected = world.broker.isUp && isAlive
                feed(isPublisherConnected ? .publisherConnected : .publisherFailed("no broker"))
            }
        case .close:
            world.about(3) { [self] in
                disconnect()
                feed(.closed)
            }
        case .consume(let partition, let number, let prefetch):
            let consumer = SimBroker.Consumer(number: number, partition: partition, prefetch: prefetch, lane: self)
            world.about(5) { [self] in
                guard isAlive, session != nil, world.broker.open(consumer) else {
                    return feed(.consumerEnded(number, reason: "no queue"))
                }
                guard isPublisherConnected else {
                    world.broker.close(consumer)
                    feed(.publisherLost("the connection is lost"))
                    return feed(.consumerEnded(number, reason: "the broker was away meanwhile"))
                }
                consumers[number] = consumer
                feed(.consumerOpened(number))
            }
        case .receive(let number):
            guard let consumer = consumers[number] else { return }
            consumer.wantsMore = true
            world.broker.handOver(consumer)
        case .acknowledge(let number, let acknowledgements):
            if let consumer = consumers[number] { world.broker.acknowledge(consumer, acknowledgements) }
        case .reject(let place):
            guard let consumer = consumers[place.consumer],
                let entry = consumer.unacknowledged.first(where: { $0.tag == place.tag })?.entry
            else { return }
            world.broker.putAside(entry.command.id)
            world.broker.acknowledge(consumer, [.one(place.tag)])
        case .endConsumer(let number):
            world.about(3) { [self] in
                if let consumer = consumers.removeValue(forKey: number) { world.broker.close(consumer) }
                feed(.consumerEnded(number, reason: "ended"))
            }
        case .send(let markers): world.about(2) { for marker in markers { world.broker.publish(marker) } }
        case .publish(let messages): publish(messages)
        case .note(let note): world.note("lane \(number): \(note)")
        case .finish: disconnect()
        default: work(on: action)
        }
    }

    /// A job of the database's: it takes effect when it reaches the server, and is answered later, if the session lives.
    private func work(on action: Machine.Action) {
        let session = session
        world.about(2) { [self] in
            guard let session, session.isOpen else { return feed(.databaseLost("the session is gone")) }
            let answer = answer(to: action, session)
            world.about(1) { [self] in
                feed(session.isOpen ? answer : .databaseLost("the session is gone, and what came of it unknown"))
            }
        }
    }

    private func answer(to action: Machine.Action, _ session: SimDatabase.Session) -> Machine.Event {
        let database = world.database
        switch action {
        case .look:
            if !isPublisherConnected { feed(.publisherLost("the connection is lost")) }
            feed(.blocked(world.broker.blockedReason))
            return .looked(database.view(session))
        case .take(let partitions): return .took(database.take(partitions, session))
        case .release(let partitions):
            session.locks.subtract(partitions)
            return .released
        case .readLeftover(let partition):
            let (messages, quarantined) = database.leftover(of: partition)
            return .leftover(messages, quarantined: quarantined)
        case .clear(let positions):
            if database.isRefusing { return .jobFailed("refused") }
            database.remove(positions)
            return .cleared
        case .quarantine(let messages, _):
            if database.isRefusing { return .jobFailed("refused") }
            database.moveToQuarantine(messages)
            return .quarantined
        case .checkQuarantine: return .releasedFromQuarantine([], quarantined: database.quarantinedCustomers)
        case .readParked(let partitions):
            let (ready, customers, barrier) = database.parked(in: partitions)
            return .parked(
                ready.map { row in
                    InHand(
                        place: Place(partition: row.partition, consumer: Place.parking, tag: row.position),
                        customer: row.command.customer, weight: 1, bytes: 100, deliveryCount: 0, command: row.command,
                        orderedAt: row.orderedAt)
                }, customers: customers, barrier)
        case .fence(let since):
            database.fence(since: world.timestamp(since - .seconds(1)), now: world.time)
            return .fenced
        case .apply(let items, let clearing): return apply(items, clearing)
        default: return .jobFailed("no job")
        }
    }

    private func apply(_ items: [InHand<SimCommand>], _ clearing: [OutboxPosition]) -> Machine.Event {
        let database = world.database
        if database.isRefusing { return .refused(.unavailable, reason: "refused", deadLetter: []) }
        if items.count > database.slowLimit { return .refused(.timeout, reason: "too slow", deadLetter: []) }
        if items.contains(where: { $0.command.kind == .poison }) {
            let culprit = items[0]
            let letter = SimEvent(
                command: culprit.command.id, customer: culprit.command.customer, number: 0, isDeadLetter: true)
            let outgoing = Outgoing<SimEvent>(
                cause: culprit.place, customer: culprit.command.customer, partition: culprit.place.partition,
                source: .deadLetter, message: letter)
            return .refused(.content, reason: "bad data", deadLetter: items.count == 1 ? [outgoing] : [])
        }
        let (outcomes, messages) = database.apply(items, clearing: clearing, now: world.time)
        world.note(
            "lane \(number) applies "
                + zip(items, outcomes).map { "\($0.command.id)@\($0.place.partition) \($1)" }.joined(separator: ", "))
        return .applied(outcomes, messages)
    }

    private func publish(_ messages: [Outgoing<SimEvent>]) {
        let world = world
        world.about(2) { [self] in
            guard isAlive, isPublisherConnected, world.broker.isUp else {
                return feed(.published([], .lost("the connection is lost")))
            }
            if world.broker.blockedReason != nil {
                isPublisherConnected = false
                return feed(.published([], .lost("blocked", brokerIsGone: false)))
            }
            var results: [PublishResult] = []
            for message in messages {
                if message.message.isOversized {
                    isPublisherConnected = false
                    // What came before in the channel was taken, but is not known to be.
                    return feed(.published([], .unpublishable("too large", connectionIsLost: true)))
                }
                results.append(world.broker.take(message.message) ? .confirmed : .refused("full"))
            }
            world.about(1) { [self] in
                feed(.published(isPublisherConnected ? results : [], isPublisherConnected ? nil : .lost("lost")))
            }
        }
    }
}

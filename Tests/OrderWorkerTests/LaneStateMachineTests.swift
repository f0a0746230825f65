// What fails, and what that stops: each row of the table, decided without a broker or a database.

import Orders
import Testing

@testable import OrderStore
@testable import OrderWorker

/// A lane's state machine, told what a test says.
private struct Subject {
    typealias Machine = LaneStateMachine<String, String>

    var machine: Machine
    var now = Duration.zero
    var last: [Machine.Action] = []
    private var position: Int64 = 0
    private var tags: [Int: UInt64] = [:]

    init(batch: Int = 10, prefetch: Int = 10) {
        machine = Machine(limits: LaneLimits(partitions: nil, batch: batch, prefetch: prefetch), seed: 1)
    }

    @discardableResult
    mutating func tell(_ event: Machine.Event, after delay: Duration = .zero) -> [Machine.Action] {
        now += delay
        last = machine.handle(event, at: now)
        return last
    }

    /// Lets it connect and consume partitions 0 and 1.
    mutating func serve() {
        tell(.tick)
        tell(.connected(rankKey: 1))
        look()
        tell(.took([0, 1]))
        answerIdleJobs()
        for partition in [0, 1] { open(partition) }
    }

    /// Answers what finds nothing.
    mutating func answerIdleJobs() {
        while true {
            var answer: Machine.Event?
            for action in last {
                switch action {
                case .readParked:
                    answer = .parked([], customers: 0, BarrierProgress(number: 0, behind: [], isNew: false))
                case .fence: answer = .fenced
                case .readLeftover: answer = .leftover([], quarantined: [])
                case .clear: answer = .cleared
                default: break
                }
            }
            guard let answer else { return }
            tell(answer)
        }
    }

    mutating func look(undrained: Set<Int> = []) {
        let owned = Set(machine.partitions.keys)
        tell(
            .looked(
                LaneView(
                    ownership: OwnershipView(lanes: [1], owned: owned, ownedHere: owned), partitions: 2,
                    undrained: undrained)))
    }

    mutating func open(_ partition: Int) {
        if case .opening(let consumer)? = machine.partitions[partition]?.state { tell(.consumerOpened(consumer)) }
    }

    func consumer(_ partition: Int) -> Int { machine.partitions[partition]?.consumer ?? -1 }

    /// A delivery of a partition.
    mutating func item(
        _ command: String, _ partition: Int = 0, customer: UInt64 = 1, count: Int = 0, weight: Int = 1,
        isMarker: Bool = false
    ) -> InHand<String> {
        tags[consumer(partition), default: 0] += 1
        return InHand(
            place: Place(
                partition: partition, consumer: consumer(partition), tag: tags[consumer(partition)] ?? 0),
            customer: CustomerID(high: 0, low: customer), weight: weight, bytes: 100, deliveryCount: count,
            command: command, isMarker: isMarker)
    }

    mutating func arrive(_ items: [InHand<String>], _ partition: Int = 0) {
        tell(.arrived(consumer: consumer(partition), items))
    }

    /// The batch that is to be applied.
    var applied: [InHand<String>]? {
        last.lazy.compactMap { if case .apply(let items, _) = $0 { items } else { nil } }.first
    }

    var publishedNow: [String]? {
        last.lazy.compactMap { if case .publish(let messages) = $0 { messages.map(\.message) } else { nil } }.first
    }

    /// An event of the outbox that a delivery causes.
    mutating func event(_ message: String, of item: InHand<String>) -> Outgoing<String> {
        position += 1
        return Outgoing(
            cause: item.place, customer: item.customer ?? CustomerID(high: 0, low: 0), partition: item.place.partition,
            source: .outbox(OutboxPosition(partition: item.place.partition, position: position)), message: message)
    }

    /// Commits the batch with an event for each command.
    mutating func commit(_ items: [InHand<String>]) {
        let events = items.map { event("event of \($0.command)", of: $0) }
        tell(.applied(items.map { _ in .applied }, events))
    }

    var acknowledged: [Acknowledgement] {
        last.flatMap { action -> [Acknowledgement] in if case .acknowledge(_, let tags) = action { tags } else { [] } }
    }

    var endsConsumers: Bool { last.contains { if case .endConsumer = $0 { true } else { false } } }
    var closes: Bool { last.contains { if case .close = $0 { true } else { false } } }
}

@Suite struct LaneStateMachineTests {
    @Test("A delivery is applied, its event published, then it is acknowledged")
    func life() {
        var lane = Subject()
        lane.serve()
        let item = lane.item("a")
        lane.arrive([item])
        #expect(lane.applied?.map(\.command) == ["a"])
        lane.commit([item])
        #expect(lane.publishedNow == ["event of a"])
        #expect(lane.acknowledged.isEmpty)
        lane.tell(.published([.confirmed], nil))
        #expect(lane.acknowledged == [.through(1)])
    }

    @Test("A missing queue stops its partition alone, which is tried again with a backoff of its own")
    func missingQueue() {
        var lane = Subject()
        lane.serve()
        lane.tell(.consumerEnded(lane.consumer(0), reason: "no queue"))
        #expect(!lane.closes && !lane.endsConsumers)
        #expect(lane.machine.report.partitions.map(\.state) == [.waiting, .consumed])
        #expect(lane.machine.report.partitions[0].reason == "no queue")
        #expect(lane.machine.report.state == .serving)
        // The other one goes on.
        let item = lane.item("b", 1)
        lane.arrive([item], 1)
        #expect(lane.applied?.map(\.command) == ["b"])
        // The delays grow for as long as nothing of it is acknowledged.
        var ceilings: [Duration] = []
        for _ in 0..<12 {
            let next = lane.machine.partitions[0]?.retryAt ?? .zero
            lane.tell(.tick, after: max(.zero, next - lane.now))
            lane.tell(.consumerEnded(lane.consumer(0), reason: "no queue"))
            ceilings.append((lane.machine.partitions[0]?.retryAt ?? .zero) - lane.now)
        }
        #expect(ceilings.max() ?? .zero > .seconds(1))
        #expect(ceilings.allSatisfy { $0 <= .seconds(8) })
    }

    @Test("A refused event pauses taking, gives nothing back, and only it is sent again")
    func refusedEvent() {
        var lane = Subject()
        lane.serve()
        let items = [lane.item("a"), lane.item("b", customer: 2)]
        lane.arrive(items)
        lane.commit(items)
        lane.tell(.published([.refused("full"), .confirmed], nil))
        #expect(lane.acknowledged == [.one(2)])
        #expect(lane.machine.report.state == .paused)
        #expect(lane.machine.report.troubles.map(\.reason) == ["full"])
        lane.arrive([lane.item("c")])
        #expect(lane.applied == nil && !lane.endsConsumers && !lane.closes)
        lane.tell(.tick, after: .seconds(6))
        #expect(lane.publishedNow == ["event of a"])
        lane.tell(.published([.confirmed], nil))
        #expect(lane.acknowledged == [.through(1)])
        #expect(lane.machine.report.state == .serving)
        lane.look()
        #expect(lane.applied?.map(\.command) == ["c"])
    }

    @Test("While the broker blocks publishers nothing new is taken, and nothing is given back")
    func blocked() {
        var lane = Subject()
        lane.serve()
        lane.tell(.blocked("low on memory"))
        lane.arrive([lane.item("a")])
        #expect(lane.applied == nil && !lane.closes)
        #expect(lane.machine.report.state == .paused)
        lane.tell(.blocked(nil))
        #expect(lane.applied?.map(\.command) == ["a"])
    }

    @Test("An event that the broker will never take goes into quarantine with its customer's later ones; others go on")
    func quarantine() {
        var lane = Subject()
        lane.serve()
        let items = [lane.item("a"), lane.item("b", customer: 2), lane.item("c")]
        lane.arrive(items)
        lane.commit(items)
        lane.tell(.published([], .unpublishable("too large", connectionIsLost: true)))
        lane.tell(.publisherConnected)
        // One by one, the culprit shows itself.
        #expect(lane.publishedNow == ["event of a"])
        lane.tell(.published([], .unpublishable("too large", connectionIsLost: true)))
        let moved = lane.last.compactMap { action -> [String]? in
            if case .quarantine(let messages, _) = action { messages.map(\.message) } else { nil }
        }
        #expect(moved == [["event of a"]])
        lane.tell(.quarantined)
        #expect(lane.machine.report.quarantinedCustomers == 1)
        lane.tell(.publisherConnected)
        #expect(lane.publishedNow == ["event of b"])
        lane.tell(.quarantined)
        lane.tell(.published([.confirmed], nil))
        #expect(lane.machine.inFlight.isEmpty)
    }

    @Test(
        "What the database refuses for what is in it is tried one by one, and only the culprit is dead-lettered")
    func badContent() {
        var lane = Subject()
        lane.serve()
        let items = [lane.item("a"), lane.item("bad", customer: 2)]
        lane.arrive(items)
        lane.tell(.refused(.content, reason: "22003", deadLetter: []))
        #expect(lane.applied?.map(\.command) == ["a"])
        lane.commit([items[0]])
        #expect(lane.applied?.map(\.command) == ["bad"])
        let letter = Outgoing<String>(
            cause: items[1].place, customer: CustomerID(high: 0, low: 2), partition: 0, source: .deadLetter,
            message: "dead letter")
        lane.tell(.published([.confirmed], nil))
        lane.tell(.refused(.content, reason: "22003", deadLetter: [letter]))
        // Once more: another transaction may have been in the way.
        #expect(lane.applied?.map(\.command) == ["bad"])
        lane.tell(.refused(.content, reason: "22003", deadLetter: [letter]))
        #expect(lane.publishedNow == ["dead letter"])
        lane.tell(.published([.confirmed], nil))
        #expect(lane.acknowledged == [.through(2)])
    }

    @Test("Any other refusal of the database is kept: unready, and probed with one command")
    func unavailable() {
        var lane = Subject()
        lane.serve()
        let items = [lane.item("a"), lane.item("b"), lane.item("c")]
        lane.arrive(items)
        #expect(lane.applied?.count == 3)
        lane.tell(.refused(.unavailable, reason: "42501", deadLetter: []))
        #expect(lane.machine.report.state == .paused && !lane.closes && !lane.endsConsumers)
        for _ in 0..<20 {
            lane.tell(.tick, after: .seconds(6))
            lane.look()
            #expect(lane.applied?.map(\.command) == ["a"])
            lane.tell(.refused(.unavailable, reason: "42501", deadLetter: []))
        }
        lane.tell(.tick, after: .seconds(6))
        lane.look()
        lane.commit([items[0]])
        #expect(lane.machine.report.state == .serving)
        #expect(lane.applied?.map(\.command) == ["b", "c"])
    }

    @Test(
        "A batch that runs into the statement timeout is halved; one command alone that does it three times is put aside"
    )
    func slowBatch() {
        var lane = Subject()
        lane.serve()
        let items = (0..<4).map { lane.item("\($0)", customer: UInt64($0)) }
        lane.arrive(items)
        lane.tell(.refused(.timeout, reason: "57014", deadLetter: []))
        #expect(lane.applied?.map(\.command) == ["0", "1"])
        lane.tell(.refused(.timeout, reason: "57014", deadLetter: []))
        let letter = Outgoing<String>(
            cause: items[0].place, customer: CustomerID(high: 0, low: 0), partition: 0, source: .deadLetter,
            message: "dead letter")
        for _ in 0..<3 {
            #expect(lane.applied?.map(\.command) == ["0"])
            lane.tell(.refused(.timeout, reason: "57014", deadLetter: [letter]))
        }
        #expect(lane.publishedNow == ["dead letter"])
    }

    @Test("What was delivered five times or more is applied alone")
    func suspicious() {
        var lane = Subject()
        lane.serve()
        let items = [lane.item("killer", count: 5), lane.item("b", count: 1), lane.item("c", count: 0)]
        lane.arrive(items)
        #expect(lane.applied?.map(\.command) == ["killer"])
        lane.commit([items[0]])
        #expect(lane.applied?.map(\.command) == ["b", "c"])
    }

    @Test("What came back is put into the order of the queue, once all of it is there")
    func gathering() {
        var lane = Subject()
        lane.serve()
        lane.arrive([lane.item("third", count: 1), lane.item("fourth", count: 1)])
        #expect(lane.applied == nil)
        lane.tell(.arrived(consumer: lane.consumer(0), [lane.item("first", count: 2), lane.item("second", count: 2)]))
        #expect(lane.applied == nil)
        lane.tell(.tick, after: .milliseconds(300))
        #expect(lane.applied?.map(\.command) == ["first", "second", "third", "fourth"])
    }

    @Test("A new delivery shows that nothing is left of what came back")
    func gatheredAll() {
        var lane = Subject()
        lane.serve()
        lane.arrive([lane.item("second", count: 1), lane.item("first", count: 3), lane.item("third", count: 0)])
        #expect(lane.applied?.map(\.command) == ["first", "second", "third"])
    }

    @Test("A batch is bounded by what it becomes, and what is too heavy for one goes alone")
    func weight() {
        var lane = Subject()
        lane.serve()
        let items = [lane.item("a", weight: 1500), lane.item("b", weight: 600), lane.item("c", weight: 5000)]
        lane.arrive(items)
        #expect(lane.applied?.map(\.command) == ["a"])
        lane.commit([items[0]])
        #expect(lane.applied?.map(\.command) == ["b"])
        lane.tell(.published([.confirmed], nil))
        lane.commit([items[1]])
        #expect(lane.applied?.map(\.command) == ["c"])
    }

    @Test(
        "The loss of the database session gives everything back once, and the lane connects again with a growing delay")
    func sessionLost() {
        var lane = Subject()
        lane.serve()
        lane.arrive([lane.item("a")])
        lane.tell(.databaseLost("gone"))
        #expect(lane.closes && lane.machine.partitions.isEmpty && lane.machine.pending.isEmpty)
        lane.tell(.closed)
        #expect(lane.machine.report.state == .connecting)
        #expect(lane.machine.report.troubles.map(\.reason) == ["gone"])
        var longest = Duration.zero
        for _ in 0..<12 {
            guard case .disconnected(let until) = lane.machine.phase else { break }
            longest = max(longest, until - lane.now)
            lane.tell(.tick, after: until - lane.now)
            lane.tell(.connectFailed("no server"))
        }
        #expect(longest > .seconds(2) && longest <= .seconds(10))
    }

    @Test("A partition is handed over once what is in hand is acknowledged and gone from the outbox")
    func handOver() {
        var lane = Subject()
        lane.serve()
        let item = lane.item("a")
        lane.arrive([item])
        lane.commit([item])
        lane.tell(.tick, after: .milliseconds(500))
        let owned: Set<Int> = [0, 1]
        lane.tell(
            .looked(
                LaneView(
                    ownership: OwnershipView(lanes: [1, 2], owned: owned, ownedHere: owned), partitions: 2)))
        #expect(!lane.endsConsumers || lane.machine.partitions[0]?.inFlight != 0)
        lane.tell(.published([.confirmed], nil))
        for number in [0, 1] where lane.machine.partitions[number]?.isHandedOver == true {
            lane.tell(.consumerEnded(lane.consumer(number), reason: "ended"))
        }
        if lane.last.contains(where: { if case .clear = $0 { true } else { false } }) { lane.tell(.cleared) }
        let released = lane.last.contains { if case .release(let partitions) = $0 { partitions == [1] } else { false } }
        #expect(released)
    }

    @Test("A lane that is told another number of partitions than there are takes no share")
    func misfit() {
        var machine = LaneStateMachine<String, String>(limits: LaneLimits(partitions: 4, batch: 10), seed: 1)
        _ = machine.handle(.tick, at: .zero)
        _ = machine.handle(.connected(rankKey: 1), at: .zero)
        let view = OwnershipView(lanes: [1], owned: [], ownedHere: [])
        let actions = machine.handle(.looked(LaneView(ownership: view, partitions: 8)), at: .zero)
        #expect(actions.contains { if case .close = $0 { true } else { false } })
        #expect(machine.report.troubles.first?.reason.contains("8 partitions") == true)
    }

    @Test("A barrier is out only once all earlier events are published")
    func markersWait() {
        var lane = Subject()
        lane.serve()
        let items = [lane.item("a"), lane.item("marker", isMarker: true)]
        lane.arrive(items)
        #expect(lane.applied?.map(\.command) == ["a"])
        lane.commit([items[0]])
        #expect(lane.applied == nil)
        lane.tell(.published([.confirmed], nil))
        #expect(lane.applied?.map(\.command) == ["marker"])
    }
}

@Suite struct AcknowledgementLedgerTests {
    @Test("What is settled from the front is acknowledged at once, the rest one by one")
    func ledger() {
        var ledger = AcknowledgementLedger()
        ledger.note([1, 2, 3, 4, 5])
        for tag in [2, 1, 4] as [UInt64] { ledger.settle(tag) }
        #expect(ledger.take() == [.through(2), .one(4)])
        ledger.forget(3)
        ledger.settle(5)
        #expect(ledger.take() == [.through(5)])
        #expect(ledger.isEmpty)
    }
}

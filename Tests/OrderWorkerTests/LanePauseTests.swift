// What a lane does with a partition that an operator has paused.

import Orders
import Testing

@testable import OrderStore
@testable import OrderWorker

@Suite("A paused partition")
struct LanePauseTests {
    typealias Machine = LaneStateMachine<String, String>

    private var machine = Machine(limits: LaneLimits(partitions: nil, batch: 10, prefetch: 10), seed: 1)
    private var now = Duration.zero

    private mutating func tell(_ event: Machine.Event) -> [Machine.Action] {
        now += .milliseconds(1)
        return machine.handle(event, at: now)
    }

    /// Looks around, as the machine does every half second, and answers whatever finds nothing.
    private mutating func look(paused: Set<Int> = []) -> [Machine.Action] {
        now += .seconds(1)
        return answer(tell(.tick), paused: paused)
    }

    /// - Returns: these actions and those that followed from the answers.
    private mutating func answer(_ actions: [Machine.Action], paused: Set<Int> = []) -> [Machine.Action] {
        var all = actions
        var next = 0
        while next < all.count {
            let action = all[next]
            next += 1
            switch action {
            case .look:
                let owned = Set(machine.partitions.keys)
                all += tell(
                    .looked(
                        LaneView(
                            ownership: OwnershipView(lanes: [1], owned: owned, ownedHere: owned), partitions: 2,
                            paused: paused)))
            case .take(let partitions): all += tell(.took(partitions))
            case .readLeftover: all += tell(.leftover([], quarantined: []))
            case .readParked:
                all += tell(.parked([], customers: 0, BarrierProgress(number: 0, behind: [], isNew: false)))
            case .fence: all += tell(.fenced)
            case .consume(_, let consumer, _): all += tell(.consumerOpened(consumer))
            default: break
            }
        }
        return all
    }

    private func item(_ partition: Int, tag: UInt64) -> InHand<String> {
        InHand(
            place: Place(partition: partition, consumer: machine.partitions[partition]?.consumer ?? -1, tag: tag),
            customer: CustomerID(high: 0, low: UInt64(partition)), weight: 1, bytes: 1, deliveryCount: 0, command: "c")
    }

    private func batch(_ actions: [Machine.Action]) -> [InHand<String>] {
        actions.lazy.compactMap { if case .apply(let items, _) = $0 { items } else { nil } }.first ?? []
    }

    private func state(_ partition: Int) -> PartitionStatus.State? {
        machine.report.partitions.first { $0.number == partition }?.state
    }

    private mutating func serve() {
        _ = tell(.tick)
        _ = answer(tell(.connected(rankKey: 1)))
        for _ in 0..<4 { _ = look() }
        #expect(state(0) == .consumed && state(1) == .consumed)
    }

    @Test("It gives back what is in no batch, finishes what is, and stays owned; others go on")
    mutating func pause() throws {
        serve()
        let consumer = try #require(machine.partitions[0]?.consumer)
        let applying = batch(tell(.arrived(consumer: consumer, [item(0, tag: 1)])))
        #expect(applying.count == 1)
        _ = tell(.arrived(consumer: consumer, [item(0, tag: 2)]))
        // The batch is still under way; the pause is seen with the next look.
        machine.paused = [0]
        let other = try #require(machine.partitions[1]?.consumer)
        _ = tell(.arrived(consumer: other, [item(1, tag: 1)]))
        let next = tell(.applied([.applied], []))
        #expect(batch(next).map(\.place.partition) == [1])
        #expect(next.contains { if case .acknowledge(consumer, [.through(1)]) = $0 { true } else { false } })
        #expect(next.contains { if case .endConsumer(consumer) = $0 { true } else { false } })
        _ = tell(.applied([.applied], []))
        _ = tell(.consumerEnded(consumer, reason: "it was ended"))
        #expect(state(0) == .paused && state(1) == .consumed)
        let actions = look(paused: [0])
        #expect(!actions.contains { if case .consume = $0 { true } else { false } })
        #expect(machine.partitions.keys.sorted() == [0, 1])
        #expect(machine.bytesInHand == 0)
    }

    @Test("Resumed, it is consumed again")
    mutating func resume() throws {
        serve()
        let consumer = try #require(machine.partitions[0]?.consumer)
        #expect(look(paused: [0]).contains { if case .endConsumer(consumer) = $0 { true } else { false } })
        _ = tell(.consumerEnded(consumer, reason: "it was ended"))
        #expect(state(0) == .paused)
        _ = look()
        _ = look()
        #expect(state(0) == .consumed)
        #expect(machine.partitions[0]?.consumer != consumer)
    }

    @Test("Paused before it is consumed, it never is; and it can be handed over")
    mutating func handOver() throws {
        _ = tell(.tick)
        _ = answer(tell(.connected(rankKey: 1)), paused: [0, 1])
        for _ in 0..<4 { _ = look(paused: [0, 1]) }
        #expect(state(0) == .paused && state(1) == .paused)
        let actions = tell(.stop)
        #expect(actions.contains { if case .release([0, 1]) = $0 { true } else { false } })
    }
}

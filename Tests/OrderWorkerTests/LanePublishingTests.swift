// What a lane's state machine makes of the broker's answers to its events.

import Orders
import Testing

@testable import OrderStore
@testable import OrderWorker

@Suite("Publishing by a lane")
struct LanePublishingTests {
    typealias Machine = LaneStateMachine<Int, String>

    private var machine = Machine(limits: LaneLimits(batch: 10), seed: 1)
    private let tooLarge = PublishFailure.unpublishable("too large", connectionIsLost: true)

    init() {
        _ = machine.handle(.tick, at: .zero)
        _ = machine.handle(.connected(rankKey: 1), at: .zero)
    }

    private func event(_ position: Int64, of customer: UInt64) -> Outgoing<String> {
        Outgoing(
            cause: nil, customer: CustomerID(high: 0, low: customer), partition: 0,
            source: .outbox(OutboxPosition(partition: 0, position: position)), message: "event \(position)")
    }

    /// The messages that are sent because of an event.
    private mutating func sent(_ event: Machine.Event, at seconds: Int) -> [String]? {
        let actions = machine.handle(event, at: .seconds(seconds))
        return actions.lazy.compactMap { if case .publish(let messages) = $0 { messages.map(\.message) } else { nil } }
            .first
    }

    @Test("What is sent at once is bounded by bytes, and one that is larger goes alone")
    mutating func isBoundedByBytes() {
        let sizes = [3 << 20, 1 << 20, 1, 5 << 20, 1]
        let events = sizes.enumerated().map { index, bytes in
            var event = event(Int64(index + 1), of: 1)
            event.bytes = bytes
            return event
        }
        machine.publish(events, at: .zero)
        #expect(sent(.tick, at: 1) == ["event 1", "event 2"])
        #expect(sent(.published([.confirmed, .confirmed], nil), at: 1) == ["event 3"])
        #expect(sent(.published([.confirmed], nil), at: 1) == ["event 4"])
        #expect(sent(.published([.confirmed], nil), at: 1) == ["event 5"])
    }

    @Test("Only what is refused alone, on a channel that was opened for it, goes into quarantine")
    mutating func isTriedOnceMoreOnANewChannel() {
        machine.publish([event(1, of: 1)], at: .zero)
        #expect(sent(.tick, at: 1) == ["event 1"])
        #expect(sent(.published([], tooLarge), at: 1) == nil)
        #expect(machine.quarantine.customers.isEmpty)
        // The broker's limit may have been raised since the first channel was opened.
        #expect(sent(.publisherConnected, at: 1) == ["event 1"])
        #expect(sent(.published([.confirmed], nil), at: 1) == nil)
        #expect(machine.quarantine.customers.isEmpty)
        #expect(machine.publications.isEmpty)
    }

    @Test("An event that is too large takes its customer's later events along, and nobody else's")
    mutating func quarantinesItsCustomerAlone() {
        machine.publish([event(1, of: 1), event(2, of: 2), event(3, of: 1)], at: .zero)
        #expect(sent(.tick, at: 1) == ["event 1", "event 2", "event 3"])
        #expect(sent(.published([], tooLarge), at: 1) == nil)
        #expect(sent(.publisherConnected, at: 1) == ["event 1"])
        #expect(sent(.published([], tooLarge), at: 1) == nil)
        #expect(machine.quarantine.customers == [CustomerID(high: 0, low: 1)])
        #expect(machine.quarantine.moves.map { $0.messages.map(\.message) } == [["event 1"], ["event 3"]])
        #expect(sent(.publisherConnected, at: 1) == ["event 2"])
    }

    @Test("What was released and is refused again goes back with all that was released behind it")
    mutating func releasedTooEarly() {
        let released = (1...3).map { position in
            Outgoing<String>(
                cause: nil, customer: CustomerID(high: 0, low: position == 2 ? 2 : 1), partition: 0,
                source: .quarantine(QuarantinePosition(partition: 0, position: position)), message: "event \(position)")
        }
        machine.releasedFromQuarantine(
            released, [CustomerID(high: 0, low: 1), CustomerID(high: 0, low: 2)], at: .zero)
        #expect(sent(.tick, at: 1) == ["event 1", "event 2", "event 3"])
        #expect(sent(.published([], tooLarge), at: 1) == nil)
        #expect(sent(.publisherConnected, at: 1) == ["event 1"])
        #expect(sent(.published([], tooLarge), at: 1) == nil)
        #expect(machine.quarantine.moves.map { $0.messages.map(\.message) } == [["event 1"], ["event 3"]])
        #expect(sent(.publisherConnected, at: 1) == ["event 2"])
    }

    @Test("What is refused is sent alone with a growing delay, and what was confirmed is not sent again")
    mutating func refusedIsSentAlone() {
        machine.publish([event(1, of: 1), event(2, of: 2), event(3, of: 3)], at: .zero)
        #expect(sent(.tick, at: 1) == ["event 1", "event 2", "event 3"])
        #expect(sent(.published([.confirmed, .refused("full"), .refused("full")], nil), at: 1) == nil)
        #expect(sent(.tick, at: 1) == nil)
        #expect(sent(.tick, at: 10) == ["event 2"])
        #expect(sent(.published([.refused("full")], nil), at: 10) == nil)
        #expect(machine.report.troubles.map(\.reason) == ["full"])
        // The next try is on a new channel.
        #expect(sent(.tick, at: 20) == nil)
        #expect(sent(.publisherConnected, at: 20) == ["event 2"])
        #expect(sent(.published([.confirmed], nil), at: 20) == ["event 3"])
        #expect(sent(.published([.confirmed], nil), at: 20) == nil)
        #expect(machine.report.troubles.isEmpty)
    }
}

// Order per customer through moves between partitions, decided without a database.

import AMQP
import OrderStore
import Orders
import Testing

@testable import OrderWorker

@Suite("Order through moves between partitions") struct PartitionOrderTests {
    private static let customer = CustomerID(high: 0, low: 1)

    private static func time(_ seconds: Int64) -> Timestamp { Timestamp(microseconds: seconds * 1_000_000) }
    private static let now = time(1000)

    private static func backlog(_ first: Int64, _ last: Int64, isFree: Bool = false) -> ParkedBacklog {
        ParkedBacklog(count: 1, first: time(first), last: time(last), isFree: isFree)
    }

    private static func order(
        parked: [Int: ParkedBacklog] = [:], barrier: Int64 = 7, fences: [Fence] = []
    ) -> PartitionOrder {
        PartitionOrder(
            partitions: [customer: 0], count: 8, barrier: barrier, fences: fences,
            parked: Dictionary(
                uniqueKeysWithValues: parked.map { (ParkedWay(customer: customer, partition: $0), $1) }))
    }

    @Test("A command by the partition of the last one is applied")
    func same() {
        var order = Self.order()
        #expect(order.take(Self.customer, by: 0, at: nil, now: Self.now) == nil)
        #expect(order.moves.isEmpty)
    }

    @Test("A command by another partition waits for the next barrier, and those behind it only for their turn")
    func moved() {
        var order = Self.order()
        let first = order.take(Self.customer, by: 1, at: Self.time(900), now: Self.now)
        #expect(first == PartitionOrder.Wait(holder: 0, needs: 8, orderedAt: Self.time(900)))
        // Its time can't put it before what came out of the same queue earlier.
        let second = order.take(Self.customer, by: 1, at: Self.time(800), now: Self.now)
        #expect(second == PartitionOrder.Wait(holder: 1, needs: 0, orderedAt: Self.time(900)))
    }

    @Test(
        "By the last partition only what was published before the parked ones goes on",
        arguments: [(Int64?.none, false), (899, false), (900, false), (901, true)])
    func back(at seconds: Int64?, waits: Bool) {
        var order = Self.order(parked: [1: Self.backlog(900, 950)])
        let wait = order.take(Self.customer, by: 0, at: seconds.map(Self.time), now: Self.now)
        #expect((wait != nil) == waits)
    }

    @Test("Once a barrier is through, what comes out of any queue is later than what is parked, whatever time it has")
    func free() {
        var order = Self.order(parked: [1: Self.backlog(900, 950, isFree: true)])
        #expect(order.take(Self.customer, by: 0, at: nil, now: Self.now)?.holder == 1)
    }

    @Test("Parked commands of several partitions go on by when they were published, with a barrier between partitions")
    func several() {
        var order = Self.order(parked: [
            1: Self.backlog(900, 900, isFree: true), 2: Self.backlog(910, 910, isFree: true),
        ])
        #expect(order.takeParked(Self.customer, by: 2, orderedAt: Self.time(910)) == 1)
        #expect(order.takeParked(Self.customer, by: 1, orderedAt: Self.time(900)) == nil)
        // Another barrier comes first: by then the events of what was just applied are out.
        #expect(order.takeParked(Self.customer, by: 2, orderedAt: Self.time(910)) != nil)
        #expect(order.moves == [CustomerMove(customer: Self.customer, to: 1)])
        #expect(order.partitions[Self.customer] == 1)
    }

    @Test("Parked commands stay until the barrier is through")
    func waiting() {
        var order = Self.order(parked: [1: Self.backlog(900, 900)])
        #expect(order.takeParked(Self.customer, by: 1, orderedAt: Self.time(900)) != nil)
    }

    @Test(
        "Where the broker was away, what was published since waits until what was before is through",
        arguments: [(Int64?.none, Int64?.none), (499, nil), (500, 5), (600, 5), (2000, 5)])
    func fenced(at seconds: Int64?, needs: Int64?) {
        var order = Self.order(fences: [Fence(since: Self.time(500), barrier: 5)])
        #expect(order.take(Self.customer, by: 0, at: seconds.map(Self.time), now: Self.now)?.needs == needs)
    }

    @Test("A barrier travels as a message of the worker's own, and from nobody else it counts")
    func markers() throws {
        let marker = PartitionMarker(partition: 3, .barrier(12))
        let message = marker.message(user: "worker").message
        #expect(PartitionMarker(message, partition: 3, ownUser: "worker") == marker)
        #expect(PartitionMarker(message, partition: 3, ownUser: "another") == nil)
        var order = Self.order()
        order.take(marker)
        order.take(PartitionMarker(partition: 3, .barrier(11)))
        #expect(order.passed == [3: 12])
    }
}

// A world in virtual time: a broker, a database, workers' lanes, publishers, and whatever goes wrong between them.

import OrderStore
import Orders

@testable import OrderWorker

/// One command of the simulated world, or a marker.
struct SimCommand: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case ordinary
        /// The database refuses it for what is in it.
        case poison
        /// The broker never takes its event.
        case oversized
        case barrier(Int64)
        case drained
    }

    /// Counts the world's commands; a command that is sent again has the same.
    let id: Int
    let customer: CustomerID
    /// Counts the customer's commands.
    let number: Int
    /// When the broker took it.
    let publishedAt: Timestamp
    var kind = Kind.ordinary
}

/// An event of the simulated world.
struct SimEvent: Sendable, Hashable {
    let command: Int
    let customer: CustomerID
    /// Counts the customer's events.
    let number: Int
    var isOversized = false
    var isDeadLetter = false
}

/// What went wrong in a run.
struct SimBreach: Error, CustomStringConvertible {
    let description: String
}

/// The things that happen at some time.
private struct Agenda {
    private struct Entry {
        let time: Duration
        let order: Int
        let action: () -> Void
    }

    private var heap: [Entry] = []
    private var count = 0

    mutating func add(at time: Duration, _ action: @escaping () -> Void) {
        count += 1
        heap.append(Entry(time: time, order: count, action: action))
        var child = heap.count - 1
        while child > 0, Self.isBefore(heap[child], heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func next() -> (time: Duration, action: () -> Void)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            var parent = 0
            while true {
                let left = 2 * parent + 1
                guard left < heap.count else { break }
                let right = left + 1
                let least = right < heap.count && Self.isBefore(heap[right], heap[left]) ? right : left
                guard Self.isBefore(heap[least], heap[parent]) else { break }
                heap.swapAt(least, parent)
                parent = least
            }
        }
        return (first.time, first.action)
    }

    private static func isBefore(_ left: Entry, _ right: Entry) -> Bool {
        left.time == right.time ? left.order < right.order : left.time < right.time
    }
}

/// The world. All that is random in it comes from one seed, so that a run repeats exactly.
final class SimWorld {
    var random: SplitMix
    private(set) var now = Duration.zero
    private var agenda = Agenda()
    private(set) var steps = 0
    let broker: SimBroker
    let database: SimDatabase
    var lanes: [SimLane] = []
    private(set) var sent: [SimCommand] = []
    private var numbers: [CustomerID: Int] = [:]
    /// Told what happens, to look at one run.
    var trace: ((String) -> Void)?

    init(seed: UInt64, partitions: Int) {
        random = SplitMix(seed: seed)
        broker = SimBroker(partitions: partitions)
        database = SimDatabase(partitions: partitions)
        broker.world = self
    }

    // MARK: Time and chance

    func after(_ delay: Duration, _ action: @escaping () -> Void) {
        agenda.add(at: now + delay, action)
    }

    /// Takes about this long: half to twice.
    func about(_ milliseconds: Int, _ action: @escaping () -> Void) {
        after(.microseconds(number(500...2000) * milliseconds), action)
    }

    /// The time of day, as broker and database have it.
    var time: Timestamp { timestamp(now) }

    func timestamp(_ now: Duration) -> Timestamp {
        Timestamp(microseconds: 1_790_000_000_000_000).adding(now)
    }

    func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    func chance(_ percent: Int) -> Bool { number(1...100) <= percent }

    /// Lets time pass until `end`, or until `isDone`, which is asked now and then.
    func run(until end: Duration, isDone: () -> Bool = { false }) {
        var asked = now
        while let (time, action) = agenda.next() {
            if time > end {
                agenda.add(at: time, action)
                break
            }
            now = time
            steps += 1
            action()
            if now - asked > .milliseconds(200) {
                asked = now
                if isDone() { return }
            }
        }
        now = max(now, end)
    }

    // MARK: Sending

    func send(_ customer: CustomerID, _ kind: SimCommand.Kind = .ordinary) {
        numbers[customer, default: 0] += 1
        let command = SimCommand(
            id: sent.count, customer: customer, number: numbers[customer] ?? 0, publishedAt: time, kind: kind)
        sent.append(command)
        broker.publish(command)
    }

    /// Sends a command again that was sent before.
    func sendAgain() {
        guard !sent.isEmpty else { return }
        broker.publish(sent[number(0...(sent.count - 1))])
    }

    /// Whether every customer that has sent anything is known, so that its commands can't be taken for an unknown one's.
    var knowsAllCustomers: Bool { sent.allSatisfy { database.applied[$0.customer] != nil } }

    /// Whether commands lie nowhere but in their customer's last partition, or parked: then the ring may move to wherever.
    var hasSeenAll: Bool {
        (0..<broker.partitions).allSatisfy { partition in
            broker.waiting(in: partition).allSatisfy { database.partition(of: $0.customer) == partition }
        }
    }

    /// Whether the lanes know that the broker was away when its ring moved. A lane that only begins then wouldn't.
    var knowsOfMove: Bool { broker.movedAt.map(database.knowsOfAbsence) ?? true }

    func startLane() {
        guard knowsOfMove else { return after(.seconds(1)) { self.startLane() } }
        let lane = SimLane(self, number: lanes.count)
        lanes.append(lane)
        lane.start()
    }

    func note(_ text: @autoclosure () -> String) {
        if let trace { trace("\(now) \(text())") }
    }
}

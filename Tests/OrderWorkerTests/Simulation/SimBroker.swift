// The simulated broker: partitions' quorum queues with one active consumer each, confirms, and two queues of events.

import Orders

@testable import OrderWorker

/// A broker that behaves as RabbitMQ does where it matters to a lane.
final class SimBroker {
    struct Entry {
        let command: SimCommand
        var count = 0
    }

    /// A consumer of a partition's queue, on a connection of its own.
    final class Consumer {
        let number: Int
        let partition: Int
        let prefetch: Int
        let lane: SimLane
        var unacknowledged: [(tag: UInt64, entry: Entry)] = []
        /// Delivered, and not yet handed over to the lane.
        var buffer: [(tag: UInt64, entry: Entry)] = []
        var lastTag: UInt64 = 0
        var wantsMore = false
        var isOpen = true

        init(number: Int, partition: Int, prefetch: Int, lane: SimLane) {
            self.number = number
            self.partition = partition
            self.prefetch = prefetch
            self.lane = lane
        }
    }

    /// More deliveries than this put a message aside.
    static let deliveryLimit = 100
    static let prefetch = 16

    weak var world: SimWorld?
    private(set) var partitions: Int
    /// Moves customers to other partitions, as a ring does that doesn't stand still.
    private(set) var turn = 0
    private var turns: Set<Int> = [0]
    /// When the ring moved while the broker was away.
    private(set) var movedAt: Timestamp?
    var isUp = true
    var unavailable: Set<Int> = []
    var blockedReason: String?
    /// Whether the second queue of events takes no more.
    var isFull = false
    private(set) var queues: [[Entry]]
    /// What came back: delivered before all else, but in the order in which it came back.
    private(set) var returns: [[Entry]]
    private var consumers: [[Consumer]]
    private var isDelivering: Set<Int> = []
    private(set) var delivered = 0
    /// How often some command came back.
    private(set) var mostDeliveries = 0
    /// What each of the two queues of events has taken.
    private(set) var healthy: [SimEvent] = []
    private(set) var fragile: [SimEvent] = []
    /// Put aside by the worker, and by the broker because of too many deliveries.
    private(set) var deadLetters: [Int] = []
    private(set) var limitExceeded: [SimCommand] = []

    init(partitions: Int) {
        self.partitions = partitions
        queues = Array(repeating: [], count: 64)
        returns = Array(repeating: [], count: 64)
        consumers = Array(repeating: [], count: 64)
    }

    var isDrained: Bool {
        queues.allSatisfy(\.isEmpty) && returns.allSatisfy(\.isEmpty)
            && consumers.allSatisfy { $0.allSatisfy { $0.unacknowledged.isEmpty } }
    }

    // MARK: Commands

    /// Jump consistent hash (Lamping and Veach, 2014), as the broker's: where partitions are added, customers move to new
    /// ones only.
    func partition(of customer: CustomerID) -> Int {
        var key = customer.low &* 0x9e37_79b9_7f4a_7c15
        var (bucket, next) = (-1, 0)
        while next < partitions {
            bucket = next
            key = key &* 2_862_933_555_777_941_757 &+ 1
            next = Int(Double(bucket + 1) * (Double(1 << 31) / Double((key >> 33) + 1)))
        }
        return (bucket + turn) % partitions
    }

    func publish(_ command: SimCommand) {
        let partition = partition(of: command.customer)
        queues[partition].append(Entry(command: command))
        deliver(partition)
    }

    func publish(_ marker: PartitionMarker) {
        let partition = marker.partition
        guard isUp, !unavailable.contains(partition) else { return }
        let kind: SimCommand.Kind
        switch marker.purpose {
        case .barrier(let number): kind = .barrier(number)
        case .drained: kind = .drained
        }
        let marker = SimCommand(
            id: -1, customer: CustomerID(high: 0, low: 0), number: 0, publishedAt: Timestamp(microseconds: 0),
            kind: kind)
        queues[partition].append(Entry(command: marker))
        deliver(partition)
    }

    // MARK: Consumers

    func open(_ consumer: Consumer) -> Bool {
        guard isUp, !unavailable.contains(consumer.partition) else { return false }
        consumers[consumer.partition].append(consumer)
        deliver(consumer.partition)
        return true
    }

    /// What isn't acknowledged goes back to where it was, in order.
    func close(_ consumer: Consumer) {
        guard consumer.isOpen else { return }
        consumer.isOpen = false
        consumers[consumer.partition].removeAll { $0 === consumer }
        for var entry in consumer.unacknowledged.map(\.entry) {
            entry.count += 1
            mostDeliveries = max(mostDeliveries, entry.count)
            if entry.count > Self.deliveryLimit {
                if entry.command.id >= 0 { limitExceeded.append(entry.command) }
            } else {
                returns[consumer.partition].append(entry)
            }
        }
        consumer.unacknowledged = []
        consumer.buffer = []
        deliver(consumer.partition)
    }

    /// Single active consumer: the first one gets all.
    private func deliver(_ partition: Int) {
        guard isUp, !unavailable.contains(partition), let consumer = consumers[partition].first else { return }
        // A few at a time: a consumer can end before it has all that came back.
        for _ in 0..<4 {
            guard consumer.unacknowledged.count < consumer.prefetch else { break }
            let entry: Entry
            if !returns[partition].isEmpty {
                entry = returns[partition].removeFirst()
            } else if !queues[partition].isEmpty {
                entry = queues[partition].removeFirst()
            } else {
                break
            }
            delivered += 1
            consumer.lastTag += 1
            consumer.unacknowledged.append((consumer.lastTag, entry))
            consumer.buffer.append((consumer.lastTag, entry))
        }
        handOver(consumer)
        let isMore = !(returns[partition].isEmpty && queues[partition].isEmpty)
        if isMore, consumer.unacknowledged.count < consumer.prefetch, !isDelivering.contains(partition) {
            isDelivering.insert(partition)
            world?.about(1) {
                self.isDelivering.remove(partition)
                self.deliver(partition)
            }
        }
    }

    func handOver(_ consumer: Consumer) {
        guard consumer.wantsMore, !consumer.buffer.isEmpty, consumer.isOpen else { return }
        consumer.wantsMore = false
        world?.about(1) {
            guard consumer.isOpen else { return }
            // As the network brings it: in pieces.
            let count = self.world?.number(1...consumer.buffer.count) ?? consumer.buffer.count
            let items = Array(consumer.buffer.prefix(count))
            consumer.buffer.removeFirst(count)
            consumer.lane.arrived(consumer, items)
        }
    }

    func acknowledge(_ consumer: Consumer, _ acknowledgements: [Acknowledgement]) {
        guard consumer.isOpen else { return }
        for acknowledgement in acknowledgements {
            switch acknowledgement {
            case .through(let tag): consumer.unacknowledged.removeAll { $0.tag <= tag }
            case .one(let tag): consumer.unacknowledged.removeAll { $0.tag == tag }
            }
        }
        deliver(consumer.partition)
    }

    // MARK: Faults

    func loseConnections(where isLost: (Consumer) -> Bool) {
        for consumer in consumers.flatMap({ $0 }) where isLost(consumer) {
            close(consumer)
            consumer.lane.feed(
                .consumerEnded(consumer.number, reason: "the connection was lost", connectionIsLost: true))
        }
    }

    func restart(turning: Bool) {
        isUp = false
        if turning, let world {
            turn(by: world.number(1...3))
            movedAt = world.time
        }
        loseConnections { _ in true }
        for lane in world?.lanes ?? [] { lane.isPublisherConnected = false }
    }

    func turn(by number: Int) {
        turn = (turn + number) % partitions
        turns.insert(turn)
    }

    /// How far the ring can be turned without any customer coming back to a partition.
    var unusedTurn: Int? {
        (1..<partitions).first { !turns.contains((turn + $0) % partitions) }
    }

    /// Everything that was delivered anywhere is seen by now.
    func forgetTurns() { turns = [turn] }

    /// The commands that lie in a partition's queue or are in some lane's hands.
    func waiting(in partition: Int) -> [SimCommand] {
        (queues[partition] + returns[partition] + consumers[partition].flatMap { $0.unacknowledged.map(\.entry) })
            .map(\.command).filter { $0.id >= 0 }
    }

    /// Where partitions are added, every turn brings some customers back.
    func grow(by number: Int) {
        partitions += number
        turns = Set(0..<partitions)
    }

    func makeUnavailable(_ partition: Int) {
        unavailable.insert(partition)
        loseConnections { $0.partition == partition }
    }

    func recover() {
        isUp = true
        unavailable = []
        blockedReason = nil
        isFull = false
        for partition in queues.indices { deliver(partition) }
    }

    // MARK: Events

    /// Takes an event: whether each queue did.
    func take(_ event: SimEvent) -> Bool {
        if event.isDeadLetter {
            deadLetters.append(event.command)
            return true
        }
        healthy.append(event)
        if isFull { return false }
        fragile.append(event)
        return true
    }

    func putAside(_ command: Int) { deadLetters.append(command) }
}

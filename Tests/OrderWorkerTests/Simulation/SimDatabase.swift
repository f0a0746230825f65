// The simulated database: sessions with their locks, and what one transaction of a lane does.

import Orders

@testable import OrderStore
@testable import OrderWorker

/// A database that behaves as PostgreSQL does where it matters to a lane.
final class SimDatabase {
    final class Session {
        var isOpen = true
        let rankKey: Int32
        var locks: Set<Int> = []

        init(rankKey: Int32) { self.rankKey = rankKey }
    }

    struct Row {
        let position: OutboxPosition
        let event: SimEvent
    }

    var partitionCount: Int
    var undrained: Set<Int> = []
    var isUp = true
    /// Refuses every change, as without a right or with a full disk.
    var isRefusing = false
    /// Larger batches run into the statement timeout.
    var slowLimit = Int.max
    private var sessions: [Session] = []
    /// The commands of each customer, in the order in which they were applied.
    private(set) var applied: [CustomerID: [SimCommand]] = [:]
    private var inbox: [Int: SimEvent] = [:]
    private var partitions: [CustomerID: Int] = [:]
    private var eventNumbers: [CustomerID: Int] = [:]
    private var lastPosition: Int64 = 0
    struct Parked {
        let position: UInt64
        let partition: Int
        let command: SimCommand
        let orderedAt: Timestamp
        var needs: Int64
    }

    private var barrier: Int64 = 0
    private var passed: [Int: Int64] = [:]
    private var fences: [(fence: Fence, createdAt: Timestamp)] = []

    private(set) var parked: [Parked] = []
    private(set) var outbox: [Row] = []
    private(set) var quarantine: [Row] = []
    private(set) var events: [SimEvent] = []
    private(set) var doubled: [SimCommand] = []

    init(partitions: Int) { partitionCount = partitions }

    // MARK: Sessions

    func open(rankKey: Int32) -> Session? {
        guard isUp else { return nil }
        let session = Session(rankKey: rankKey)
        sessions.append(session)
        return session
    }

    func close(_ session: Session) {
        session.isOpen = false
        session.locks = []
        sessions.removeAll { $0 === session }
    }

    func loseSessions() {
        for session in sessions { close(session) }
    }

    func view(_ session: Session) -> LaneView {
        LaneView(
            ownership: OwnershipView(
                lanes: sessions.map(\.rankKey).sorted(), owned: sessions.reduce(into: []) { $0.formUnion($1.locks) },
                ownedHere: session.locks), partitions: partitionCount, undrained: undrained)
    }

    func take(_ wanted: [Int], _ session: Session) -> [Int] {
        let owned = sessions.reduce(into: Set<Int>()) { $0.formUnion($1.locks) }
        let free = wanted.filter { !owned.contains($0) }
        session.locks.formUnion(free)
        return free
    }

    // MARK: Transactions

    func apply(
        _ items: [InHand<SimCommand>], clearing: [OutboxPosition], now: Timestamp
    ) -> (outcomes: [BatchOutcome], messages: [Outgoing<SimEvent>]) {
        let through = through
        var order = PartitionOrder(
            partitions: partitions.filter { entry in items.contains { $0.customer == entry.key } },
            count: partitionCount, undrained: undrained, barrier: barrier,
            fences: fences.map(\.fence).filter { $0.barrier > through },
            parked: backlogs(of: Set(items.compactMap(\.customer)), through))
        var outcomes: [BatchOutcome] = []
        var messages: [Outgoing<SimEvent>] = []
        for item in items {
            let command = item.command
            let purpose: PartitionMarker.Purpose? =
                switch command.kind {
                case .barrier(let number): .barrier(number)
                case .drained: .drained
                default: nil
                }
            if let purpose {
                order.take(PartitionMarker(partition: item.place.partition, purpose))
                outcomes.append(.applied)
                continue
            }
            if let holder = holder(of: item, &order, now) {
                outcomes.append(.parked(by: holder))
                continue
            }
            outcomes.append(.applied)
            if let known = inbox[command.id] {
                messages.append(
                    Outgoing(
                        cause: item.place, customer: command.customer, partition: item.place.partition,
                        source: .delivery, message: known))
            } else {
                messages += record(command, item.place)
            }
        }
        for move in order.moves {
            for index in parked.indices
            where parked[index].command.customer == move.customer && parked[index].partition != move.to {
                parked[index].needs = barrier + 1
            }
        }
        passed.merge(order.passed) { max($0, $1) }
        for (customer, partition) in order.partitions where applied[customer] != nil {
            partitions[customer] = partition
        }
        undrained.subtract(order.drained)
        remove(clearing)
        return (outcomes, messages)
    }

    /// Parks a command that has to wait; one that waits no more leaves.
    private func holder(of item: InHand<SimCommand>, _ order: inout PartitionOrder, _ now: Timestamp) -> Int? {
        let customer = item.command.customer
        if item.place.isParked {
            let holder = order.takeParked(
                customer, by: item.place.partition, orderedAt: item.orderedAt ?? Timestamp(microseconds: 0))
            if holder == nil { parked.removeAll { $0.position == item.place.tag } }
            return holder
        }
        guard let wait = order.take(customer, by: item.place.partition, at: item.command.publishedAt, now: now) else {
            return nil
        }
        lastPosition += 1
        parked.append(
            Parked(
                position: UInt64(lastPosition), partition: item.place.partition, command: item.command,
                orderedAt: wait.orderedAt, needs: wait.needs))
        return wait.holder
    }

    /// The barrier that has come out of every queue.
    private var through: Int64 { (0..<partitionCount).map { passed[$0, default: 0] }.min() ?? 0 }

    private func backlogs(of customers: Set<CustomerID>, _ through: Int64) -> [ParkedWay: ParkedBacklog] {
        var backlogs: [ParkedWay: ParkedBacklog] = [:]
        for row in parked where customers.contains(row.command.customer) {
            let way = ParkedWay(customer: row.command.customer, partition: row.partition)
            var backlog =
                backlogs[way] ?? ParkedBacklog(count: 0, first: row.orderedAt, last: row.orderedAt, isFree: true)
            backlog.count += 1
            backlog.first = min(backlog.first, row.orderedAt)
            backlog.last = max(backlog.last, row.orderedAt)
            if row.needs > through { backlog.isFree = false }
            backlogs[way] = backlog
        }
        return backlogs
    }

    /// What is parked in the partitions and may go on, of how many customers there is any, and what the others wait for.
    func parked(in partitions: [Int]) -> (ready: [Parked], customers: Int, barrier: BarrierProgress) {
        let own = parked.filter { partitions.contains($0.partition) }
        let through = through
        let needed = max(
            own.map(\.needs).max() ?? 0, fences.map(\.fence.barrier).filter { $0 > through }.max() ?? 0)
        let isNew = barrier < needed
        if isNew { barrier += 1 }
        let customers = Set(own.map(\.command.customer))
        let backlogs = Dictionary(grouping: backlogs(of: customers, through)) { $0.key.customer }
        let ready = own.lazy.filter { row in
            backlogs[row.command.customer, default: []].allSatisfy { way, backlog in
                way.partition == row.partition
                    ? backlog.isFree : (row.orderedAt, row.partition) < (backlog.first, way.partition)
            }
        }
        return (
            Array(ready.prefix(20)), customers.count,
            BarrierProgress(
                number: barrier, behind: (0..<partitionCount).filter { passed[$0, default: 0] < needed }, isNew: isNew)
        )
    }

    func fence(since: Timestamp, now: Timestamp) {
        let second = Duration.seconds(1)
        let isKnown = fences.contains {
            $0.fence.since <= since.adding(second) && $0.createdAt >= since.adding(second)
        }
        if isKnown { return }
        barrier += 1
        fences.append((Fence(since: since, barrier: barrier), now))
    }

    func partition(of customer: CustomerID) -> Int? { partitions[customer] }

    /// Whether it was noted that the broker was away at that time.
    func knowsOfAbsence(at time: Timestamp) -> Bool {
        fences.contains { $0.fence.since <= time && $0.createdAt >= time }
    }

    private func record(_ command: SimCommand, _ place: Place) -> [Outgoing<SimEvent>] {
        if applied[command.customer]?.contains(where: { $0.id == command.id }) ?? false { doubled.append(command) }
        applied[command.customer, default: []].append(command)
        var messages: [Outgoing<SimEvent>] = []
        for part in 0..<(command.number % 2 + 1) {
            eventNumbers[command.customer, default: 0] += 1
            lastPosition += 1
            let event = SimEvent(
                command: command.id, customer: command.customer, number: eventNumbers[command.customer] ?? 0,
                isOversized: command.kind == .oversized && part == 0)
            if part == 0 { inbox[command.id] = event }
            events.append(event)
            let position = OutboxPosition(partition: place.partition, position: lastPosition)
            outbox.append(Row(position: position, event: event))
            messages.append(
                Outgoing(
                    cause: place, customer: command.customer, partition: place.partition, source: .outbox(position),
                    message: event))
        }
        return messages
    }

    // MARK: Outbox and quarantine

    func remove(_ positions: [OutboxPosition]) {
        if positions.isEmpty { return }
        let gone = Set(positions)
        outbox.removeAll { gone.contains($0.position) }
    }

    func leftover(of partition: Int) -> (messages: [Outgoing<SimEvent>], quarantined: Set<CustomerID>) {
        let rows = outbox.filter { $0.position.partition == partition }.prefix(20)
        return (
            rows.map { row in
                Outgoing(
                    cause: nil, customer: row.event.customer, partition: partition, source: .outbox(row.position),
                    message: row.event)
            }, Set(quarantine.filter { $0.position.partition == partition }.map(\.event.customer))
        )
    }

    func moveToQuarantine(_ messages: [Outgoing<SimEvent>]) {
        for message in messages {
            guard case .outbox(let position) = message.source,
                let index = outbox.firstIndex(where: { $0.position == position })
            else { continue }
            quarantine.append(outbox.remove(at: index))
        }
    }

    var quarantinedCustomers: Set<CustomerID> { Set(quarantine.map(\.event.customer)) }
}

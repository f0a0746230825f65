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
    }

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
        _ items: [InHand<SimCommand>], clearing: [OutboxPosition]
    ) -> (outcomes: [BatchOutcome], messages: [Outgoing<SimEvent>]) {
        var order = PartitionOrder(
            partitions: partitions.filter { entry in items.contains { $0.customer == entry.key } },
            count: partitionCount, undrained: undrained,
            parked: Dictionary(
                parked.map { (ParkedWay(customer: $0.command.customer, partition: $0.partition), 1) },
                uniquingKeysWith: +))
        var outcomes: [BatchOutcome] = []
        var messages: [Outgoing<SimEvent>] = []
        for item in items {
            let command = item.command
            let purpose: PartitionMarker.Purpose? =
                switch command.kind {
                case .marker(let to): .handOver(command.customer, to: to)
                case .drained: .drained
                default: nil
                }
            if let purpose {
                order.take(PartitionMarker(partition: item.place.partition, purpose))
                outcomes.append(.applied)
                continue
            }
            let holder = order.take(command.customer, by: item.place.partition, isParked: item.place.isParked)
            if let outcome = park(item, holder) {
                outcomes.append(outcome)
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
        for (customer, partition) in order.partitions where applied[customer] != nil {
            partitions[customer] = partition
        }
        undrained.subtract(order.drained)
        remove(clearing)
        return (outcomes, messages)
    }

    /// Parks a command that has to wait; one that waits no more leaves.
    private func park(_ item: InHand<SimCommand>, _ holder: Int?) -> BatchOutcome? {
        guard let holder else {
            if item.place.isParked { parked.removeAll { $0.position == item.place.tag } }
            return nil
        }
        if !item.place.isParked {
            lastPosition += 1
            parked.append(
                Parked(position: UInt64(lastPosition), partition: item.place.partition, command: item.command))
        }
        return .parked(by: holder)
    }

    /// What waits in the partitions and may go on, and the customers that may not.
    func parked(in partitions: [Int]) -> (ready: [Parked], waiting: [ParkedCustomer]) {
        let rows = parked.filter { partitions.contains($0.partition) }
        let ready = rows.filter { row in
            let last = self.partitions[row.command.customer]
            return last == nil || last == row.partition || last ?? 0 >= partitionCount
        }
        let others = rows.filter { row in !ready.contains { $0.position == row.position } }
        return (
            Array(ready.prefix(20)),
            Set(
                others.map { row in
                    ParkedCustomer(
                        customer: row.command.customer, partition: row.partition,
                        last: self.partitions[row.command.customer] ?? 0)
                }
            ).sorted { ($0.customer, $0.partition) < ($1.customer, $1.partition) }
        )
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

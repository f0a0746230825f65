// What a lane says of itself.

internal import Orders

/// A lane as people see it: what it does, and what keeps it from doing more. Times are those since the lane began.
struct LaneReport: Sendable, Equatable {
    struct PartitionReport: Sendable, Equatable {
        let number: Int
        let state: PartitionStatus.State
        let reason: String?
        let since: Duration
        let nextTry: Duration?
    }

    struct Trouble: Sendable, Equatable {
        let reason: String
        let since: Duration?
        let nextTry: Duration?
    }

    let state: LaneStatus.State
    /// What stops the whole lane, the first first.
    let troubles: [Trouble]
    let partitions: [PartitionReport]
    let heldCustomers: Int
    let quarantinedCustomers: Int
    let inHand: Int
}

extension LaneStateMachine {
    var report: LaneReport {
        var troubles: [LaneReport.Trouble] = []
        if let lastLoss, phase != .serving {
            var next: Duration?
            if case .disconnected(let until) = phase { next = until }
            troubles.append(.init(reason: lastLoss, since: nil, nextTry: next))
        }
        if let misfit { troubles.append(.init(reason: misfit, since: nil, nextTry: nil)) }
        if let reason = publisher.blockedReason {
            troubles.append(
                .init(reason: "the broker takes no messages: \(reason)", since: publisher.since, nextTry: nil))
        }
        if let reason = publisher.reason {
            troubles.append(.init(reason: reason, since: publisher.since, nextTry: publisher.retryAt))
        }
        if let reason = database.reason {
            troubles.append(.init(reason: reason, since: database.since, nextTry: database.retryAt))
        }
        let state: LaneStatus.State =
            switch phase {
            case .finished: .stopped
            case .serving where isStopping: .draining
            case .serving: troubles.isEmpty ? .serving : .paused
            case .closing where isStopping: .draining
            case .disconnected, .connecting, .closing: .connecting
            }
        return LaneReport(
            state: state, troubles: troubles,
            partitions: partitions.keys.sorted().compactMap { number in
                partitions[number].map { report($0, number) }
            },
            heldCustomers: parking.customers, quarantinedCustomers: quarantine.customers.count,
            inHand: pending.count + inFlight.count)
    }

    private func report(_ partition: LanePartition, _ number: Int) -> LaneReport.PartitionReport {
        let state: PartitionStatus.State =
            switch partition.state {
            case _ where partition.isHandedOver: .handingOver
            case .leftover: .publishingLeftover
            case .waiting where paused.contains(number): .paused
            case .waiting, .opening: partition.reason == nil ? .taken : .waiting
            case .consuming, .closing, .closed: .consumed
            }
        return .init(
            number: number, state: state, reason: partition.reason, since: partition.troubleSince ?? partition.since,
            nextTry: state == .waiting && partition.state == .waiting ? partition.retryAt : nil)
    }
}

// What a worker says of itself, for readiness and for people.

public import FoundationEssentials
internal import Orders
internal import Synchronization

/// A partition that a lane owns.
public struct PartitionStatus: Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        /// Owned, and about to be consumed.
        case taken
        /// What its owner before left in the outbox is being published.
        case publishingLeftover = "publishing what was left"
        case consumed
        /// It can't be consumed: see ``PartitionStatus/reason``.
        case waiting
        /// An operator doesn't want it to be consumed for now.
        case paused
        case handingOver = "handing over"
    }

    public let number: Int
    public let state: State
    /// Why it isn't consumed.
    public let reason: String?
    /// Since when it has been in this state, or has had this reason.
    public let since: Date
    /// When it is tried again.
    public let nextTry: Date?
}

/// What keeps a whole lane from working.
public struct LaneTrouble: Sendable, Hashable {
    /// A sentence; holds no secret.
    public let reason: String
    public let since: Date?
    public let nextTry: Date?
}

/// What a lane is doing.
public struct LaneStatus: Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        /// Connecting to the broker and the database, or waiting to try again.
        case connecting
        /// Consuming its partitions, if there are any for it.
        case serving
        /// Connected, but nothing can move: see ``LaneStatus/troubles``.
        case paused
        /// Finishing what it has.
        case draining
        case stopped
    }

    public let name: String
    public internal(set) var state: State
    /// What it owns, in the order of the numbers.
    public internal(set) var partitions: [PartitionStatus]
    /// What keeps it from working.
    public internal(set) var troubles: [LaneTrouble]
    /// Customers whose commands wait until another partition is done with what it holds of theirs.
    public internal(set) var heldCustomers: Int
    /// Customers some of whose events the broker doesn't take.
    public internal(set) var quarantinedCustomers: Int
    /// Since when it has been in this state.
    public internal(set) var since: Date
    /// When it last made a step, if only to look at the time.
    public internal(set) var lastStep: ContinuousClock.Instant
}

/// What a worker says of itself.
public struct WorkerStatus: Sendable, Hashable {
    public internal(set) var lanes: [LaneStatus]
    /// The partners that can't be served here, with the reason, a sentence each. They stop nobody else.
    public internal(set) var unusablePartners: [String] = []
    /// A lane that makes no step for this long is stuck.
    public static let longestStep = Duration.seconds(60)

    /// Whether every lane can work.
    public var isReady: Bool {
        lanes.allSatisfy { $0.state == .serving && !$0.isStuckWithAll }
    }

    /// Whether each lane has made a step of late. If not, only a restart helps.
    public var isAlive: Bool {
        let oldest = ContinuousClock.now - Self.longestStep
        return lanes.allSatisfy { $0.state == .stopped || $0.lastStep > oldest }
    }

    /// What doesn't work, a sentence each, whether the worker is ready or not. They hold no secret.
    public var reasons: [String] {
        var reasons: [String] = []
        for lane in lanes {
            if lane.state != .serving && lane.troubles.isEmpty {
                reasons.append("\(lane.name) is \(lane.state.rawValue)")
            }
            for trouble in lane.troubles {
                reasons.append(
                    "\(lane.name) is \(lane.state.rawValue): \(trouble.reason)"
                        + Self.times(since: trouble.since, nextTry: trouble.nextTry))
            }
            for partition in lane.partitions {
                if partition.state == .paused {
                    reasons.append(
                        "partition \(partition.number) is paused by an operator"
                            + Self.times(since: partition.since, nextTry: nil) + ": order-worker resume")
                    continue
                }
                guard let reason = partition.reason else { continue }
                reasons.append(
                    "partition \(partition.number) waits: \(reason)"
                        + Self.times(since: partition.since, nextTry: partition.nextTry))
            }
            if lane.heldCustomers > 0 {
                reasons.append(
                    "\(lane.name): commands of \(lane.heldCustomers) customers wait for earlier ones that may be in other partitions"
                )
            }
            if lane.quarantinedCustomers > 0 {
                reasons.append(
                    "\(lane.name): events of \(lane.quarantinedCustomers) customers are in quarantine (order-worker outbox)"
                )
            }
        }
        return reasons + unusablePartners
    }

    private static func times(since: Date?, nextTry: Date?) -> String {
        var parts: [String] = []
        if let since { parts.append("since \(since.formatted(.iso8601))") }
        if let nextTry { parts.append("next try \(nextTry.formatted(.iso8601))") }
        return parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))"
    }
}

extension LaneStatus {
    /// Whether it owns partitions and none of them can be consumed.
    var isStuckWithAll: Bool { !partitions.isEmpty && partitions.allSatisfy { $0.state == .waiting } }
}

/// The lanes' states, written by the lanes and read by anyone.
final class StatusBoard: Sendable {
    private let board: Mutex<WorkerStatus>

    init(lanes names: [String]) {
        board = Mutex(
            WorkerStatus(
                lanes: names.map {
                    LaneStatus(
                        name: $0, state: .connecting, partitions: [], troubles: [], heldCustomers: 0,
                        quarantinedCustomers: 0, since: Date(), lastStep: .now)
                }))
    }

    var status: WorkerStatus { board.withLock { $0 } }

    /// Notes whom a catalog that was loaded keeps from being served.
    func note(_ catalog: Catalog) {
        let reasons = catalog.unusablePartners.values.sorted { $0.id < $1.id }
            .map { "partner \($0.id) isn't served: \($0.reason)" }
        board.withLock { $0.unusablePartners = reasons }
    }

    func noteStep(lane index: Int) {
        board.withLock { $0.lanes[index].lastStep = .now }
    }

    /// - Parameter date: the date of one of the report's times.
    func update(lane index: Int, _ report: LaneReport, date: (Duration) -> Date) {
        let partitions = report.partitions.map { partition in
            PartitionStatus(
                number: partition.number, state: partition.state, reason: partition.reason,
                since: date(partition.since), nextTry: partition.nextTry.map(date))
        }
        let troubles = report.troubles.map { trouble in
            LaneTrouble(
                reason: trouble.reason, since: trouble.since.map(date), nextTry: trouble.nextTry.map(date))
        }
        board.withLock { status in
            if status.lanes[index].state != report.state { status.lanes[index].since = Date() }
            status.lanes[index].state = report.state
            status.lanes[index].partitions = partitions
            status.lanes[index].troubles = troubles
            status.lanes[index].heldCustomers = report.heldCustomers
            status.lanes[index].quarantinedCustomers = report.quarantinedCustomers
        }
    }
}

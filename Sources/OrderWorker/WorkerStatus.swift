// What a worker says of itself, for readiness and for people.

public import FoundationEssentials
internal import Synchronization

/// What a lane is doing.
public struct LaneStatus: Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        /// Connecting to the broker and the database, or waiting to try again.
        case connecting
        /// Consuming its partitions, if there are any for it.
        case serving
        /// Finishing what it has.
        case draining
        case stopped
    }

    public let name: String
    public var state: State
    public var partitions: [Int]
    /// Why the lane had to start over last; nil once it serves again.
    public var lastError: String?
    /// Since when it has been in this state.
    public var since: Date
}

/// What a worker says of itself.
public struct WorkerStatus: Sendable, Hashable {
    public let lanes: [LaneStatus]

    /// Whether every lane is connected.
    public var isReady: Bool { lanes.allSatisfy { $0.state == .serving } }
}

/// The lanes' states, written by the lanes and read by anyone.
final class StatusBoard: Sendable {
    private let lanes: Mutex<[LaneStatus]>

    init(lanes names: [String]) {
        lanes = Mutex(names.map { LaneStatus(name: $0, state: .connecting, partitions: [], since: Date()) })
    }

    var status: WorkerStatus { WorkerStatus(lanes: lanes.withLock { $0 }) }

    func update(lane index: Int, _ change: (inout LaneStatus) -> Void) {
        lanes.withLock { lanes in
            let before = lanes[index].state
            change(&lanes[index])
            if lanes[index].state != before { lanes[index].since = Date() }
        }
    }
}

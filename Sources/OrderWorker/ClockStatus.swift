// What the clock of a worker says of itself, for readiness and for people.

public import OrderStore
internal import Synchronization

/// What a worker's clock knows and what fails.
public struct ClockStatus: Sendable, Hashable {
    /// With months of the inbox for less than this ahead, somebody has to look.
    public static let inboxMargin = Duration.seconds(31 * 86_400)

    /// This machine's clock against the database's; nil until it was measured.
    public internal(set) var skew: ClockSkew?
    /// For how long from now the inbox has its months; nil until it was looked at.
    public internal(set) var inboxAhead: Duration?
    /// Whether this worker's clock is the elected one.
    public internal(set) var isElected = false
    /// What fails, by the clock's tasks: why, and for how long.
    public internal(set) var failures: [String: Failure] = [:]

    /// A task's failure.
    public struct Failure: Sendable, Hashable {
        public let reason: String
        public let since: ContinuousClock.Instant
    }

    /// Why the worker isn't ready, a sentence each. A failure counts only once it lasts.
    public func reasons(at now: ContinuousClock.Instant = .now) -> [String] {
        var reasons: [String] = []
        if let skew, skew.isExcessive { reasons.append("this machine's clock is \(skew.text)") }
        if let inboxAhead, inboxAhead < Self.inboxMargin {
            let days = inboxAhead.components.seconds / 86_400
            reasons.append("the inbox has tables for the next \(days) days only, less than a month")
        }
        for (task, failure) in failures.sorted(by: { $0.key < $1.key }) {
            let seconds = failure.since.duration(to: now).components.seconds
            if seconds >= 60 { reasons.append("\(task) fails for \(seconds) s: \(failure.reason)") }
        }
        return reasons
    }
}

/// The clock's state, written by its tasks and read by anyone.
final class ClockBoard: Sendable {
    private let state = Mutex(ClockStatus())
    private let partitionCount = Mutex<Int?>(nil)

    var status: ClockStatus { state.withLock { $0 } }

    /// How many partitions the database says there are.
    var partitions: Int? {
        get { partitionCount.withLock { $0 } }
        set { partitionCount.withLock { $0 = newValue } }
    }

    func update(_ change: (inout ClockStatus) -> Void) { state.withLock { change(&$0) } }

    func failed(_ task: String, _ error: any Error) {
        update { status in
            let since = status.failures[task]?.since ?? .now
            status.failures[task] = ClockStatus.Failure(reason: "\(error)", since: since)
        }
    }

    func succeeded(_ task: String) { update { $0.failures[task] = nil } }
}

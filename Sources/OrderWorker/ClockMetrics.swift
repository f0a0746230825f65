// What the clock measures.

internal import FoundationEssentials
internal import Metrics
internal import OrderStore

enum ClockMetrics {
    static func skew(_ skew: ClockSkew) {
        Gauge(label: WorkerMetrics.clockSkew.name).record(skew.offset / .seconds(1))
    }

    static func inboxAhead(_ duration: Duration) {
        Gauge(label: WorkerMetrics.inboxAhead.name).record(duration / .seconds(1))
    }

    static func elected(_ isElected: Bool) {
        Gauge(label: WorkerMetrics.clockLeader.name).record(isElected ? 1 : 0)
    }

    /// All that was due was gone through.
    static func ticked() {
        Gauge(label: WorkerMetrics.clockTick.name).record(Date().timeIntervalSince1970)
    }
}

// What the clock measures.

internal import Metrics
internal import OrderStore

enum ClockMetrics {
    static func skew(_ skew: ClockSkew) {
        Gauge(label: "order_worker_clock_skew_seconds").record(skew.offset / .seconds(1))
    }

    static func inboxAhead(_ duration: Duration) {
        Gauge(label: "order_worker_inbox_ahead_seconds").record(duration / .seconds(1))
    }

    static func unrouted(_ count: Int) {
        Gauge(label: "order_worker_unrouted_commands").record(count)
    }
}

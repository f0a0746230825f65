// What the lanes count and time. The one list of the worker's metrics.

internal import Logging
internal import Metrics
internal import OrderContract
internal import OrderStore
internal import Orders

enum LaneMetrics {
    static func command(_ tally: BatchTally) {
        Counter(
            label: "order_worker_commands_total",
            dimensions: [
                ("type", tally.command.decoded.type.rawValue), ("outcome", tally.outcome.type.rawValue),
                ("repeated", tally.isRepeated ? "true" : "false"),
            ]
        ).increment()
    }

    static func deadLettered(_ reason: RejectionCode) {
        Counter(label: "order_worker_dead_letters_total", dimensions: [("reason", reason.rawValue)]).increment()
    }

    static func batch(size: Int, seconds: Duration) {
        Recorder(label: "order_worker_batch_size").record(size)
        Timer(label: "order_worker_batch_seconds").record(duration: seconds)
    }

    static func published(_ count: Int, seconds: Duration) {
        Counter(label: "order_worker_published_total").increment(by: count)
        Timer(label: "order_worker_publish_seconds").record(duration: seconds)
    }

    static func report(_ report: LaneReport, lane: String) {
        let consumed = report.partitions.count { $0.state == .consumed || $0.state == .taken }
        Gauge(label: "order_worker_partitions_owned", dimensions: [("lane", lane)]).record(consumed)
        Gauge(label: "order_worker_partitions_waiting", dimensions: [("lane", lane)]).record(
            report.partitions.count { $0.state == .waiting })
        Gauge(label: "order_worker_lane_paused", dimensions: [("lane", lane)]).record(report.troubles.isEmpty ? 0 : 1)
        Gauge(label: "order_worker_in_hand", dimensions: [("lane", lane)]).record(report.inHand)
        Gauge(label: "order_worker_held_customers", dimensions: [("lane", lane)]).record(report.heldCustomers)
        Gauge(label: "order_worker_quarantined_customers", dimensions: [("lane", lane)]).record(
            report.quarantinedCustomers)
    }

    static func note(_ note: LaneNote, lane: String) {
        switch note {
        case .lost: laneRestarted(lane)
        case .partitionWaits(let partition, _, _):
            Counter(
                label: "order_worker_partition_failures_total", dimensions: [("partition", "\(partition)")]
            ).increment()
        case .publishingPaused:
            Counter(label: "order_worker_publishing_paused_total", dimensions: [("lane", lane)]).increment()
        case .held:
            Counter(label: "order_worker_customers_held_total").increment()
        case .quarantined:
            Counter(label: "order_worker_quarantined_total").increment()
        case .deadLettered: deadLettered(.internalError)
        default: break
        }
    }

    static func databaseRefused(_ sqlState: String?) {
        Counter(
            label: "order_worker_database_refusals_total",
            dimensions: [("class", String(sqlState?.prefix(2) ?? "none"))]
        ).increment()
    }

    static func repliesDropped(_ count: Int, reason: String) {
        Counter(label: "order_worker_replies_dropped_total").increment(by: count)
    }

    static func laneRestarted(_ lane: String) {
        Counter(label: "order_worker_lane_restarts_total", dimensions: [("lane", lane)]).increment()
    }
}

extension BatchTally {
    /// For the log: which command, and what came of it.
    var metadata: [String: Logger.MetadataValue] {
        var metadata = command.metadata
        metadata["outcome"] = "\(outcome.type.rawValue)"
        if isRepeated { metadata["repeated"] = "true" }
        return metadata
    }
}

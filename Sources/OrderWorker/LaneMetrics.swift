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

    static func partitionsOwned(_ count: Int, lane: String) {
        Gauge(label: "order_worker_partitions_owned", dimensions: [("lane", lane)]).record(count)
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

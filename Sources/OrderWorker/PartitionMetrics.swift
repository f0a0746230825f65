// Whose each partition is, in what state, and since when.

internal import FoundationEssentials
internal import Metrics

enum PartitionMetrics {
    /// The states as a label's values.
    private static let states: [(state: PartitionStatus.State, label: String)] = [
        (.taken, "taken"), (.publishingLeftover, "publishing_leftover"), (.consumed, "consumed"),
        (.waiting, "waiting"), (.paused, "paused"), (.handingOver, "handing_over"),
    ]

    /// - Parameters:
    ///   - before: what the lane reported last.
    ///   - date: the date of one of the report's times.
    static func report(
        _ partitions: [LaneReport.PartitionReport], before: [LaneReport.PartitionReport], lane: String,
        date: (Duration) -> Date
    ) {
        if partitions == before { return }
        let known = Set(partitions.map(\.number))
        for former in before where !known.contains(former.number) {
            write(former.number, lane, state: nil, since: Date())
        }
        for partition in partitions {
            write(partition.number, lane, state: partition.state, since: date(partition.since))
        }
    }

    private static func write(_ partition: Int, _ lane: String, state: PartitionStatus.State?, since: Date) {
        let labels = [("lane", lane), ("partition", "\(partition)")]
        Gauge(label: WorkerMetrics.partitionOwned.name, dimensions: labels).record(state == nil ? 0 : 1)
        Gauge(label: WorkerMetrics.partitionSince.name, dimensions: labels).record(since.timeIntervalSince1970)
        for (known, label) in states {
            Gauge(label: WorkerMetrics.partitionState.name, dimensions: labels + [("state", label)])
                .record(known == state ? 1 : 0)
        }
    }
}

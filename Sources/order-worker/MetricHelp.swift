// What the worker's metrics mean, for the page that shows them.

enum MetricHelp {
    static let texts: [String: String] = [
        "order_worker_commands_total":
            "Commands that were decided, by type, outcome, and whether the outcome was repeated.",
        "order_worker_dead_letters_total": "Messages that went to orders.dead, by reason.",
        "order_worker_batch_size": "Commands in a database transaction.",
        "order_worker_batch_seconds": "Time from taking a batch to its commit.",
        "order_worker_published_total": "Events that the broker confirmed.",
        "order_worker_publish_seconds": "Time from publishing a batch's events to the broker's confirms.",
        "order_worker_partitions_owned": "Partitions that a lane serves now.",
        "order_worker_clock_skew_seconds": "How far this machine's clock is ahead of the database's.",
        "order_worker_inbox_ahead_seconds": "For how long from now the inbox has its monthly tables.",
        "order_worker_unrouted_commands": "Commands that wait in orders.unrouted, by the elected clock.",
        "order_worker_lane_restarts_total": "How often a lane had to connect anew.",
    ]
}

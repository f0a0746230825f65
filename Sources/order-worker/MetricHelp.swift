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
        "order_worker_partitions_waiting": "Partitions that a lane owns and can't consume.",
        "order_worker_lane_paused": "1 while a lane takes nothing: the database refuses, or nothing can be published.",
        "order_worker_in_hand": "Deliveries that a lane has in hand.",
        "order_worker_held_customers": "Customers whose commands wait until all that came before them is through.",
        "order_worker_quarantined_customers": "Customers some of whose events the broker doesn't take.",
        "order_worker_partition_failures_total": "How often a partition's queue couldn't be consumed, by partition.",
        "order_worker_publishing_paused_total": "How often the broker took no messages of a lane.",
        "order_worker_customers_held_total": "How often a customer's commands came by another partition than before.",
        "order_worker_quarantined_total": "Events that the broker didn't take for what they are.",
        "order_worker_database_refusals_total": "What the database refused, by class of SQLSTATE.",
        "order_worker_replies_dropped_total": "Replies that were not sent.",
        "order_worker_lane_restarts_total": "How often a lane had to connect anew.",
    ]
}

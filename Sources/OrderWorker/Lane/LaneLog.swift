// What a lane tells the operator, as lines and as counts.

internal import Logging

extension LaneNote {
    /// What is the same trouble, however often it comes; nil for what happens once.
    var trouble: String? {
        switch self {
        case .lost(let reason, _): "lost \(reason)"
        case .partitionWaits(let partition, let reason, _): "waits \(partition) \(reason)"
        case .publishingPaused(let reason, _): "paused \(reason)"
        case .databaseRefuses(let reason, _): "refuses \(reason)"
        default: nil
        }
    }
}

extension Lane {
    /// The same trouble is said again after this time at the earliest.
    private static let repetition = Duration.seconds(30)

    func log(_ note: LaneNote) {
        LaneMetrics.note(note, lane: name)
        if let trouble = note.trouble {
            let now = ContinuousClock.now
            saidAt = saidAt.filter { $0.value.duration(to: now) < Self.repetition }
            if saidAt[trouble] != nil { return logger.trace("still so", metadata: ["trouble": "\(trouble)"]) }
            saidAt[trouble] = now
        }
        switch note {
        case .lost(let reason, let delay):
            logger.warning("lane begins anew", metadata: ["error": "\(reason)", "in": "\(delay)"])
        case .partitionTaken(let partition):
            logger.info("partition taken", metadata: ["partition": "\(partition)"])
        case .partitionReleased(let partition):
            logger.info("partition handed over", metadata: ["partition": "\(partition)"])
        case .partitionWaits(let partition, let reason, let delay):
            logger.warning(
                "partition waits", metadata: ["partition": "\(partition)", "error": "\(reason)", "in": "\(delay)"])
        case .publishingPaused(let reason, let delay):
            logger.error(
                "publishing is paused; nothing new is taken", metadata: ["error": "\(reason)", "in": "\(delay)"])
        case .publishingResumed:
            logger.notice("publishing goes on")
        case .databaseRefuses(let reason, let delay):
            logger.critical(
                "the database refuses; nothing is given up, one command at a time is tried",
                metadata: ["error": "\(reason)", "in": "\(delay)"])
        case .databaseTakesAgain:
            logger.notice("the database takes again")
        case .batchRefused(let reason, let commands):
            logger.error(
                "batch refused, trying one by one", metadata: ["error": "\(reason)", "commands": "\(commands)"])
        case .batchTooSlow(let commands):
            logger.error("batch ran into the statement timeout", metadata: ["commands": "\(commands)"])
        case .deadLettered(let place, let reason):
            if let refusalReply, refusalReply.place == place { replies.offer([refusalReply.reply]) }
            logger.critical(
                "the database refused a command; it is dead-lettered",
                metadata: ["partition": "\(place.partition)", "error": "\(reason)"])
        case .quarantined(let customer, let reason):
            logger.critical(
                "the broker doesn't take an event; it is in quarantine",
                metadata: ["customer": "\(customer)", "error": "\(reason)"])
        case .dropped(let reason):
            logger.error("the broker doesn't take a repeated outcome; dropped", metadata: ["error": "\(reason)"])
        case .held(let customer, let partition):
            logger.notice(
                "commands wait: earlier ones of the customer may be in another partition",
                metadata: ["customer": "\(customer)", "partition": "\(partition)"])
        case .leftover(let partition, let events):
            logger.notice(
                "publishing what was left in the outbox",
                metadata: ["partition": "\(partition)", "events": "\(events)"])
        case .wrongPartitionCount(let reason):
            logger.critical("nothing is served", metadata: ["error": "\(reason)"])
        }
    }
}

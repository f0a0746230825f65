// What is published next, and what becomes of messages that the broker takes, refuses, or will never take.

internal import AMQP
internal import OrderStore
internal import Orders

/// Messages that are published together, in their order.
struct Publication<Message: Sendable>: Sendable {
    var messages: [Outgoing<Message>]
    /// The partition whose owner before left them in the outbox.
    var leftoverOf: Int?
}

/// What keeps a lane from publishing. While it lasts nothing new is taken, and nothing is given back.
struct PublishingTrouble: Sendable {
    var isConnected = true
    var isConnecting = false
    /// The broker's reason to take no messages from anyone.
    var blockedReason: String?
    var reason: String?
    var since: Duration?
    var retryAt: Duration?
    /// How many messages are sent at a time: one after a refusal, and four times as many after each success.
    var wave: Int?
    var backoff = Backoff(minimum: .milliseconds(200), maximum: .seconds(5))

    var isFine: Bool { isConnected && blockedReason == nil && reason == nil }
}

/// Events that the broker doesn't take, and those of the same customers that come behind them.
struct Quarantine<Message: Sendable>: Sendable {
    /// A move of events from the outbox into quarantine.
    struct Move: Sendable {
        let messages: [Outgoing<Message>]
        /// Why the broker doesn't take it; empty for what only stands behind another.
        let reason: String
    }

    var customers: Set<CustomerID> = []
    private(set) var moves: [Move] = []
    private var published: [QuarantinePosition] = []
    /// When to look for what an operator has released; nil while nothing is in quarantine.
    var nextCheck: Duration?

    /// The next move to make.
    var next: Move? { moves.first }

    mutating func add(_ messages: [Outgoing<Message>], reason: String) {
        moves.append(Move(messages: messages, reason: reason))
    }

    mutating func begun() { moves.removeFirst() }

    mutating func putBack(_ move: Move) { moves.insert(move, at: 0) }

    mutating func note(published position: QuarantinePosition) { published.append(position) }

    mutating func takePublished() -> [QuarantinePosition] {
        defer { published = [] }
        return published
    }
}

extension LaneStateMachine {
    // MARK: Connection

    mutating func publisherConnected(at now: Duration) {
        publisher.isConnecting = false
        publisher.isConnected = true
        publisher.retryAt = now
    }

    mutating func publisherFailed(_ reason: String, at now: Duration) {
        publisher.isConnecting = false
        publishingFailed(reason, at: now)
    }

    mutating func publisherLost(_ reason: String, at now: Duration) {
        // What is on its way is lost too, and says so.
        guard phase == .serving, publishing == nil, publisher.isConnected else { return }
        publisher.isConnected = false
        brokerLost(at: now)
        publishingFailed(reason, at: now)
    }

    mutating func noteBlocked(_ reason: String?, at now: Duration) {
        guard reason != publisher.blockedReason else { return }
        if publisher.isFine { publisher.since = now }
        publisher.blockedReason = reason
        if let reason {
            note(.publishingPaused("the broker takes no messages: \(reason)", retryIn: .zero))
        } else {
            note(.publishingResumed)
        }
    }

    private mutating func publishingFailed(_ reason: String, at now: Duration) {
        let delay = publisher.backoff.next(using: &random)
        if publisher.isFine { publisher.since = now }
        publisher.reason = reason
        publisher.retryAt = now + delay
        publisher.wave = 1
        note(.publishingPaused(reason, retryIn: delay))
    }

    // MARK: Publishing

    /// Queues messages to be published after all that were queued before. What belongs to a customer whose earlier events
    /// are in quarantine goes there too.
    mutating func publish(_ messages: [Outgoing<Message>], leftoverOf partition: Int? = nil, at now: Duration) {
        var messages = messages
        if !quarantine.customers.isEmpty {
            let behind = messages.filter(isBehindQuarantine)
            if !behind.isEmpty {
                messages.removeAll(where: isBehindQuarantine)
                quarantine.add(behind, reason: "")
                for message in behind { settleCause(of: message) }
            }
        }
        if !messages.isEmpty || partition != nil {
            publications.append(Publication(messages: messages, leftoverOf: partition))
        }
        dropFinishedPublications()
    }

    private func isBehindQuarantine(_ message: Outgoing<Message>) -> Bool {
        if case .outbox = message.source { quarantine.customers.contains(message.customer) } else { false }
    }

    mutating func publishNext(at now: Duration) {
        guard publishing == nil else { return }
        if let retryAt = publisher.retryAt, now < retryAt { return }
        guard publisher.isConnected else {
            if !publisher.isConnecting {
                publisher.isConnecting = true
                actions.append(.connectPublisher)
            }
            return
        }
        guard publisher.blockedReason == nil else { return }
        guard let first = publications.first else {
            // Nothing is left that could be refused.
            if publisher.reason != nil { publishingResumed() }
            return
        }
        let most = min(publisher.wave ?? limits.publishedAtOnce, limits.publishedAtOnce, first.messages.count)
        var (count, bytes) = (0, 0)
        while count < most, count == 0 || bytes + first.messages[count].bytes <= limits.publishedBytesAtOnce {
            bytes += first.messages[count].bytes
            count += 1
        }
        publishing = count
        actions.append(.publish(Array(first.messages.prefix(count))))
    }

    mutating func published(_ results: [PublishResult], _ failure: PublishFailure?, at now: Duration) {
        guard let count = publishing, !publications.isEmpty, phase == .serving else { return }
        publishing = nil
        let sent = publications[0].messages.prefix(count)
        var kept: [Outgoing<Message>] = []
        var refusal: String?
        for (index, message) in sent.enumerated() {
            switch index < results.count ? results[index] : nil {
            case .confirmed:
                isPublished(message, at: now)
            case .refused(let reason):
                refusal = refusal ?? reason
                kept.append(message)
            case nil:
                kept.append(message)
            }
        }
        // In the next try only what is left: a queue that took its copy must not get another with each try.
        publications[0].messages.replaceSubrange(..<count, with: kept)
        switch failure {
        case .lost(let reason, let brokerIsGone):
            publisher.isConnected = false
            if brokerIsGone { brokerLost(at: now) }
            publishingFailed(reason, at: now)
        case .unpublishable(let reason, let connectionIsLost):
            // Sent one by one, the culprit shows itself. It is given up when it is refused again: the first channel may have
            // had a limit that the broker has no more, as each keeps that of when it was opened.
            let unknown = count - results.count
            if unknown == 1, refusal == nil, publisher.wave == 1 {
                giveUp(publications[0].messages.removeFirst(), reason, at: now)
            }
            publishingFailed(reason, at: now)
            publisher.retryAt = now
            if connectionIsLost { publisher.isConnected = false }
        case nil:
            if let refusal {
                // A channel that a quorum queue has refused once may be refused for ever, although the queue's limit is gone
                // (seen with RabbitMQ 3.10): each further try is on a new one.
                if publisher.wave == 1 { publisher.isConnected = false }
                publishingFailed(refusal, at: now)
            } else {
                publishingSucceeded(at: now)
            }
        }
        dropFinishedPublications()
    }

    private mutating func publishingSucceeded(at now: Duration) {
        noteProgress()
        guard let wave = publisher.wave else { return }
        publisher.retryAt = nil
        publisher.backoff.reset()
        publisher.wave = wave * 4
        if wave * 4 >= limits.publishedAtOnce { publishingResumed() }
    }

    private mutating func publishingResumed() {
        publisher.reason = nil
        publisher.since = nil
        publisher.retryAt = nil
        publisher.wave = nil
        note(.publishingResumed)
    }

    private mutating func isPublished(_ message: Outgoing<Message>, at now: Duration) {
        switch message.source {
        case .outbox(let position):
            published.append(position)
            if publishedSince == nil { publishedSince = now }
        case .quarantine(let position):
            quarantine.note(published: position)
            quarantine.nextCheck = now
        case .delivery, .deadLetter:
            break
        }
        settleCause(of: message)
    }

    private mutating func settleCause(of message: Outgoing<Message>) {
        guard let cause = message.cause, let left = inFlight[cause]?.messages else { return }
        inFlight[cause]?.messages = left - 1
        if left <= 1 { settle(cause) }
    }

    /// Puts away what the broker will never take, so that others' events go on.
    private mutating func giveUp(_ message: Outgoing<Message>, _ reason: String, at now: Duration) {
        switch message.source {
        case .outbox, .quarantine:
            quarantine.customers.insert(message.customer)
            quarantine.nextCheck = quarantine.nextCheck ?? now + limits.quarantineInterval
            quarantine.add([message], reason: reason)
            note(.quarantined(message.customer, reason: reason))
            settleCause(of: message)
            // Those of its customer that were released together with it go back too.
            let isBehind = { (other: Outgoing<Message>) in other.customer == message.customer && other.isStored }
            for index in publications.indices {
                let behind = publications[index].messages.filter(isBehind)
                guard !behind.isEmpty else { continue }
                publications[index].messages.removeAll(where: isBehind)
                quarantine.add(behind, reason: "")
                for message in behind { settleCause(of: message) }
            }
        case .delivery:
            note(.dropped(reason))
            settleCause(of: message)
        case .deadLetter:
            // As the broker has it, it can put it aside itself.
            if let cause = message.cause { reject(cause) }
        }
    }

    private mutating func dropFinishedPublications() {
        while let first = publications.first, first.messages.isEmpty, publishing == nil {
            publications.removeFirst()
            if let partition = first.leftoverOf, partitions[partition]?.state == .leftover(.publishing) {
                partitions[partition]?.state = .leftover(.toRead)
            }
        }
    }

    // MARK: What was left, what was released

    mutating func leftover(
        _ messages: [Outgoing<Message>], of partition: Int, _ quarantined: Set<CustomerID>, at now: Duration
    ) {
        quarantine.customers.formUnion(quarantined)
        if !quarantine.customers.isEmpty, quarantine.nextCheck == nil {
            quarantine.nextCheck = now + limits.quarantineInterval
        }
        if messages.isEmpty {
            let isHandedOver = partitions[partition]?.isHandedOver ?? true
            partitions[partition]?.state = isHandedOver ? .closed : .waiting
            partitions[partition]?.retryAt = now
        } else {
            note(.leftover(partition: partition, events: messages.count))
            partitions[partition]?.state = .leftover(.publishing)
            publish(messages, leftoverOf: partition, at: now)
        }
    }

    mutating func releasedFromQuarantine(
        _ messages: [Outgoing<Message>], _ quarantined: Set<CustomerID>, at now: Duration
    ) {
        quarantine.customers = quarantined.union(quarantine.moves.flatMap(\.messages).map(\.customer))
        publish(messages, at: now)
        quarantine.nextCheck = quarantine.customers.isEmpty ? nil : now + limits.quarantineInterval
    }

    /// Whether something that was released is on its way out: until it is, nothing more is read.
    var isReleasing: Bool {
        publications.contains { publication in
            publication.messages.contains { if case .quarantine = $0.source { true } else { false } }
        }
    }
}

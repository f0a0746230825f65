// What is too large for one event, in parts.

/// Which of the events that tell one thing together.
public struct EventPart: Hashable, Sendable {
    /// From 1.
    public let number: Int
    /// How many parts there are, 2 or more.
    public let count: Int

    public init(number: Int, count: Int) {
        self.number = number
        self.count = count
    }
}

/// The rule by which events are kept small: none has 256 KiB of data or more, and none has more than 500 of an invoice's
/// lines.
///
/// Sizes are bounds from above of what each thing takes as JSON. Names from the catalog need no escaping and have at most
/// 64 bytes.
enum EventParts {
    static let maximumLines = 500
    /// In bytes; leaves room for what stands in each part, such as an invoice's totals or a refund's reason.
    static let maximumSize = 240 * 1024

    /// Splits a list, in its order, so that each part has at most so many elements and is at most ``maximumSize``.
    ///
    /// - Returns: one part or more; an element that is too large by itself is a part by itself.
    static func split<Element>(
        _ elements: [Element], maximumCount: Int = .max, size: (Element) -> Int
    ) -> [[Element]] {
        var parts: [[Element]] = [[]]
        var total = 0
        for element in elements {
            let size = size(element)
            let last = parts.count - 1
            if !parts[last].isEmpty, parts[last].count == maximumCount || total + size > maximumSize {
                parts.append([element])
                total = size
            } else {
                parts[last].append(element)
                total += size
            }
        }
        return parts
    }

    /// Splits transactions together with the subscriptions that they change: each part has those that its transactions are
    /// of, and the last ones those of which there are no transactions.
    static func split(
        _ transactions: [Transaction], _ subscriptions: [Subscription]
    ) -> [(transactions: [Transaction], subscriptions: [Subscription])] {
        let whole = transactions.reduce(0) { $0 + $1.jsonSize } + subscriptions.reduce(0) { $0 + $1.jsonSize }
        if whole <= maximumSize { return [(transactions, subscriptions)] }
        let byID = Dictionary(subscriptions.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var parts: [(transactions: [Transaction], subscriptions: [Subscription])] = [([], [])]
        var held: Set<SubscriptionID> = []
        var total = 0
        func add(_ transaction: Transaction?, _ subscription: Subscription?) {
            func size() -> Int {
                (transaction?.jsonSize ?? 0)
                    + (subscription.map { held.contains($0.id) ? 0 : $0.jsonSize } ?? 0)
            }
            if total > 0, total + size() > maximumSize {
                parts.append(([], []))
                held = []
                total = 0
            }
            total += size()
            if let transaction { parts[parts.count - 1].transactions.append(transaction) }
            if let subscription, held.insert(subscription.id).inserted {
                parts[parts.count - 1].subscriptions.append(subscription)
            }
        }
        for transaction in transactions { add(transaction, byID[transaction.subscriptionID]) }
        let changed = Set(transactions.map(\.subscriptionID))
        for subscription in subscriptions where !changed.contains(subscription.id) { add(nil, subscription) }
        return parts
    }
}

extension EventData {
    /// The same in as many parts as it takes.
    var parts: [EventData] {
        switch self {
        case .customer, .settled, .rejected:
            return [self]
        case .subscriptions(let subscriptions, let transactions, let reason, let dropped):
            // What was dropped has its own parts where it doesn't fit with the rest.
            let dropped = EventParts.split(dropped) { $0.jsonSize }
            let changes = EventParts.split(transactions, subscriptions)
            let changed = transactions.reduce(0) { $0 + $1.jsonSize } + subscriptions.reduce(0) { $0 + $1.jsonSize }
            if dropped.count == 1, changed + dropped[0].reduce(0, { $0 + $1.jsonSize }) <= EventParts.maximumSize {
                return [self]
            }
            return changes.map { .subscriptions($0.subscriptions, $0.transactions, reason: reason) }
                + dropped.filter { !$0.isEmpty }.map { .subscriptions([], [], reason: reason, dropped: $0) }
        case .refund(let transactions, let subscriptions, let reason):
            return EventParts.split(transactions, subscriptions).map {
                .refund($0.transactions, $0.subscriptions, reason: reason)
            }
        case .invoice(let invoice, let lines):
            return EventParts.split(lines, maximumCount: EventParts.maximumLines) { $0.jsonSize }.map {
                .invoice(invoice, $0)
            }
        case .quote(let transactions, let total):
            return EventParts.split(transactions) { $0.jsonSize }.map { .quote($0, total: total) }
        }
    }
}

extension Transaction {
    /// At most so many bytes as JSON.
    fileprivate var jsonSize: Int { 560 + (certificateType?.utf8.count ?? 0) + (resellerID?.utf8.count ?? 0) }
}

extension Subscription {
    /// At most so many bytes as JSON.
    fileprivate var jsonSize: Int {
        [inventory, renewalInventory].reduce(400 + product.utf8.count) { size, inventory in
            inventory.keys.reduce(size) { $0 + 60 + $1.utf8.count }
        }
    }
}

extension InvoiceLine {
    /// At most so many bytes as JSON.
    fileprivate var jsonSize: Int { 220 + description.utf8.count + (resellerID?.utf8.count ?? 0) }
}

extension DroppedCertificates {
    /// At most so many bytes as JSON.
    fileprivate var jsonSize: Int { 200 + certificateType.utf8.count + reason.sentence.utf8.count }
}

// A customer's invoice of one calendar month.

public enum InvoiceState: String, CaseIterable, Sendable, Hashable {
    /// Collects lines until its month ends in the partner's zone.
    case open
    /// Numbered and immutable.
    case closed
}

/// An invoice as it now is, without its lines: each line is a transaction that names the invoice.
public struct Invoice: Hashable, Sendable {
    public let id: InvoiceID
    public let customerID: CustomerID
    public let partnerID: String
    /// The first day of its month.
    public let start: CalendarDate
    /// The first day of the month after.
    public let end: CalendarDate
    public var state: InvoiceState
    /// From the partner's gapless sequence; only once closed.
    public var number: Int64?
    /// Goes up by one with every database transaction that changes the invoice.
    public var version: Int64
    /// The sum of the lines; negative makes it a credit note.
    public var total: Money
    /// The instant at which its month ends in the partner's zone; nil once closed.
    public var dueAt: Timestamp?

    public init(
        id: InvoiceID, customerID: CustomerID, partnerID: String, start: CalendarDate, end: CalendarDate,
        state: InvoiceState, number: Int64?, version: Int64, total: Money, dueAt: Timestamp?
    ) {
        self.id = id
        self.customerID = customerID
        self.partnerID = partnerID
        self.start = start
        self.end = end
        self.state = state
        self.number = number
        self.version = version
        self.total = total
        self.dueAt = dueAt
    }
}

/// An invoice's line for one transaction.
public struct InvoiceLine: Hashable, Sendable {
    public let transactionID: TransactionID
    /// For people, in English.
    public let description: String
    public let quantity: Int64
    public let amount: Money

    /// The line of a transaction that moved money.
    public init(_ transaction: Transaction) {
        let what = "\(transaction.product) \(transaction.certificateType ?? "")"
        let when = "\(transaction.period.start) to \(transaction.period.end)"
        let part = transaction.days.map { ", \($0.charged) of \($0.term) days" } ?? ""
        let action =
            switch transaction.type {
            case .order: "Order"
            case .inventoryAddition: "Inventory addition"
            case .renewal: "Renewal"
            case .refund: "Refund"
            default: transaction.type.rawValue
            }
        self.transactionID = transaction.id
        self.description = "\(action): \(what), \(when)\(part)"
        self.quantity = transaction.quantity ?? 0
        self.amount = transaction.amount
    }
}

// A customer's invoice of one calendar month.

public enum InvoiceState: String, CaseIterable, Sendable, Hashable {
    /// Collects lines until its month ends in the partner's zone.
    case open
    /// Numbered and immutable.
    case closed
}

/// What an invoice is, by its total.
public enum InvoiceKind: String, CaseIterable, Sendable, Hashable, Comparable {
    case invoice
    /// Its total is negative.
    case creditNote

    /// The kind of an invoice with such a total.
    public init(total: Money) {
        self = total.amount < 0 ? .creditNote : .invoice
    }

    public static func < (left: InvoiceKind, right: InvoiceKind) -> Bool { left.rawValue < right.rawValue }
}

/// What an invoice's number counts in: each partner numbers the invoices of a month from 1 without a gap, and its credit
/// notes apart. So numbers are in the order of time, whenever the months are closed.
public struct InvoiceSeries: Sendable, Hashable, Comparable {
    public let partnerID: String
    /// The first day of the month.
    public let month: CalendarDate
    public let kind: InvoiceKind

    public init(partnerID: String, month: CalendarDate, kind: InvoiceKind) {
        self.partnerID = partnerID
        self.month = month
        self.kind = kind
    }

    /// What it is called, for example `2026-11`. The kind isn't part of it.
    public var name: String { String(month.description.dropLast(3)) }

    public static func < (left: InvoiceSeries, right: InvoiceSeries) -> Bool {
        (left.partnerID, left.month, left.kind) < (right.partnerID, right.month, right.kind)
    }
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
    /// From the gapless series of its partner, month and kind; only once closed.
    public var number: Int64?
    /// Goes up by one with every database transaction that changes the invoice.
    public var version: Int64
    /// The sum of the lines; negative makes it a credit note.
    public var total: Money
    /// When the clock has to look: the instant at which its month ends in the partner's zone, as its rules were known when
    /// it was worked out. Only a hint: that the invoice is due follows from ``end``. nil once closed.
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

    /// The series that numbers it, with the total that it has now.
    public var series: InvoiceSeries {
        InvoiceSeries(partnerID: partnerID, month: start, kind: InvoiceKind(total: total))
    }
}

/// An invoice's line for one transaction.
public struct InvoiceLine: Hashable, Sendable {
    public let transactionID: TransactionID
    /// The transaction's.
    public let resellerID: String?
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
        self.resellerID = transaction.resellerID
        self.description = "\(action): \(what), \(when)\(part)"
        self.quantity = transaction.quantity ?? 0
        self.amount = transaction.amount
    }
}

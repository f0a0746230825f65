// The immutable record of one change of a subscription.

public enum TransactionType: String, CaseIterable, Sendable, Hashable {
    case order
    case inventoryAddition
    case renewal
    case refund
    case renewalInventoryChange
    case autoRenewalChange
    case suspension
    case enablement
    case expiry

    /// Whether the type charges money that can be refunded.
    public var isCharge: Bool { self == .order || self == .inventoryAddition || self == .renewal }
}

/// The part of a term that was charged, in days.
public struct DaysFraction: Hashable, Sendable {
    public let charged: Int
    public let term: Int

    public init(charged: Int, term: Int) {
        self.charged = charged
        self.term = term
    }
}

/// One change of a subscription; one per certificate type where quantities are involved.
public struct Transaction: Hashable, Sendable {
    /// Made by the worker; in a quote, where nothing is booked, the nil UUID.
    public internal(set) var id: TransactionID
    public let customerID: CustomerID
    public let subscriptionID: SubscriptionID
    public let type: TransactionType
    public let product: String
    /// The reseller that managed the customer at the time; a refund's is that of its charge.
    public let resellerID: String?
    /// The subscription's period that the change belongs to; a refund's is that of its charge.
    public let period: Period
    public let certificateType: String?
    /// Certificates; always positive, the type tells the direction.
    public let quantity: Int64?
    /// Price of one certificate for the whole term, in minor units.
    public let unitPrice: Int64?
    public let days: DaysFraction?
    /// Signed: charges positive, refunds negative, 0 for what moves no money.
    public let amount: Money
    /// The effective time; of what fell due, when its day began.
    public let at: Timestamp
    /// The day that decides what it is worth, in the partner's billing zone: that of the effective time, or the day on
    /// which it fell due.
    public let date: CalendarDate
    /// The day on which it was decided, in the partner's billing zone; never before ``date``.
    public let bookedOn: CalendarDate
    /// The last day on which a charge can be refunded; nil of all that is no charge.
    public let refundableUntil: CalendarDate?
    /// Who asked for it (``Publisher/name``).
    public let publisher: String
    public let command: CommandKey
    /// The charge that a refund reverses.
    public let reverses: TransactionID?
    /// The invoice that carries the line; nil if and only if the amount is 0.
    public var invoiceID: InvoiceID?

    public init(
        id: TransactionID, customerID: CustomerID, subscriptionID: SubscriptionID, type: TransactionType,
        product: String, resellerID: String?, period: Period, certificateType: String?, quantity: Int64?,
        unitPrice: Int64?, days: DaysFraction?, amount: Money, at: Timestamp, date: CalendarDate,
        bookedOn: CalendarDate, refundableUntil: CalendarDate?, publisher: String, command: CommandKey,
        reverses: TransactionID?, invoiceID: InvoiceID?
    ) {
        self.id = id
        self.customerID = customerID
        self.subscriptionID = subscriptionID
        self.type = type
        self.product = product
        self.resellerID = resellerID
        self.period = period
        self.certificateType = certificateType
        self.quantity = quantity
        self.unitPrice = unitPrice
        self.days = days
        self.amount = amount
        self.at = at
        self.date = date
        self.bookedOn = bookedOn
        self.refundableUntil = refundableUntil
        self.publisher = publisher
        self.command = command
        self.reverses = reverses
        self.invoiceID = invoiceID
    }
}

/// A charge and how many of its certificates have been refunded.
public struct Charge: Hashable, Sendable {
    public let transaction: Transaction
    public var refundedQuantity: Int64

    public init(transaction: Transaction, refundedQuantity: Int64) {
        self.transaction = transaction
        self.refundedQuantity = refundedQuantity
    }
}

// The events that tell the world what a command did.

/// The type of an event, as it is written in the message's `type` and routing key. The one list of all event types.
public enum EventType: String, CaseIterable, Sendable, Hashable {
    case customerCreated = "customer.created"
    case customerUpdated = "customer.updated"
    case subscriptionOrdered = "subscription.ordered"
    case inventoryAdded = "inventory.added"
    case renewalInventorySet = "renewal-inventory.set"
    case autoRenewalChanged = "auto-renewal.changed"
    case subscriptionSuspended = "subscription.suspended"
    case subscriptionEnabled = "subscription.enabled"
    case subscriptionRenewed = "subscription.renewed"
    case subscriptionExpired = "subscription.expired"
    case refundProcessed = "refund.processed"
    case invoiceUpdated = "invoice.updated"
    case invoiceClosed = "invoice.closed"
    case quotePrepared = "quote.prepared"
    case customerSettled = "customer.settled"
    case commandRejected = "command.rejected"
}

/// What an event says.
public enum EventData: Hashable, Sendable {
    /// The customer as it now is.
    case customer(Customer)
    /// The subscriptions as they now are, the transactions made, why (an expiry's or suspension's reason), and what was not
    /// renewed.
    case subscriptions([Subscription], [Transaction], reason: String?, dropped: [DroppedCertificates] = [])
    /// The refunds made and the subscriptions whose inventory they changed.
    case refund([Transaction], [Subscription], reason: String?)
    /// The invoice and its new lines, or all of them once closed.
    case invoice(Invoice, [InvoiceLine])
    /// The transactions that the command would make, and their sum.
    case quote([Transaction], total: Money)
    /// What was settled: how many events came of it. The outcome of `customer.settle`.
    case settled(events: Int)
    case rejected(Rejection, CommandKey, type: String)
}

/// One thing that happened to a customer.
public struct Event: Hashable, Sendable {
    public let id: EventID
    public let type: EventType
    public let customerID: CustomerID
    /// The customer's events are numbered from 1 without gaps; 0 where there is no customer to count for.
    public let sequence: Int64
    /// When it was decided.
    public let time: Timestamp
    /// Which part it is of what is too large for one event; the parts follow on each other in the customer's sequence. nil of
    /// what is whole.
    public let part: EventPart?
    public let data: EventData
    /// The command that caused it, the last one where there were several.
    public let cause: CommandKey

    public init(
        id: EventID, type: EventType, customerID: CustomerID, sequence: Int64, time: Timestamp, data: EventData,
        cause: CommandKey, part: EventPart? = nil
    ) {
        self.id = id
        self.type = type
        self.customerID = customerID
        self.sequence = sequence
        self.time = time
        self.data = data
        self.cause = cause
        self.part = part
    }
}

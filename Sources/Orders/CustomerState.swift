// All that the decisions about one customer depend on, as loaded from the store.

/// One customer's state: whole where a decision needs it whole, else only what the commands name or what is due.
public struct CustomerState: Hashable, Sendable {
    public let id: CustomerID
    /// nil for a customer that doesn't exist.
    public var customer: Customer?
    /// The subscriptions that the commands name, those of the transactions that they name, and those that are due.
    public var subscriptions: [SubscriptionID: Subscription]
    /// The transactions that the commands name, with what was refunded of them. Whatever their type: naming one that
    /// isn't a charge has a code of its own.
    public var charges: [TransactionID: Charge]
    /// The invoice that collects lines now.
    public var openInvoice: Invoice?
    /// The lines of `openInvoice`; nil where they weren't loaded, as it didn't seem due to be closed.
    public var openInvoiceLines: [Transaction]?

    /// Where not all that is due was loaded: the last of what was, in the order in which it falls due. nil where all was.
    public var dueBound: DueBound?

    public init(
        id: CustomerID, customer: Customer? = nil, subscriptions: [SubscriptionID: Subscription] = [:],
        charges: [TransactionID: Charge] = [:], openInvoice: Invoice? = nil, openInvoiceLines: [Transaction]? = nil
    ) {
        self.id = id
        self.customer = customer
        self.subscriptions = subscriptions
        self.charges = charges
        self.openInvoice = openInvoice
        self.openInvoiceLines = openInvoiceLines
    }
}

// The books in memory, for whoever decides commands without a database.

/// Keeps what units of work change, as the database does, and knows what the next one has to be given.
public struct MemoryBooks: Sendable {
    /// Each customer's whole state, not only what some command names.
    public internal(set) var states: [CustomerID: CustomerState] = [:]
    public private(set) var invoices: [InvoiceID: Invoice] = [:]
    /// The last number given in each series.
    public private(set) var invoiceNumbers: [InvoiceSeries: Int64] = [:]

    public init() {}

    /// The states of those of the customers that there are, in the order of their ids.
    public func states(of customers: some Sequence<CustomerID>) -> [CustomerState] {
        Set(customers).sorted().compactMap { states[$0] }
    }

    /// Decides commands on the customers' states and keeps what comes of it.
    ///
    /// - Parameter decide: runs a unit of work on the states, with these last numbers of invoices; called again where an
    ///   invoice turns out to be closed in a series that has no number yet.
    /// - Returns: what `decide` returned in the end.
    public mutating func decide<Result>(
        for customers: some Sequence<CustomerID>,
        _ decide: ([CustomerState], [InvoiceSeries: Int64]) -> (changes: Changes, result: Result)
    ) -> Result {
        let states = states(of: customers)
        var numbers = invoiceNumbers
        while true {
            let (changes, result) = decide(states, numbers)
            precondition(changes.missing.invoiceLines.isEmpty, "every open invoice's lines were given")
            let missing = changes.missing.series.filter { numbers[$0] == nil }
            if missing.isEmpty {
                keep(changes)
                return result
            }
            for series in missing { numbers[series] = 0 }
        }
    }

    private mutating func keep(_ changes: Changes) {
        for customer in changes.customers {
            states[customer.id, default: CustomerState(id: customer.id)].customer = customer
        }
        for subscription in changes.subscriptions {
            states[subscription.customerID]?.subscriptions[subscription.id] = subscription
        }
        for invoice in changes.invoices {
            invoices[invoice.id] = invoice
            if invoice.state == .open {
                if states[invoice.customerID]?.openInvoice?.id != invoice.id {
                    states[invoice.customerID]?.openInvoiceLines = []
                }
                states[invoice.customerID]?.openInvoice = invoice
            } else if states[invoice.customerID]?.openInvoice?.id == invoice.id {
                states[invoice.customerID]?.openInvoice = nil
                states[invoice.customerID]?.openInvoiceLines = nil
            }
        }
        for transaction in changes.transactions {
            let id = transaction.customerID
            if transaction.invoiceID != nil, transaction.invoiceID == states[id]?.openInvoice?.id {
                states[id]?.openInvoiceLines?.append(transaction)
            }
            states[id]?.charges[transaction.id] = Charge(transaction: transaction, refundedQuantity: 0)
            if let charge = transaction.reverses {
                states[id]?.charges[charge]?.refundedQuantity += transaction.quantity ?? 0
            }
        }
        invoiceNumbers.merge(changes.invoiceNumbers) { _, new in new }
    }

    /// Has what was made as one transaction be named as another from now on: as which it was booked elsewhere.
    public mutating func know(_ made: Transaction, as booked: Transaction) {
        guard made.id != booked.id || made != booked,
            let charge = states[made.customerID]?.charges.removeValue(forKey: made.id)
        else { return }
        states[made.customerID]?.charges[booked.id] = Charge(
            transaction: booked, refundedQuantity: charge.refundedQuantity)
    }
}

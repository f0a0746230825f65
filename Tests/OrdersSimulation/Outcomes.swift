// How the model's view of a history and the rules' own compare: transactions by position, outcomes by what they say.

import Orders

/// The transactions of each customer in the order in which they were booked. The model names a transaction by its
/// place.
struct Bookings: Equatable {
    private(set) var transactions: [CustomerID: [TransactionID]] = [:]
    private(set) var positions: [CustomerID: [TransactionID: Int]] = [:]

    mutating func book(_ transaction: Transaction) {
        let id = transaction.customerID
        positions[id, default: [:]][transaction.id] = count(id)
        transactions[id, default: []].append(transaction.id)
    }

    /// How many transactions a customer has.
    func count(_ customer: CustomerID) -> Int { transactions[customer]?.count ?? 0 }

    /// The command with the transactions that it names by place named by their ids.
    func naming(_ command: Command) -> Command {
        command.naming { customer, position in
            let ids = transactions[customer] ?? []
            return ids.indices.contains(position) ? ids[position] : .number(position)
        }
    }

    /// The command as the model knows it. A batch can only be asked to refund what was booked before it; what is booked
    /// by the batch itself is unknown to whoever sent the batch.
    func asked(_ command: Command) -> Command {
        command.naming { customer, position in
            .number(position < count(customer) ? position : 1_000_000 + position)
        }
    }
}

extension Command {
    fileprivate func naming(_ id: (CustomerID, Int) -> TransactionID) -> Command {
        guard case .processRefund(let refund) = self else { return self }
        let items = refund.refunds.map {
            ProcessRefund.Item(transactionID: id(refund.customerID, Int($0.transactionID.low)), quantity: $0.quantity)
        }
        return .processRefund(
            ProcessRefund(
                customerID: refund.customerID, refunds: items, reason: refund.reason, quoteOnly: refund.quoteOnly))
    }
}

extension CommandEnvelope {
    /// The same envelope round another command, or of another time.
    func with(_ command: Command? = nil, at time: Timestamp? = nil) -> CommandEnvelope {
        CommandEnvelope(
            key: key, publisher: publisher, effectiveAt: time ?? effectiveAt, command: command ?? self.command)
    }
}

extension Model.Entry {
    /// - Parameter invoice: the place of the customer's invoice that the transaction is on.
    init(_ transaction: Transaction, _ bookings: Bookings, invoice: Int? = nil) {
        self.init(
            type: transaction.type, subscription: transaction.subscriptionID, period: transaction.period.index,
            certificateType: transaction.certificateType, quantity: transaction.quantity,
            unitPrice: transaction.unitPrice, days: transaction.days.map { [$0.charged, $0.term] },
            amount: transaction.amount.amount, date: Model.day(transaction.date),
            bookedOn: Model.day(transaction.bookedOn),
            refundableUntil: transaction.refundableUntil.map { Model.day($0) },
            reseller: transaction.resellerID,
            reverses: transaction.reverses.flatMap { bookings.positions[transaction.customerID]?[$0] },
            invoice: invoice)
    }
}

extension Model.Outcome {
    init(_ event: Event, _ bookings: Bookings) {
        if case .rejected(let rejection, _, _) = event.data {
            self = .refused(Set(rejection.violations.map(\.code.rawValue)))
        } else {
            self = .done(event.transactions.map { Model.Entry($0, bookings) })
        }
    }

    /// Which invoice an entry is on is compared with the books.
    var withoutInvoices: Model.Outcome {
        guard case .done(let entries) = self else { return self }
        return .done(
            entries.map { entry in
                var entry = entry
                entry.invoice = nil
                return entry
            })
    }
}

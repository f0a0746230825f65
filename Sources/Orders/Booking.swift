// How a decision writes down a transaction.

extension DecisionContext {
    /// A charge for certificates of one type in the subscription's current period.
    func charge(
        _ type: TransactionType, _ line: PricedLine, of subscription: Subscription, reseller: String?,
        _ identifiers: inout IdentifierSource
    ) -> Transaction {
        Transaction(
            id: identifiers.next(at: at), customerID: subscription.customerID, subscriptionID: subscription.id,
            type: type,
            product: subscription.product, resellerID: reseller, period: subscription.period,
            certificateType: line.certificateType, quantity: line.quantity, unitPrice: line.unitPrice, days: line.days,
            amount: line.amount, at: at, date: today, bookedOn: bookedOn,
            refundableUntil: RefundWindow.lastDay(bookedOn: bookedOn, days: partner.refundWindowDays),
            publisher: publisher.name, command: key, reverses: nil, invoiceID: nil)
    }

    /// A change of the subscription that moves no money.
    func change(
        _ type: TransactionType, of subscription: Subscription, reseller: String?,
        certificates: CertificateQuantity? = nil, _ identifiers: inout IdentifierSource
    ) -> Transaction {
        Transaction(
            id: identifiers.next(at: at), customerID: subscription.customerID, subscriptionID: subscription.id,
            type: type,
            product: subscription.product, resellerID: reseller, period: subscription.period,
            certificateType: certificates?.certificateType, quantity: certificates?.quantity, unitPrice: nil,
            days: nil, amount: .zero(partner.currency), at: at, date: today, bookedOn: bookedOn, refundableUntil: nil,
            publisher: publisher.name, command: key, reverses: nil, invoiceID: nil)
    }

    /// The refund of some certificates of a charge; `amount` is what is given back, positive. It is the charge's
    /// reseller's, whoever manages the customer now.
    func refund(
        _ quantity: Int64, of charge: Transaction, amount: Money, _ identifiers: inout IdentifierSource
    ) -> Transaction {
        Transaction(
            id: identifiers.next(at: at), customerID: charge.customerID, subscriptionID: charge.subscriptionID,
            type: .refund, product: charge.product, resellerID: charge.resellerID, period: charge.period,
            certificateType: charge.certificateType, quantity: quantity, unitPrice: charge.unitPrice,
            days: charge.days, amount: Money(amount: -amount.amount, currency: amount.currency), at: at, date: today,
            bookedOn: bookedOn, refundableUntil: nil, publisher: publisher.name, command: key, reverses: charge.id,
            invoiceID: nil)
    }
}

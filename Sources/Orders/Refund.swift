// The rule of `refund.process`: certificates given back for money, all or nothing.

extension CustomerState {
    /// Refunds some certificates of one or more of the customer's charges. A subscription of whose current period nothing is
    /// left doesn't renew: who was paid back in full isn't charged again.
    func processRefund(
        _ command: ProcessRefund, _ customer: Customer, _ context: DecisionContext,
        _ identifiers: inout IdentifierSource
    ) throws(Rejection) -> Decision {
        var violations: [Violation] = []
        var changed: [Subscription] = []
        var transactions: [Transaction] = []
        if command.refunds.isEmpty {
            violations.append(Violation(.quantityRequired, at: "/refunds", "At least one transaction is needed."))
        }
        for (index, item) in command.refunds.enumerated() {
            if command.refunds[..<index].contains(where: { $0.transactionID == item.transactionID }) {
                violations.append(
                    Violation(
                        .transactionDuplicate, at: "/refunds/\(index)/transactionId",
                        "The transaction \(item.transactionID) is named twice; add the quantities up."))
                continue
            }
            guard let charge = charges[item.transactionID] else {
                violations.append(
                    Violation(
                        .transactionUnknown, at: "/refunds/\(index)/transactionId",
                        "The customer has no transaction \(item.transactionID)."))
                continue
            }
            guard let amount = refundable(item, index, charge, context, &violations) else { continue }
            let refund = context.refund(
                item.quantity, of: charge.transaction, amount: amount, &identifiers)
            transactions.append(refund)
            take(refund, index, from: &changed, &violations)
        }
        if let rejection = Rejection(violations) { throw rejection }
        for index in changed.indices where changed[index].isPaidBack && changed[index].autoRenewal {
            changed[index].autoRenewal = false
            transactions.append(
                context.change(
                    .autoRenewalChange, of: changed[index], reseller: customer.resellerID, &identifiers))
        }
        return Decision(
            subscriptions: changed, transactions: transactions, type: .refundProcessed,
            data: .refund(transactions, changed, reason: command.reason))
    }

    /// The amount to give back for one item; nil where it breaks a rule.
    private func refundable(
        _ item: ProcessRefund.Item, _ index: Int, _ charge: Charge, _ context: DecisionContext,
        _ violations: inout [Violation]
    ) -> Money? {
        let transaction = charge.transaction
        guard transaction.type.isCharge, let bought = transaction.quantity, let lastDay = transaction.refundableUntil
        else {
            violations.append(
                Violation(
                    .transactionNotRefundable, at: "/refunds/\(index)/transactionId",
                    "The transaction is of type \(transaction.type.rawValue); only charges can be refunded."))
            return nil
        }
        let isOpen = context.today <= lastDay
        if !isOpen {
            violations.append(
                Violation(
                    .refundWindowClosed, at: "/refunds/\(index)/transactionId",
                    "The charge of \(transaction.date) could be refunded until \(lastDay), and today is "
                        + "\(context.today)."))
        }
        if item.quantity < 1 {
            violations.append(
                Violation(.quantityRequired, at: "/refunds/\(index)/quantity", "The quantity must be at least 1."))
            return nil
        }
        let left = max(0, bought - charge.refundedQuantity)
        guard item.quantity <= left,
            let amount = RefundAmount.amount(
                of: transaction.amount, quantity: bought, alreadyRefunded: charge.refundedQuantity,
                refunding: item.quantity)
        else {
            violations.append(
                Violation(
                    .quantityExceedsRefundable, at: "/refunds/\(index)/quantity",
                    "Of \(bought) certificates bought, \(left) can still be refunded."))
            return nil
        }
        return isOpen ? amount : nil
    }

    /// Takes the refunded certificates out of the inventory if they are of the subscription's current period.
    private func take(
        _ refund: Transaction, _ index: Int, from changed: inout [Subscription], _ violations: inout [Violation]
    ) {
        let position = changed.firstIndex { $0.id == refund.subscriptionID }
        guard var subscription = position.map({ changed[$0] }) ?? subscriptions[refund.subscriptionID],
            subscription.period.index == refund.period.index, let type = refund.certificateType,
            let quantity = refund.quantity
        else { return }
        let held = subscription.inventory[type, default: 0]
        guard quantity <= held else {
            violations.append(
                Violation(
                    .quantityExceedsInventory, at: "/refunds/\(index)/quantity",
                    "The subscription holds \(held) certificates of type \"\(type)\"."))
            return
        }
        subscription.inventory[type] = quantity < held ? held - quantity : nil
        if let position { changed[position] = subscription } else { changed.append(subscription) }
    }
}

extension Subscription {
    /// Whether it runs but holds nothing any more.
    fileprivate var isPaidBack: Bool { state != .expired && inventory.allSatisfy { $0.value == 0 } }
}

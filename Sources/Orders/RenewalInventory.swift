// The rule of `renewal-inventory.set`: what a subscription will hold once it renews.

extension CustomerState {
    /// Sets the number of each named certificate type after renewal, absolutely; types that aren't named keep what was
    /// set for them before. An empty list clears all that was set. Nothing is charged until the renewal.
    func setRenewalInventory(
        _ command: SetRenewalInventory, _ customer: Customer, _ context: DecisionContext,
        _ identifiers: inout IdentifierSource
    ) throws(Rejection) -> Decision {
        var violations: [Violation] = []
        var subscription = try running(command.subscriptionID)
        for (index, item) in command.renewalInventory.enumerated() {
            let type = item.certificateType
            if command.renewalInventory[..<index].contains(where: { $0.certificateType == type }) {
                violations.append(
                    Violation(
                        .certificateTypeDuplicate, at: "/renewalInventory/\(index)/certificateType",
                        "The certificate type \"\(type)\" is named twice."))
            }
            checkCanBeSold(item, index, subscription, context, &violations)
            if item.quantity < 0 {
                violations.append(
                    Violation(
                        .quantityRequired, at: "/renewalInventory/\(index)/quantity",
                        "The quantity must be 0 or more."))
            }
            subscription.renewalInventory[type] = item.quantity
        }
        if let rejection = Rejection(violations) { throw rejection }

        var transactions: [Transaction] = []
        if command.renewalInventory.isEmpty {
            subscription.renewalInventory = [:]
            transactions.append(
                context.change(
                    .renewalInventoryChange, of: subscription, reseller: customer.resellerID, &identifiers))
        }
        for item in command.renewalInventory {
            transactions.append(
                context.change(
                    .renewalInventoryChange, of: subscription, reseller: customer.resellerID, certificates: item,
                    &identifiers))
        }
        return Decision(
            subscriptions: [subscription], transactions: transactions, type: .renewalInventorySet,
            data: .subscriptions([subscription], transactions, reason: nil))
    }

    /// A type that is to be renewed must be one that can be sold at the renewal. To set 0 is to drop it, which may be done
    /// with whatever is held or was ever sold.
    private func checkCanBeSold(
        _ item: CertificateQuantity, _ index: Int, _ subscription: Subscription, _ context: DecisionContext,
        _ violations: inout [Violation]
    ) {
        let type = item.certificateType
        let pointer = "/renewalInventory/\(index)/certificateType"
        let isKnown = context.catalog.products[subscription.product]?.certificateTypes[type] != nil
        guard isKnown || subscription.inventory[type] != nil else {
            violations.append(
                Violation(
                    .certificateTypeUnknown, at: pointer,
                    "The product \"\(subscription.product)\" has no certificate type \"\(type)\"."))
            return
        }
        guard item.quantity > 0 else { return }
        let date = max(context.today, subscription.period.end)
        switch context.catalog.obstacle(
            toSelling: type, of: subscription.product, for: subscription.term, to: context.partner, on: date)
        {
        case nil:
            break
        case .productNotSold, .termNotSold:
            violations.append(
                Violation(
                    .termNotSold, at: pointer,
                    "The product \"\(subscription.product)\" isn't sold for \(subscription.term) on \(date), when the "
                        + "subscription would renew."))
        case .certificateTypeNotSold:
            violations.append(
                Violation(
                    .certificateTypeNotSold, at: pointer,
                    "The certificate type \"\(type)\" isn't sold on \(date), when the subscription would renew."))
        case .noPrice:
            violations.append(
                Violation(
                    .priceUnknown, at: pointer,
                    "No price in \(context.partner.currency) is in force for \"\(type)\" for \(subscription.term) on "
                        + "\(date), when the subscription would renew."))
        }
    }
}

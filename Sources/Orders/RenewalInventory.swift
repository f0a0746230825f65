// The rule of `renewal-inventory.set`: what a subscription will hold once it renews.

extension CustomerState {
    /// Sets the number of each named certificate type after renewal, absolutely; types that aren't named keep what was
    /// set for them before. Nothing is charged until the renewal.
    func setRenewalInventory(
        _ command: SetRenewalInventory, _ customer: Customer, _ context: DecisionContext,
        _ identifiers: inout IdentifierSource
    ) throws(Rejection) -> Decision {
        var violations: [Violation] = []
        var subscription = try running(command.subscriptionID)
        let product = context.catalog.products[subscription.product]
        if command.renewalInventory.isEmpty {
            violations.append(
                Violation(.quantityRequired, at: "/renewalInventory", "At least one certificate type is needed."))
        }
        for (index, item) in command.renewalInventory.enumerated() {
            let type = item.certificateType
            if command.renewalInventory[..<index].contains(where: { $0.certificateType == type }) {
                violations.append(
                    Violation(
                        .certificateTypeDuplicate, at: "/renewalInventory/\(index)/certificateType",
                        "The certificate type \"\(type)\" is named twice."))
            }
            // What is held but not sold any more can be dropped this way, so that the rest renews.
            if product?.certificateTypes.contains(type) != true, subscription.inventory[type] == nil {
                violations.append(
                    Violation(
                        .certificateTypeUnknown, at: "/renewalInventory/\(index)/certificateType",
                        "The product \"\(subscription.product)\" has no certificate type \"\(type)\"."))
            }
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
}

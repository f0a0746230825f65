// The rule of `auto-renewal.set`: whether a subscription renews at its end.

extension CustomerState {
    /// Sets auto-renewal; setting what is set already is recorded as well.
    func setAutoRenewal(
        _ command: SetAutoRenewal, _ customer: Customer, _ context: DecisionContext,
        _ identifiers: inout IdentifierSource
    ) throws(Rejection) -> Decision {
        var subscription = try running(command.subscriptionID)
        subscription.autoRenewal = command.autoRenewal
        let transaction = context.change(
            .autoRenewalChange, of: subscription, reseller: customer.resellerID, &identifiers)
        return Decision(
            subscriptions: [subscription], transactions: [transaction], type: .autoRenewalChanged,
            data: .subscriptions([subscription], [transaction], reason: nil))
    }
}

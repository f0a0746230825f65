// The rules of `subscription.suspend` and `subscription.enable`: no money moves, and the end date stays.

extension CustomerState {
    /// Suspends an active subscription: until it is enabled nothing can be added, and it doesn't renew.
    func suspend(
        _ command: SuspendSubscription, _ customer: Customer, _ context: DecisionContext,
        _ identifiers: inout IdentifierSource
    ) throws(Rejection) -> Decision {
        var subscription = try running(command.subscriptionID)
        guard subscription.state != .suspended else {
            throw Rejection(
                Violation(
                    .subscriptionAlreadySuspended, at: "/subscriptionId", "The subscription is suspended already."))
        }
        subscription.state = .suspended
        let transaction = context.change(.suspension, of: subscription, reseller: customer.resellerID, &identifiers)
        return Decision(
            subscriptions: [subscription], transactions: [transaction], type: .subscriptionSuspended,
            data: .subscriptions([subscription], [transaction], reason: command.reason))
    }

    /// Enables a suspended subscription, which is possible until its period ends.
    func enable(
        _ command: EnableSubscription, _ customer: Customer, _ context: DecisionContext,
        _ identifiers: inout IdentifierSource
    ) throws(Rejection) -> Decision {
        var subscription = try running(command.subscriptionID)
        guard subscription.state != .active else {
            throw Rejection(
                Violation(.subscriptionAlreadyActive, at: "/subscriptionId", "The subscription is active already."))
        }
        subscription.state = .active
        let transaction = context.change(.enablement, of: subscription, reseller: customer.resellerID, &identifiers)
        return Decision(
            subscriptions: [subscription], transactions: [transaction], type: .subscriptionEnabled,
            data: .subscriptions([subscription], [transaction], reason: command.reason))
    }
}

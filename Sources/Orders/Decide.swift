// Which rule decides which command.

extension CustomerState {
    /// Decides a command on this state, in which everything due has been settled.
    ///
    /// - Throws: the refusal, with every rule that the command breaks.
    func decide(
        _ command: Command, _ context: DecisionContext, _ identifiers: inout IdentifierSource
    ) throws(Rejection) -> Decision {
        if case .createCustomer(let command) = command { return try createCustomer(command, context) }
        guard let customer else { throw .customerUnknown }
        switch command {
        case .createCustomer(let command):
            return try createCustomer(command, context)
        case .updateCustomer(let command):
            return try updateCustomer(command, customer, context)
        case .orderSubscriptions(let command):
            return try orderSubscriptions(command, customer, context, &identifiers)
        case .addInventory(let command):
            return try addInventory(command, customer, context, &identifiers)
        case .setRenewalInventory(let command):
            return try setRenewalInventory(command, customer, context, &identifiers)
        case .setAutoRenewal(let command):
            return try setAutoRenewal(command, customer, context, &identifiers)
        case .suspendSubscription(let command):
            return try suspend(command, customer, context, &identifiers)
        case .enableSubscription(let command):
            return try enable(command, customer, context, &identifiers)
        case .processRefund(let command):
            return try processRefund(command, customer, context, &identifiers)
        case .settle:
            // Settling has happened before any rule is asked; the command itself changes nothing more.
            return Decision(type: .customerSettled, data: .settled(events: 0))
        }
    }
}

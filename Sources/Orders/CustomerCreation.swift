// The rule of `customer.create`: a new customer, and who administers it.

extension CustomerState {
    /// Creates the customer. A customer-administered one needs an administrator's e-mail address; a
    /// partner-administered one mustn't have one.
    func createCustomer(_ command: CreateCustomer, _ context: DecisionContext) throws(Rejection) -> Decision {
        var violations: [Violation] = []
        if customer != nil {
            violations.append(
                Violation(.customerExists, at: "/customerId", "A customer with this id exists; use customer.update."))
        }
        if let reseller = command.resellerID {
            context.checkReseller(reseller, &violations)
        }
        command.address.check(at: "/address", &violations)
        switch (command.administrativeResponsibility, command.customerAdminEmail) {
        case (.customerAdministered, nil):
            violations.append(
                Violation(
                    .customerAdminEmailRequired, at: "/customerAdminEmail",
                    "A customer-administered customer needs a customer admin e-mail address."))
        case (.partnerAdministered, .some):
            violations.append(
                Violation(
                    .customerAdminEmailNotAllowed, at: "/customerAdminEmail",
                    "A partner-administered customer has no customer administrator; leave the address out."))
        case (.customerAdministered, .some), (.partnerAdministered, nil):
            break
        }
        if let rejection = Rejection(violations) { throw rejection }

        let customer = Customer(
            id: command.customerID, partnerID: context.partner.id, companyName: command.companyName,
            address: command.address, resellerID: command.resellerID,
            administrativeResponsibility: command.administrativeResponsibility,
            administratorEmail: command.customerAdminEmail, createdAt: context.at, sequence: 0, settledThrough: nil)
        return Decision(customer: customer, type: .customerCreated, data: .customer(customer))
    }
}

extension DecisionContext {
    /// A customer's managing reseller must be one of its partner's.
    func checkReseller(_ reseller: String, _ violations: inout [Violation]) {
        guard partner.resellers[reseller] == nil else { return }
        violations.append(
            Violation(.resellerUnknown, at: "/resellerId", "The partner has no reseller \"\(reseller)\"."))
    }
}

// The rule of `customer.update`: everything may change but administrative responsibility.

extension CustomerState {
    /// Changes what the command names and keeps the rest.
    func updateCustomer(
        _ command: UpdateCustomer, _ customer: Customer, _ context: DecisionContext
    ) throws(Rejection) -> Decision {
        var customer = customer
        var violations: [Violation] = []
        if let responsibility = command.administrativeResponsibility,
            responsibility != customer.administrativeResponsibility
        {
            violations.append(
                Violation(
                    .administrativeResponsibilityImmutable, at: "/administrativeResponsibility",
                    "The customer is \(customer.administrativeResponsibility.rawValue) and stays so."))
        }
        switch command.reseller {
        case .keep:
            break
        case .clear:
            customer.resellerID = nil
        case .set(let reseller):
            context.checkReseller(reseller, &violations)
            customer.resellerID = reseller
        }
        command.address?.check(at: "/address", &violations)
        if let email = command.customerAdminEmail {
            if customer.administrativeResponsibility == .partnerAdministered {
                violations.append(
                    Violation(
                        .customerAdminEmailNotAllowed, at: "/customerAdminEmail",
                        "A partner-administered customer has no customer administrator; leave the address out."))
            }
            customer.administratorEmail = email
        }
        if let rejection = Rejection(violations) { throw rejection }

        if let companyName = command.companyName { customer.companyName = companyName }
        if let address = command.address { customer.address = address }
        return Decision(customer: customer, type: .customerUpdated, data: .customer(customer))
    }
}

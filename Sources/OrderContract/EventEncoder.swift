// Writes the data of events as JSON.

public import Orders

/// Writes the data of events. The same event always gives the same bytes.
public enum EventEncoder {
    /// The event's data as JSON text.
    public static func data(of event: Event) -> [UInt8] {
        var writer = JSONWriter(capacity: 1024)
        writer.object { writer in
            writer.member("customerId", event.customerID.description)
            writer.member("sequence", event.sequence)
            if let part = event.part {
                writer.member("part") { writer in
                    writer.member("number", Int64(part.number))
                    writer.member("of", Int64(part.count))
                }
            }
            write(event.data, &writer)
        }
        return writer.bytes
    }

    private static func write(_ data: EventData, _ writer: inout JSONWriter) {
        switch data {
        case .customer(let customer):
            write(customer, &writer)
        case .subscriptions(let subscriptions, let transactions, let reason, let dropped):
            writer.member("subscriptions", subscriptions, write)
            writer.member("transactions", transactions, write)
            writer.member("reason", ifPresent: reason)
            if !dropped.isEmpty { writer.member("dropped", dropped, write) }
        case .refund(let transactions, let subscriptions, let reason):
            writer.member("transactions", transactions, write)
            writer.member("subscriptions", subscriptions, write)
            writer.member("reason", ifPresent: reason)
        case .invoice(let invoice, let lines):
            write(invoice, lines, &writer)
        case .quote(let transactions, let total):
            writer.member("transactions", transactions, write)
            writer.member("total", total)
        case .settled(let events):
            writer.member("events", Int64(events))
        case .rejected(let rejection, let key, let type):
            write(rejection, key, type, &writer)
        }
    }

    // MARK: Customers

    private static func write(_ customer: Customer, _ writer: inout JSONWriter) {
        writer.member("partnerId", customer.partnerID)
        writer.member("companyName", customer.companyName)
        writer.member("address") { writer in
            let address = customer.address
            writer.member("line1", address.line1)
            writer.member("line2", ifPresent: address.line2)
            writer.member("line3", ifPresent: address.line3)
            writer.member("city", address.city)
            // Always there, as the first release promised.
            writer.member("postalCode", address.postalCode ?? "")
            writer.member("stateOrProvince", address.stateOrProvince ?? "")
            writer.member("country", address.country)
        }
        writer.member("resellerId", ifPresent: customer.resellerID)
        writer.member("administrativeResponsibility", customer.administrativeResponsibility.rawValue)
        writer.member("domainPrevalidation", customer.domainPrevalidation)
        if let email = customer.administratorEmail {
            writer.member("administrator") { $0.member("email", email) }
        }
        writer.member("createdAt", customer.createdAt.description)
    }

    // MARK: Subscriptions and transactions

    private static func write(_ writer: inout JSONWriter, _ subscription: Subscription) {
        writer.object { writer in
            writer.member("subscriptionId", subscription.id.description)
            writer.member("product", subscription.product)
            writer.member("term", subscription.term.description)
            writer.member("state", subscription.state.rawValue)
            writer.member("start", subscription.period.start.description)
            writer.member("end", subscription.period.end.description)
            writer.member("autoRenewal", subscription.autoRenewal)
            write("inventory", subscription.inventory, &writer)
            if !subscription.renewalInventory.isEmpty {
                write("renewalInventory", subscription.renewalInventory, &writer)
            }
        }
    }

    private static func write(_ name: String, _ inventory: [String: Int64], _ writer: inout JSONWriter) {
        writer.member(name, inventory.sorted { $0.key < $1.key }) { writer, entry in
            writer.object { writer in
                writer.member("certificateType", entry.key)
                writer.member("quantity", entry.value)
            }
        }
    }

    private static func write(_ writer: inout JSONWriter, _ dropped: DroppedCertificates) {
        writer.object { writer in
            writer.member("certificateType", dropped.certificateType)
            writer.member("quantity", dropped.quantity)
            writer.member("code", dropped.reason.rawValue)
            writer.member("reason", dropped.reason.sentence)
        }
    }

    private static func write(_ writer: inout JSONWriter, _ transaction: Transaction) {
        writer.object { writer in
            writer.member("transactionId", transaction.id.description)
            writer.member("type", transaction.type.rawValue)
            writer.member("subscriptionId", transaction.subscriptionID.description)
            writer.member("certificateType", ifPresent: transaction.certificateType)
            writer.member("quantity", ifPresent: transaction.quantity)
            if let unitPrice = transaction.unitPrice {
                writer.member("unitPrice", Money(amount: unitPrice, currency: transaction.amount.currency))
            }
            if let days = transaction.days {
                writer.member("days") { writer in
                    writer.member("charged", Int64(days.charged))
                    writer.member("term", Int64(days.term))
                }
            }
            writer.member("amount", transaction.amount)
            writer.member("at", transaction.at.description)
            writer.member("date", transaction.date.description)
            writer.member("bookedOn", transaction.bookedOn.description)
            writer.member("refundableUntil", ifPresent: transaction.refundableUntil?.description)
            writer.member("resellerId", ifPresent: transaction.resellerID)
            writer.member("reverses", ifPresent: transaction.reverses?.description)
        }
    }

    // MARK: Invoices

    private static func write(_ invoice: Invoice, _ lines: [InvoiceLine], _ writer: inout JSONWriter) {
        writer.member("invoiceId", invoice.id.description)
        if invoice.state == .closed {
            writer.member("kind", invoice.series.kind.rawValue)
            writer.member("series", invoice.series.name)
        }
        writer.member("number", ifPresent: invoice.number)
        writer.member("state", invoice.state.rawValue)
        writer.member("version", invoice.version)
        writer.member("period") { writer in
            writer.member("start", invoice.start.description)
            writer.member("end", invoice.end.description)
        }
        writer.member("total", invoice.total)
        writer.member("lines", lines) { writer, line in
            writer.object { writer in
                writer.member("transactionId", line.transactionID.description)
                writer.member("resellerId", ifPresent: line.resellerID)
                writer.member("description", line.description)
                writer.member("quantity", line.quantity)
                writer.member("amount", line.amount)
            }
        }
    }

    // MARK: Rejections

    private static func write(
        _ rejection: Rejection, _ key: CommandKey, _ type: String, _ writer: inout JSONWriter
    ) {
        writer.member("code", rejection.code.rawValue)
        writer.member("message", rejection.message)
        let listed = listed(rejection.violations)
        writer.member("violations", listed, write)
        if listed.count < rejection.violations.count {
            writer.member("violationsOmitted", Int64(rejection.violations.count - listed.count))
        }
        writer.member("command") { writer in
            // What couldn't be read of the message is empty.
            writer.member("id", ifPresent: key.id.isEmpty ? nil : key.id)
            writer.member("source", ifPresent: key.source.isEmpty ? nil : key.source)
            writer.member("type", ifPresent: type.isEmpty ? nil : type)
        }
    }

    /// What the violations in an event may take as JSON, in bytes.
    private static let maximumViolationsSize = 240 * 1024

    /// The first of the violations, as many as an event has room for; at least one.
    private static func listed(_ violations: [Violation]) -> [Violation] {
        // No code, pointer or sentence of a rule is as long as that.
        if violations.count * 1024 <= maximumViolationsSize { return violations }
        var writer = JSONWriter()
        for (index, violation) in violations.enumerated() {
            write(&writer, violation)
            if writer.bytes.count > maximumViolationsSize { return Array(violations.prefix(max(1, index))) }
        }
        return violations
    }

    static func write(_ writer: inout JSONWriter, _ violation: Violation) {
        writer.object { writer in
            writer.member("code", violation.code.rawValue)
            writer.member("pointer", violation.pointer)
            writer.member("message", violation.message)
        }
    }
}

extension JSONWriter {
    fileprivate mutating func member(_ name: String, _ money: Money) {
        member(name) { writer in
            writer.member("amount", money.amount)
            writer.member("currency", money.currency.code)
        }
    }
}

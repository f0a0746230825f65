// An example of the data of each event: shown in the documents. The tests hold the encoder against them.

internal import Orders

extension EventType {
    /// An example of the event's data, accepted by its schema.
    var example: String {
        #"{"customerId": "\#(ExampleID.customer)", "sequence": 7, \#(exampleMembers)}"#
    }

    private var exampleMembers: String {
        switch self {
        case .customerCreated, .customerUpdated:
            """
            "partnerId": "acme", "companyName": "Example GmbH", "address": {"line1": "Invalidenstraße 1",
            "city": "Berlin", "postalCode": "10115", "stateOrProvince": "Berlin", "country": "DE"},
            "resellerId": "nordlicht", "administrativeResponsibility": "customerAdministered",
            "domainPrevalidation": true, "administrator": {"email": "admin@example.com"},
            "createdAt": "2026-11-22T21:35:06Z"
            """
        case .subscriptionOrdered: Example.change(Example.subscription(), Example.order)
        case .subscriptionRenewed:
            Example.change(Example.subscription(), Example.renewal) + """
                , "dropped": [{"certificateType": "smime", "quantity": 5, "code": "not_sold",
                "reason": "The certificate type is no longer sold."}]
                """
        case .inventoryAdded: Example.change(Example.subscription(inventory: 27), Example.addition)
        case .renewalInventorySet:
            Example.change(Example.subscription(renewalInventory: 30), Example.renewalInventoryChange)
        case .autoRenewalChanged: Example.change(Example.subscription(), Example.note("autoRenewalChange"))
        case .subscriptionSuspended:
            Example.change(
                Example.subscription("suspended"), Example.note("suspension"), reason: "The invoice is overdue.")
        case .subscriptionEnabled: Example.change(Example.subscription(), Example.note("enablement"))
        case .subscriptionExpired:
            Example.change(
                Example.subscription("expired"), Example.note("expiry"), reason: "Auto-renewal is off.")
        case .refundProcessed:
            """
            "transactions": [\(Example.refund)], "subscriptions": [\(Example.subscription(inventory: 23))],
            "reason": "Ordered twice."
            """
        case .invoiceUpdated: Example.openInvoice
        case .invoiceClosed: Example.closedInvoice
        case .quotePrepared:
            #""transactions": [\#(Example.quotedOrder)], "total": {"amount": 282740, "currency": "EUR"}"#
        case .customerSettled: #""events": 2"#
        case .commandRejected:
            """
            "code": "start_date_too_late", "message": "The start date 2027-12-24 is after 2027-02-20.",
            "violations": [{"code": "start_date_too_late", "pointer": "/subscriptions/0/startDate",
            "message": "The start date 2027-12-24 is after 2027-02-20."}],
            "command": {"id": "order-2026-000417", "source": "shop", "type": "subscription.order"}
            """
        }
    }
}

/// The parts of the examples: 25 certificates at 120.00 a year, of which 344 days are left.
private enum Example {
    static func change(_ subscription: String, _ transaction: String, reason: String? = nil) -> String {
        let reason = reason.map { #", "reason": "\#($0)""# } ?? ""
        return #""subscriptions": [\#(subscription)], "transactions": [\#(transaction)]\#(reason)"#
    }

    static func subscription(
        _ state: String = "active", inventory: Int = 25, renewalInventory: Int? = nil
    ) -> String {
        let renewal = renewalInventory.map {
            #", "renewalInventory": [{"certificateType": "ov-ssl", "quantity": \#($0)}]"#
        }
        return """
            {"subscriptionId": "\(ExampleID.subscription)", "product": "enterprise-pki", "term": "P1Y",
            "state": "\(state)", "start": "2026-11-01", "end": "2027-11-01", "autoRenewal": true,
            "inventory": [{"certificateType": "ov-ssl", "quantity": \(inventory)}]\(renewal ?? "")}
            """
    }

    static let order = charge("order", quantity: 25, charged: 344, amount: 282_740)
    static let quotedOrder = charge("order", id: ExampleID.none, quantity: 25, charged: 344, amount: 282_740)
    static let addition = charge("inventoryAddition", quantity: 2, charged: 344, amount: 22_619)
    static let renewal = charge("renewal", quantity: 25, charged: 365, amount: 300_000)

    private static func charge(
        _ type: String, id: String = ExampleID.order, quantity: Int, charged: Int, amount: Int
    ) -> String {
        """
        {"transactionId": "\(id)", "type": "\(type)", "subscriptionId": "\(ExampleID.subscription)",
        "certificateType": "ov-ssl", "quantity": \(quantity), "unitPrice": {"amount": 12000, "currency": "EUR"},
        "days": {"charged": \(charged), "term": 365}, "amount": {"amount": \(amount), "currency": "EUR"},
        "at": "2026-11-22T21:35:06Z", "date": "2026-11-22", "bookedOn": "2026-11-22",
        "refundableUntil": "2026-12-22", "resellerId": "nordlicht"}
        """
    }

    static let refund = """
        {"transactionId": "\(ExampleID.refund)", "type": "refund", "subscriptionId": "\(ExampleID.subscription)",
        "certificateType": "ov-ssl", "quantity": 2, "unitPrice": {"amount": 12000, "currency": "EUR"},
        "amount": {"amount": -22619, "currency": "EUR"}, "at": "2026-11-22T21:35:06Z", "date": "2026-11-22",
        "bookedOn": "2026-11-22", "resellerId": "nordlicht", "reverses": "\(ExampleID.order)"}
        """

    static let renewalInventoryChange = """
        {"transactionId": "\(ExampleID.order)", "type": "renewalInventoryChange",
        "subscriptionId": "\(ExampleID.subscription)", "certificateType": "ov-ssl", "quantity": 30,
        "amount": {"amount": 0, "currency": "EUR"}, "at": "2026-11-22T21:35:06Z", "date": "2026-11-22",
        "bookedOn": "2026-11-22", "resellerId": "nordlicht"}
        """

    /// A transaction that only notes a change.
    static func note(_ type: String) -> String {
        """
        {"transactionId": "\(ExampleID.order)", "type": "\(type)", "subscriptionId": "\(ExampleID.subscription)",
        "amount": {"amount": 0, "currency": "EUR"}, "at": "2026-11-22T21:35:06Z", "date": "2026-11-22",
        "bookedOn": "2026-11-22", "resellerId": "nordlicht"}
        """
    }

    private static let orderLine = """
        {"transactionId": "\(ExampleID.order)", "resellerId": "nordlicht",
        "description": "Order: enterprise-pki ov-ssl, 2026-11-01 to 2027-11-01, 344 of 365 days", "quantity": 25,
        "amount": {"amount": 282740, "currency": "EUR"}}
        """

    static let openInvoice = """
        "invoiceId": "\(ExampleID.invoice)", "state": "open", "version": 1,
        "period": {"start": "2026-11-01", "end": "2026-12-01"}, "total": {"amount": 282740, "currency": "EUR"},
        "lines": [\(orderLine)]
        """

    static let closedInvoice = """
        "invoiceId": "\(ExampleID.invoice)", "kind": "invoice", "series": "2026-11", "number": 1042, "state": "closed", "version": 3,
        "period": {"start": "2026-11-01", "end": "2026-12-01"}, "total": {"amount": 260121, "currency": "EUR"},
        "lines": [\(orderLine), {"transactionId": "\(ExampleID.refund)", "resellerId": "nordlicht",
        "description": "Refund: enterprise-pki ov-ssl, 2026-11-01 to 2027-11-01", "quantity": 2,
        "amount": {"amount": -22619, "currency": "EUR"}}]
        """
}

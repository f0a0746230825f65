// An example of the data of each command: shown in the documents, and run by the tests.

internal import Orders

extension CommandType {
    /// Examples of the command's data, each accepted by its schema.
    var examples: [String] {
        let customer = ExampleID.customer
        let subscription = ExampleID.subscription
        switch self {
        case .customerCreate:
            return [
                """
                {"customerId": "\(customer)", "companyName": "Example GmbH", "address": {"line1": "Invalidenstraße 1",
                "city": "Berlin", "postalCode": "10115", "stateOrProvince": "Berlin", "country": "DE"},
                "resellerId": "nordlicht", "administrativeResponsibility": "customerAdministered",
                "customerAdminEmail": "admin@example.com"}
                """,
                """
                {"customerId": "\(customer)", "companyName": "Example Inc.", "address": {"line1": "1 Main Street",
                "line2": "Suite 400", "city": "Springfield", "postalCode": "62701", "stateOrProvince": "IL",
                "country": "US"}, "administrativeResponsibility": "partnerAdministered"}
                """,
                """
                {"customerId": "\(customer)", "companyName": "Example Ltd", "address": {"line1": "1 Main Street",
                "city": "Dublin", "country": "IE"}, "administrativeResponsibility": "partnerAdministered"}
                """,
            ]
        case .customerUpdate:
            return [
                #"{"customerId": "\#(customer)", "companyName": "Example AG"}"#,
                #"{"customerId": "\#(customer)", "resellerId": null}"#,
                #"{"customerId": "\#(customer)", "customerAdminEmail": "pki@example.com"}"#,
            ]
        case .subscriptionOrder:
            return [
                """
                {"customerId": "\(customer)", "subscriptions": [{"subscriptionId": "\(subscription)",
                "product": "enterprise-pki", "term": "P1Y", "startDate": "2026-11-01", "autoRenewal": true,
                "inventory": [{"certificateType": "ov-ssl", "quantity": 25},
                {"certificateType": "ev-ssl", "quantity": 5}]}]}
                """,
                """
                {"customerId": "\(customer)", "subscriptions": [{"subscriptionId": "\(subscription)",
                "product": "enterprise-pki", "term": "P3Y",
                "inventory": [{"certificateType": "ov-ssl", "quantity": 1}]}], "quoteOnly": true}
                """,
            ]
        case .inventoryAdd:
            return [
                """
                {"customerId": "\(customer)", "subscriptionId": "\(subscription)",
                "inventory": [{"certificateType": "ov-ssl", "quantity": 10}]}
                """
            ]
        case .renewalInventorySet:
            return [
                """
                {"customerId": "\(customer)", "subscriptionId": "\(subscription)",
                "renewalInventory": [{"certificateType": "ov-ssl", "quantity": 30},
                {"certificateType": "ev-ssl", "quantity": 0}]}
                """,
                #"{"customerId": "\#(customer)", "subscriptionId": "\#(subscription)", "renewalInventory": []}"#,
            ]
        case .autoRenewalSet:
            return [#"{"customerId": "\#(customer)", "subscriptionId": "\#(subscription)", "autoRenewal": false}"#]
        case .subscriptionSuspend:
            return [
                """
                {"customerId": "\(customer)", "subscriptionId": "\(subscription)", "reason": "The invoice is overdue."}
                """
            ]
        case .subscriptionEnable:
            return [
                #"{"customerId": "\#(customer)", "subscriptionId": "\#(subscription)"}"#,
                #"{"customerId": "\#(customer)", "subscriptionId": "\#(subscription)", "quoteOnly": true}"#,
            ]
        case .refundProcess:
            return [
                """
                {"customerId": "\(customer)", "refunds": [{"transactionId": "\(ExampleID.order)", "quantity": 2}],
                "reason": "Ordered twice."}
                """
            ]
        case .customerSettle:
            return [
                #"{"customerId": "\#(customer)"}"#, #"{"customerId": "\#(customer)", "dayIsOver": true}"#,
            ]
        }
    }
}

/// The ids that the examples use.
enum ExampleID {
    static let customer = "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"
    static let subscription = "018f4c2f-11aa-7b0c-8e21-5d1c3a7b9e42"
    static let order = "019aad3c-5e10-7a41-b7c2-44d19e0f5a01"
    static let refund = "019ab2f0-7c88-7d12-a1e4-0b7d52c36f02"
    static let invoice = "019aad3c-5e11-7c55-9a40-6d2e81b73c03"
    /// The nil UUID, in place of the id of what isn't booked.
    static let none = "00000000-0000-0000-0000-000000000000"
    static let event = "019aad3c-5e12-70f3-8b19-27c0f4e61d04"
}

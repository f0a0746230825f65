// Makes a command of data that has passed its schema.

import Orders

/// Reads the members of data that has passed the command's schema. What the schema promises is not checked again; data
/// that hasn't passed it gives nil where a member is missing or is something else.
struct CommandReader {
    private let data: JSONValue

    private init(_ data: JSONValue) {
        self.data = data
    }

    /// The command of this type with this data.
    static func command(_ type: CommandType, _ data: JSONValue) -> Command? {
        let reader = CommandReader(data)
        guard let customerID = reader.identifier("customerId") as CustomerID? else { return nil }
        switch type {
        case .customerCreate:
            return reader.createCustomer(customerID).map { .createCustomer($0) }
        case .customerUpdate:
            return reader.updateCustomer(customerID).map { .updateCustomer($0) }
        case .subscriptionOrder:
            return reader.list("subscriptions", \.item).map {
                .orderSubscriptions(
                    OrderSubscriptions(customerID: customerID, subscriptions: $0, quoteOnly: reader.flag("quoteOnly")))
            }
        case .inventoryAdd:
            guard let subscriptionID = reader.subscriptionID, let inventory = reader.quantities("inventory") else {
                return nil
            }
            return .addInventory(
                AddInventory(
                    customerID: customerID, subscriptionID: subscriptionID, inventory: inventory,
                    quoteOnly: reader.flag("quoteOnly")))
        case .renewalInventorySet:
            guard let subscriptionID = reader.subscriptionID, let inventory = reader.quantities("renewalInventory")
            else { return nil }
            return .setRenewalInventory(
                SetRenewalInventory(
                    customerID: customerID, subscriptionID: subscriptionID, renewalInventory: inventory))
        case .autoRenewalSet:
            guard let subscriptionID = reader.subscriptionID, let autoRenewal = data["autoRenewal"]?.bool else {
                return nil
            }
            return .setAutoRenewal(
                SetAutoRenewal(customerID: customerID, subscriptionID: subscriptionID, autoRenewal: autoRenewal))
        case .subscriptionSuspend:
            return reader.subscriptionID.map {
                .suspendSubscription(
                    SuspendSubscription(
                        customerID: customerID, subscriptionID: $0, reason: reader.string("reason")))
            }
        case .subscriptionEnable:
            return reader.subscriptionID.map {
                .enableSubscription(
                    EnableSubscription(
                        customerID: customerID, subscriptionID: $0, reason: reader.string("reason"),
                        quoteOnly: reader.flag("quoteOnly")))
            }
        case .refundProcess:
            return reader.list("refunds", \.refund).map {
                .processRefund(
                    ProcessRefund(
                        customerID: customerID, refunds: $0, reason: reader.string("reason"),
                        quoteOnly: reader.flag("quoteOnly")))
            }
        case .customerSettle:
            return .settle(customerID, dayIsOver: reader.flag("dayIsOver"))
        }
    }

    // MARK: Members

    private func string(_ name: String) -> String? { data[name]?.string }

    private func flag(_ name: String) -> Bool { data[name]?.bool ?? false }

    private func identifier<Entity>(_ name: String) -> Identifier<Entity>? { string(name).flatMap { Identifier($0) } }

    private var subscriptionID: SubscriptionID? { identifier("subscriptionId") }

    /// The elements of an array, each read by `read`; nil if one can't be.
    private func list<Element>(_ name: String, _ read: (CommandReader) -> Element?) -> [Element]? {
        guard let array = data[name] else { return nil }
        var elements: [Element] = []
        for value in array.elements {
            guard let element = read(CommandReader(value)) else { return nil }
            elements.append(element)
        }
        return elements
    }

    private func quantities(_ name: String) -> [CertificateQuantity]? { list(name, \.quantity) }

    private var quantity: CertificateQuantity? {
        guard let type = string("certificateType"), let quantity = data["quantity"]?.integer else { return nil }
        return CertificateQuantity(certificateType: type, quantity: quantity)
    }

    // MARK: Parts

    private func createCustomer(_ customerID: CustomerID) -> CreateCustomer? {
        guard let companyName = string("companyName"), let address,
            let responsibility = administrativeResponsibility
        else { return nil }
        return CreateCustomer(
            customerID: customerID, companyName: companyName, address: address, resellerID: string("resellerId"),
            administrativeResponsibility: responsibility, customerAdminEmail: string("customerAdminEmail"))
    }

    private func updateCustomer(_ customerID: CustomerID) -> UpdateCustomer? {
        let reseller: UpdateCustomer.ResellerChange
        if let value = data["resellerId"] {
            reseller = value.string.map { .set($0) } ?? .clear
        } else {
            reseller = .keep
        }
        return UpdateCustomer(
            customerID: customerID, companyName: string("companyName"), address: address, reseller: reseller,
            customerAdminEmail: string("customerAdminEmail"), administrativeResponsibility: administrativeResponsibility
        )
    }

    private var administrativeResponsibility: AdministrativeResponsibility? {
        string("administrativeResponsibility").flatMap { AdministrativeResponsibility(rawValue: $0) }
    }

    private var address: Address? {
        guard let value = data["address"] else { return nil }
        let reader = CommandReader(value)
        guard let line1 = reader.string("line1"), let city = reader.string("city"),
            let country = reader.string("country")
        else { return nil }
        return Address(
            line1: line1, line2: reader.filled("line2"), line3: reader.filled("line3"), city: city,
            postalCode: reader.filled("postalCode"), stateOrProvince: reader.filled("stateOrProvince"),
            country: country)
    }

    /// A text that isn't empty: "" and null mean that there is none.
    private func filled(_ name: String) -> String? { string(name).flatMap { $0.isEmpty ? nil : $0 } }

    private var item: OrderSubscriptions.Item? {
        guard let subscriptionID, let product = string("product"), let term = string("term").flatMap({ Term($0) }),
            let inventory = quantities("inventory")
        else { return nil }
        return OrderSubscriptions.Item(
            subscriptionID: subscriptionID, product: product, term: term,
            startDate: string("startDate").flatMap { CalendarDate($0) }, autoRenewal: flag("autoRenewal"),
            inventory: inventory)
    }

    private var refund: ProcessRefund.Item? {
        guard let transactionID = identifier("transactionId") as TransactionID?,
            let quantity = data["quantity"]?.integer
        else { return nil }
        return ProcessRefund.Item(transactionID: transactionID, quantity: quantity)
    }
}

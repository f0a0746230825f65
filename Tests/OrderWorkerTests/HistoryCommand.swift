// Commands of random histories as the messages in which they travel.

import AMQP
import Foundation
import OrderContract
import OrderStore
import Orders

@testable import OrdersSimulation

extension CommandEnvelope {
    /// The command as its publisher sends it, in CloudEvents' binary mode.
    func message() throws -> Message {
        let user = if case .user(let name) = publisher { name } else { HistoryPlayer.workerUser }
        return Message(
            properties: MessageProperties(
                contentType: "application/json", userID: user,
                headers: [
                    "cloudEvents:specversion": "1.0", "cloudEvents:id": .string(key.id),
                    "cloudEvents:source": .string(key.source), "cloudEvents:type": .string(command.type.rawValue),
                    "cloudEvents:time": .string(effectiveAt.description),
                ]),
            body: Array(try JSONSerialization.data(withJSONObject: command.document)))
    }
}

extension Command {
    /// Whether the command fits its schema. What doesn't is refused before any rule is asked.
    var isReadable: Bool {
        switch self {
        case .updateCustomer(let update):
            update.companyName != nil || update.address != nil || update.reseller != .keep
                || update.administrativeResponsibility != nil || update.customerAdminEmail != nil
        case .orderSubscriptions(let order): order.subscriptions.allSatisfy { $0.inventory.isReadable(from: 0) }
        case .addInventory(let add): add.inventory.isReadable(from: 1)
        case .setRenewalInventory(let set): set.renewalInventory.isEmpty || set.renewalInventory.isReadable(from: 0)
        case .processRefund(let refund): refund.refunds.allSatisfy { $0.quantity >= 1 }
        default: true
        }
    }

    /// The event that the command is answered with where it is accepted.
    var acceptedAs: EventType {
        if isQuote { return .quotePrepared }
        return switch self {
        case .createCustomer: .customerCreated
        case .updateCustomer: .customerUpdated
        case .orderSubscriptions: .subscriptionOrdered
        case .addInventory: .inventoryAdded
        case .setRenewalInventory: .renewalInventorySet
        case .setAutoRenewal: .autoRenewalChanged
        case .suspendSubscription: .subscriptionSuspended
        case .enableSubscription: .subscriptionEnabled
        case .processRefund: .refundProcessed
        case .settle: .customerSettled
        }
    }

    /// The command's data, as the contract has it.
    fileprivate var document: [String: Any] {
        var data: [String: Any] = ["customerId": customerID.description]
        switch self {
        case .createCustomer(let create):
            data["companyName"] = create.companyName
            data["address"] = create.address.document
            data["resellerId"] = create.resellerID
            data["administrativeResponsibility"] = create.administrativeResponsibility.rawValue
            data["customerAdminEmail"] = create.customerAdminEmail
        case .updateCustomer(let update):
            data["companyName"] = update.companyName
            data["address"] = update.address?.document
            switch update.reseller {
            case .keep: break
            case .clear: data["resellerId"] = NSNull()
            case .set(let reseller): data["resellerId"] = reseller
            }
            data["administrativeResponsibility"] = update.administrativeResponsibility?.rawValue
            data["customerAdminEmail"] = update.customerAdminEmail
        case .orderSubscriptions(let order):
            data["subscriptions"] = order.subscriptions.map(\.document)
            data["quoteOnly"] = order.quoteOnly
        case .addInventory(let add):
            data["subscriptionId"] = add.subscriptionID.description
            data["inventory"] = add.inventory.map(\.document)
            data["quoteOnly"] = add.quoteOnly
        case .setRenewalInventory(let set):
            data["subscriptionId"] = set.subscriptionID.description
            data["renewalInventory"] = set.renewalInventory.map(\.document)
        case .setAutoRenewal(let set):
            data["subscriptionId"] = set.subscriptionID.description
            data["autoRenewal"] = set.autoRenewal
        case .suspendSubscription(let suspend):
            data["subscriptionId"] = suspend.subscriptionID.description
            data["reason"] = suspend.reason
        case .enableSubscription(let enable):
            data["subscriptionId"] = enable.subscriptionID.description
            data["reason"] = enable.reason
            data["quoteOnly"] = enable.quoteOnly
        case .processRefund(let refund):
            data["refunds"] = refund.refunds.map {
                ["transactionId": $0.transactionID.description, "quantity": $0.quantity] as [String: Any]
            }
            data["reason"] = refund.reason
            data["quoteOnly"] = refund.quoteOnly
        case .settle(_, let dayIsOver): data["dayIsOver"] = dayIsOver
        }
        return data
    }
}

extension [CertificateQuantity] {
    fileprivate func isReadable(from least: Int64) -> Bool {
        !isEmpty && allSatisfy { $0.quantity >= least }
    }
}

extension CertificateQuantity {
    fileprivate var document: [String: Any] { ["certificateType": certificateType, "quantity": quantity] }
}

extension OrderSubscriptions.Item {
    fileprivate var document: [String: Any] {
        var item: [String: Any] = [
            "subscriptionId": subscriptionID.description, "product": product, "term": term.description,
            "autoRenewal": autoRenewal, "inventory": inventory.map(\.document),
        ]
        item["startDate"] = startDate?.description
        return item
    }
}

extension Address {
    fileprivate var document: [String: Any] {
        var address = ["line1": line1, "city": city, "country": country]
        address["postalCode"] = postalCode
        address["stateOrProvince"] = stateOrProvince
        address["line2"] = line2
        address["line3"] = line3
        return address
    }
}

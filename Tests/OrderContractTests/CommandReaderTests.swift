// Every member of every command arrives in the value that the domain decides on.

import Orders
import Testing

@testable import OrderContract

@Suite struct CommandReaderTests {
    private let decoder = CommandDecoder()
    private let customer = Sample.customerID
    private let subscription = SubscriptionID(high: 0x018F_4C2F_11AA_7B0C, low: 0x8E21_5D1C_3A7B_9E42)

    private func command(_ type: CommandType, _ members: String) -> Command? {
        decoder.decodeStored(type: type, data: Array(#"{"customerId":"\#(Sample.customer)",\#(members)}"#.utf8))
    }

    private let address =
        #"{"line1":"1","line2":"2","line3":"3","city":"c","postalCode":"p","stateOrProvince":"s","country":"DE"}"#
    private let addressValue = Address(
        line1: "1", line2: "2", line3: "3", city: "c", postalCode: "p", stateOrProvince: "s", country: "DE")

    @Test("customer.create")
    func createCustomer() {
        let command = command(
            .customerCreate,
            #""companyName":"n","address":\#(address),"resellerId":"r","customerAdminEmail":"a@b.co","#
                + #""administrativeResponsibility":"customerAdministered","partnerId":"p""#)
        #expect(
            command
                == .createCustomer(
                    CreateCustomer(
                        customerID: customer, companyName: "n", address: addressValue, resellerID: "r",
                        administrativeResponsibility: .customerAdministered, customerAdminEmail: "a@b.co")))
    }

    @Test("customer.update")
    func updateCustomer() {
        #expect(
            command(.customerUpdate, #""companyName":"n","address":\#(address),"resellerId":"r""#)
                == .updateCustomer(
                    UpdateCustomer(
                        customerID: customer, companyName: "n", address: addressValue, reseller: .set("r"))))
        #expect(
            command(.customerUpdate, #""resellerId":null"#)
                == .updateCustomer(
                    UpdateCustomer(customerID: customer, companyName: nil, address: nil, reseller: .clear)))
        #expect(
            command(.customerUpdate, #""administrativeResponsibility":"partnerAdministered""#)
                == .updateCustomer(
                    UpdateCustomer(
                        customerID: customer, companyName: nil, address: nil, reseller: .keep,
                        administrativeResponsibility: .partnerAdministered)))
        #expect(command(.customerUpdate, #""partnerId":"p""#) == nil)
    }

    @Test("subscription.order")
    func orderSubscriptions() throws {
        let id = #""subscriptionId":"\#(subscription)""#
        let full =
            #"{\#(id),"product":"pki","term":"P1Y","startDate":"2026-11-01","autoRenewal":true,"#
            + #""inventory":[{"certificateType":"ov","quantity":2.5e1},{"certificateType":"ev","quantity":0}]}"#
        let least = #"{\#(id),"product":"pki","term":"P365D","inventory":[{"certificateType":"ov","quantity":1}]}"#
        let item = OrderSubscriptions.Item(
            subscriptionID: subscription, product: "pki", term: try #require(Term(1, .years)),
            startDate: CalendarDate(year: 2026, month: 11, day: 1), autoRenewal: true,
            inventory: [
                CertificateQuantity(certificateType: "ov", quantity: 25),
                CertificateQuantity(certificateType: "ev", quantity: 0),
            ])
        let leastItem = OrderSubscriptions.Item(
            subscriptionID: subscription, product: "pki", term: try #require(Term(365, .days)), startDate: nil,
            autoRenewal: false, inventory: [CertificateQuantity(certificateType: "ov", quantity: 1)])
        #expect(
            command(.subscriptionOrder, #""subscriptions":[\#(full),\#(least)],"quoteOnly":true"#)
                == .orderSubscriptions(
                    OrderSubscriptions(customerID: customer, subscriptions: [item, leastItem], quoteOnly: true)))
        #expect(
            command(.subscriptionOrder, #""subscriptions":[\#(least)]"#)
                == .orderSubscriptions(
                    OrderSubscriptions(customerID: customer, subscriptions: [leastItem], quoteOnly: false)))
    }

    @Test("inventory.add and renewal-inventory.set")
    func inventory() {
        let quantities = [CertificateQuantity(certificateType: "ov", quantity: 7)]
        let id = #""subscriptionId":"\#(subscription)""#
        #expect(
            command(.inventoryAdd, #"\#(id),"inventory":[{"quantity":7,"certificateType":"ov"}],"quoteOnly":true"#)
                == .addInventory(
                    AddInventory(
                        customerID: customer, subscriptionID: subscription, inventory: quantities, quoteOnly: true)))
        #expect(
            command(.renewalInventorySet, #"\#(id),"renewalInventory":[{"certificateType":"ov","quantity":7}]"#)
                == .setRenewalInventory(
                    SetRenewalInventory(
                        customerID: customer, subscriptionID: subscription, renewalInventory: quantities)))
        #expect(command(.inventoryAdd, #"\#(id),"inventory":[{"certificateType":"ov","quantity":0}]"#) == nil)
    }

    @Test("auto-renewal.set, subscription.suspend and subscription.enable")
    func subscriptionChanges() {
        let id = #""subscriptionId":"\#(subscription)""#
        #expect(
            command(.autoRenewalSet, #"\#(id),"autoRenewal":true"#)
                == .setAutoRenewal(
                    SetAutoRenewal(customerID: customer, subscriptionID: subscription, autoRenewal: true)))
        #expect(
            command(.subscriptionSuspend, #"\#(id),"reason":"r""#)
                == .suspendSubscription(
                    SuspendSubscription(customerID: customer, subscriptionID: subscription, reason: "r")))
        #expect(
            command(.subscriptionEnable, id)
                == .enableSubscription(
                    EnableSubscription(customerID: customer, subscriptionID: subscription, reason: nil)))
    }

    @Test("refund.process")
    func refund() {
        let id = TransactionID(high: 1, low: 2)
        #expect(
            command(
                .refundProcess,
                #""refunds":[{"transactionId":"\#(id)","quantity":3}],"reason":"r","quoteOnly":false"#)
                == .processRefund(
                    ProcessRefund(
                        customerID: customer, refunds: [ProcessRefund.Item(transactionID: id, quantity: 3)],
                        reason: "r", quoteOnly: false)))
    }

    @Test("The limits of lists and numbers")
    func limits() {
        let id = #""subscriptionId":"\#(subscription)""#
        func add(_ count: Int, _ quantity: String) -> Bool {
            let entry = #"{"certificateType":"ov","quantity":\#(quantity)}"#
            let entries = Array(repeating: entry, count: count).joined(separator: ",")
            return command(.inventoryAdd, #"\#(id),"inventory":[\#(entries)]"#) != nil
        }
        #expect(add(1, "1") && add(50, "1000000") && add(1, "1e6"))
        #expect(!add(0, "1") && !add(51, "1"))
        for quantity in ["0", "1000001", "-1", "1.5", "\"1\"", "true", "null", "1e400", "9223372036854775808"] {
            #expect(!add(1, quantity), "\(quantity)")
        }
        func refunds(_ count: Int) -> Bool {
            let entry = #"{"transactionId":"\#(Sample.customer)","quantity":1}"#
            let entries = Array(repeating: entry, count: count).joined(separator: ",")
            return command(.refundProcess, #""refunds":[\#(entries)]"#) != nil
        }
        #expect(refunds(1) && refunds(100) && !refunds(0) && !refunds(101))
    }
}

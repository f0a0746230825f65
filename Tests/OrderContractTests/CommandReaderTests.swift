// Every member of every command arrives in the value that the domain decides on.

import AMQP
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

    @Test(
        "In an address an empty text and null mean that there is none",
        arguments: [
            #"{"line1":"1","city":"c","country":"XK"}"#,
            #"{"line1":"1","line2":"","line3":"","city":"c","postalCode":"","stateOrProvince":"","country":"XK"}"#,
            #"{"line1":"1","line2":null,"line3":null,"city":"c","postalCode":null,"stateOrProvince":null,"country":"XK"}"#,
        ])
    func absentParts(_ address: String) {
        let bare = Address(
            line1: "1", line2: nil, line3: nil, city: "c", postalCode: nil, stateOrProvince: nil, country: "XK")
        #expect(
            command(.customerUpdate, #""address":\#(address)"#)
                == .updateCustomer(
                    UpdateCustomer(customerID: customer, companyName: nil, address: bare, reseller: .keep)))
    }

    @Test("customer.update corrects the administrator's e-mail address")
    func administratorEmail() {
        #expect(
            command(.customerUpdate, #""customerAdminEmail":"a@b.co""#)
                == .updateCustomer(
                    UpdateCustomer(
                        customerID: customer, companyName: nil, address: nil, reseller: .keep,
                        customerAdminEmail: "a@b.co")))
    }

    @Test("renewal-inventory.set with an empty list, and subscription.enable as a quote")
    func clearingAndQuotedEnabling() {
        let member = #""subscriptionId":"\#(subscription)""#
        #expect(
            command(.renewalInventorySet, #"\#(member),"renewalInventory":[]"#)
                == .setRenewalInventory(
                    SetRenewalInventory(customerID: customer, subscriptionID: subscription, renewalInventory: [])))
        #expect(
            command(.subscriptionEnable, #"\#(member),"quoteOnly":true"#)
                == .enableSubscription(
                    EnableSubscription(
                        customerID: customer, subscriptionID: subscription, reason: nil, quoteOnly: true)))
    }

    @Test("Ids are read in either case; the routing key is the id as it is written, or in lower case")
    func eitherCase() throws {
        let upper = Sample.customer.uppercased()
        let body = #"{"customerId":"\#(upper)","subscriptionId":"\#(subscription.description.uppercased())"}"#
        let message = Message(
            properties: MessageProperties(messageID: "1", type: "subscription.enable", appID: "test"),
            body: Array(body.utf8))
        for key in [upper, Sample.customer] {
            let decoded = try decoder.decode(message, routingKey: key).get()
            #expect(decoded.command.customerID == customer && decoded.command.subscriptionIDs == [subscription])
        }
        let mixed = decoder.decode(message, routingKey: String(upper.prefix(8)) + String(Sample.customer.dropFirst(8)))
        guard case .failure(let failure) = mixed else {
            Issue.record("accepted under another spelling")
            return
        }
        #expect(failure.violations.map(\.code) == [.routingKeyMismatch])
    }

    @Test(
        "An e-mail address that isn't ASCII is refused with the reason in words",
        arguments: [("a@bücher.example", "xn--"), ("ä@example.com", "before the @"), ("a@b", "an e-mail address.")])
    func emailInOtherScripts(_ email: String, _ words: String) throws {
        let data = #"{"customerId":"\#(Sample.customer)","customerAdminEmail":"\#(email)"}"#
        let violations = Contract.check(type: "customer.update", data: Array(data.utf8))
        #expect(violations.map(\.pointer) == ["/customerAdminEmail"])
        #expect(violations[0].message.contains(words) && !violations[0].message.contains(email))
        #expect(TextRule.email.accepts(Array("a@xn--bcher-kva.example".utf8)[...]))
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

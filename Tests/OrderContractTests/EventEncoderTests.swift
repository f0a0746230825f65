// The encoder writes what the documents show.

import AMQP
import Orders
import Testing

@testable import OrderContract

@Suite struct EventEncoderTests {
    private static let time = Timestamp(microseconds: 1_795_383_306_000_000)
    private let id = EventID(high: 0x019A_AD3C_5E12_70F3, low: 0x8B19_27C0_F4E6_1D04)
    private let key = CommandKey(source: "shop", id: "order-2026-000417")

    @Test("Each event is written as in its example", arguments: EventType.allCases)
    func examples(_ type: EventType) throws {
        let event = Event(
            id: id, type: type, customerID: Sample.customerID, sequence: 7, time: Self.time,
            data: try EventSample().data(type), cause: key)
        let written = EventEncoder.data(of: event)
        let example = try JSONDocument(Array(type.example.utf8)).root
        #expect(JSONTree(try JSONDocument(written).root).text == JSONTree(example).text)
        #expect(Contract.check(type: "event.\(type.rawValue)", data: written).isEmpty)
        #expect(EventEncoder.data(of: event) == written)
    }

    @Test("Inventory is written in the order of its certificate types")
    func inventoryOrder() throws {
        var subscription = try EventSample().subscription()
        subscription.inventory = Dictionary(uniqueKeysWithValues: (0..<20).map { ("t\($0 + 10)", 1) })
        let event = Event(
            id: id, type: .subscriptionEnabled, customerID: Sample.customerID, sequence: 1, time: Self.time,
            data: .subscriptions([subscription], [], reason: nil), cause: key)
        let root = try JSONDocument(EventEncoder.data(of: event)).root
        let types = root["subscriptions"]?.elements.first { _ in true }?["inventory"]?.elements.map {
            $0["certificateType"]?.string
        }
        #expect(types == (10..<30).map { "t\($0)" })
    }

    @Test("An event's message is a CloudEvent in binary mode with matching properties")
    func message() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let message = EventMessage.make(
            id: id, type: .customerCreated, time: Timestamp(microseconds: 1_795_383_306_500_000),
            customerID: Sample.customerID, data: [0x7B, 0x7D], traceparent: trace, tracestate: "a=1", correlationID: "c"
        )
        #expect(
            message
                == Message(
                    properties: MessageProperties(
                        contentType: "application/json", correlationID: "c", messageID: id.description,
                        type: "customer.created", appID: "order-worker",
                        headers: [
                            "cloudEvents:specversion": "1.0", "cloudEvents:id": .string(id.description),
                            "cloudEvents:source": "order-worker", "cloudEvents:type": "customer.created",
                            "cloudEvents:time": "2026-11-22T21:35:06.5Z",
                            "cloudEvents:subject": .string(Sample.customer), "traceparent": .string(trace),
                            "cloudEvents:traceparent": .string(trace), "tracestate": "a=1",
                            "cloudEvents:tracestate": "a=1",
                        ], deliveryMode: .persistent, timestamp: 1_795_383_306), body: [0x7B, 0x7D]))
    }

    @Test("The attributes of an event's message agree with each other by the rule that commands are held to")
    func messageAgrees() {
        let message = EventMessage.make(
            id: id, type: .customerCreated, time: Self.time, customerID: Sample.customerID, data: [0x7B, 0x7D])
        let failure = Sample.failure(message)
        #expect(failure?.violations.map(\.code) == [.unknownType])
        #expect(failure?.key == CommandKey(source: "order-worker", id: id.description))
    }
}

/// The values that the examples of the events show.
struct EventSample {
    private let currency: Currency
    private let term: Term
    private let time = Timestamp(microseconds: 1_795_383_306_000_000)
    private let today: CalendarDate
    private let nextMonth: CalendarDate
    private let period: Period
    private let key = CommandKey(source: "shop", id: "order-2026-000417")
    private let invoiceID: InvoiceID
    private let orderID: TransactionID
    private let refundID: TransactionID
    private let subscriptionID: SubscriptionID

    init() throws {
        currency = try #require(Currency("EUR"))
        term = try #require(Term(1, .years))
        today = try #require(CalendarDate("2026-11-22"))
        nextMonth = try #require(CalendarDate("2026-12-01"))
        period = Period(
            index: 0, start: try #require(CalendarDate("2026-11-01")), end: try #require(CalendarDate("2027-11-01")))
        invoiceID = try #require(InvoiceID(ExampleID.invoice))
        orderID = try #require(TransactionID(ExampleID.order))
        refundID = try #require(TransactionID(ExampleID.refund))
        subscriptionID = try #require(SubscriptionID(ExampleID.subscription))
    }

    func data(_ type: EventType) throws -> EventData {
        switch type {
        case .customerCreated, .customerUpdated: .customer(customer)
        case .subscriptionOrdered: change(subscription(), order)
        case .subscriptionRenewed:
            .subscriptions(
                [subscription()], [charge(.renewal, 25, 365, 300_000)], reason: nil,
                dropped: [DroppedCertificates(certificateType: "smime", quantity: 5, reason: .notSold)])
        case .inventoryAdded: change(subscription(inventory: 27), charge(.inventoryAddition, 2, 344, 22_619))
        case .renewalInventorySet:
            change(subscription(renewalInventory: 30), transaction(.renewalInventoryChange, quantity: 30))
        case .autoRenewalChanged: change(subscription(), transaction(.autoRenewalChange))
        case .subscriptionSuspended:
            change(subscription(.suspended), transaction(.suspension), "The invoice is overdue.")
        case .subscriptionEnabled: change(subscription(), transaction(.enablement))
        case .subscriptionExpired: change(subscription(.expired), transaction(.expiry), "Auto-renewal is off.")
        case .refundProcessed: .refund([refund], [subscription(inventory: 23)], reason: "Ordered twice.")
        case .invoiceUpdated: .invoice(invoice(.open, 1, 282_740), [InvoiceLine(order)])
        case .invoiceClosed: .invoice(invoice(.closed, 3, 260_121), [InvoiceLine(order), InvoiceLine(refund)])
        case .quotePrepared: .quote([charge(.order, id: .unassigned, 25, 344, 282_740)], total: money(282_740))
        case .customerSettled: .settled(events: 2)
        case .commandRejected:
            .rejected(
                Rejection(
                    Violation(
                        .startDateTooLate, at: "/subscriptions/0/startDate",
                        "The start date 2027-12-24 is after 2027-02-20.")), key, type: "subscription.order")
        }
    }

    private func money(_ amount: Int64) -> Money { Money(amount: amount, currency: currency) }

    private func change(_ subscription: Subscription, _ transaction: Transaction, _ reason: String? = nil) -> EventData
    {
        .subscriptions([subscription], [transaction], reason: reason)
    }

    private var customer: Customer {
        Customer(
            id: Sample.customerID, partnerID: "acme", companyName: "Example GmbH",
            address: Address(
                line1: "Invalidenstraße 1", line2: nil, line3: nil, city: "Berlin", postalCode: "10115",
                stateOrProvince: "Berlin", country: "DE"), resellerID: "nordlicht",
            administrativeResponsibility: .customerAdministered, administratorEmail: "admin@example.com",
            createdAt: time, sequence: 7, settledThrough: nil)
    }

    func subscription(
        _ state: SubscriptionState = .active, inventory: Int64 = 25, renewalInventory: Int64? = nil
    ) -> Subscription {
        Subscription(
            id: subscriptionID, customerID: Sample.customerID, product: "enterprise-pki", term: term, state: state,
            originalStart: period.start, period: period, autoRenewal: true, inventory: ["ov-ssl": inventory],
            renewalInventory: renewalInventory.map { ["ov-ssl": $0] } ?? [:], dueAt: nil)
    }

    private var order: Transaction { charge(.order, 25, 344, 282_740) }

    private func charge(
        _ type: TransactionType, id: TransactionID? = nil, _ quantity: Int64, _ days: Int, _ amount: Int64
    ) -> Transaction {
        transaction(
            type, id: id, quantity: quantity, unitPrice: 12_000, days: DaysFraction(charged: days, term: 365),
            amount: amount)
    }

    private var refund: Transaction {
        transaction(.refund, id: refundID, quantity: 2, unitPrice: 12_000, amount: -22_619, reverses: orderID)
    }

    private func transaction(
        _ type: TransactionType, id: TransactionID? = nil, quantity: Int64? = nil, unitPrice: Int64? = nil,
        days: DaysFraction? = nil, amount: Int64 = 0, reverses: TransactionID? = nil
    ) -> Transaction {
        Transaction(
            id: id ?? orderID, customerID: Sample.customerID, subscriptionID: subscriptionID, type: type,
            product: "enterprise-pki", resellerID: "nordlicht", period: period,
            certificateType: quantity == nil ? nil : "ov-ssl", quantity: quantity, unitPrice: unitPrice, days: days,
            amount: money(amount), at: time, date: today, bookedOn: today,
            refundableUntil: type.isCharge ? today.adding(days: 30) : nil, publisher: "shop", command: key,
            reverses: reverses, invoiceID: amount == 0 ? nil : invoiceID)
    }

    private func invoice(_ state: InvoiceState, _ version: Int64, _ total: Int64) -> Invoice {
        Invoice(
            id: invoiceID, customerID: Sample.customerID, partnerID: "acme", start: period.start,
            end: nextMonth, state: state, number: state == .closed ? 1042 : nil,
            version: version, total: money(total), dueAt: nil)
    }
}

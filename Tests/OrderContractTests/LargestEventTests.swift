// No event is larger than 256 KiB, whatever commands come.

import Orders
import Testing

@testable import OrderContract
@testable import OrdersSimulation

/// A customer for whom everything is as large as the contract and the catalog allow.
private struct Giant {
    static let limit = 256 * 1024
    private static let customer = CustomerID.first
    private static let publisher = Publisher.user("acme-app")

    private(set) var events: [Event] = []
    private var state = CustomerState(id: Self.customer)
    private let catalog: Catalog
    private let types: [String]
    private var numbers: [InvoiceSeries: Int64] = [:]
    private var commands = 0

    /// An id from the catalog of the greatest length.
    private static func long(_ name: String, _ number: Int = 0) -> String {
        let end = "\(name)\(number)"
        return String(repeating: "x", count: 64 - end.utf8.count) + end
    }

    init() throws {
        types = (0..<Product.maximumCertificateTypes).map { Self.long("t", $0) }
        let partner = try #require(Partner.sample("acme", "USD", "Europe/Berlin", resellers: [Self.long("r"): "R"]))
        let product = Product(
            id: Self.long("p"), name: "P",
            certificateTypes: Set(types), terms: [.of("P365D")])
        catalog = Catalog(
            version: 1, partners: [partner], products: [product],
            prices: types.map { .of(product.id, $0, "P365D", 100_000_000, from: "2020-01-01") })
        try send(
            .create(reseller: Self.long("r"), responsibility: .customerAdministered, email: "a@example.com"))
    }

    /// Runs a command, or several in one unit of work, and keeps what came of them.
    @discardableResult
    mutating func send(_ commands: Command..., at time: String = "2026-11-10T12:00:00.123456Z") throws -> Event {
        var outcome: Event?
        var known = numbers
        while true {
            var work = UnitOfWork(
                catalog: catalog, states: [state], invoiceNumbers: known, now: .at(time),
                identifiers: IdentifierSource(SeededGenerator(seed: UInt64(self.commands))))
            for (index, command) in commands.enumerated() {
                outcome = work.decide(
                    CommandEnvelope(
                        key: CommandKey(source: Self.text(200), id: Self.text(198) + "\(self.commands + index)"),
                        publisher: command.type == .customerSettle ? .worker : Self.publisher,
                        effectiveAt: .at(time), command: command))
            }
            let changes = work.finish()
            guard changes.missing.isEmpty else {
                for series in changes.missing.series { known[series] = numbers[series, default: 0] }
                continue
            }
            self.commands += commands.count
            keep(changes)
            return try #require(outcome)
        }
    }

    /// A text of characters that take the most bytes.
    private static func text(_ length: Int) -> String { String(repeating: "𝄞", count: length) }

    private mutating func keep(_ changes: Changes) {
        state.customer = changes.customers.last ?? state.customer
        for subscription in changes.subscriptions { state.subscriptions[subscription.id] = subscription }
        for transaction in changes.transactions {
            state.charges[transaction.id] = Charge(transaction: transaction, refundedQuantity: 0)
        }
        for invoice in changes.invoices {
            if invoice.state == .open {
                if state.openInvoice?.id != invoice.id { state.openInvoiceLines = [] }
                state.openInvoice = invoice
            } else if state.openInvoice?.id == invoice.id {
                state.openInvoice = nil
            }
        }
        state.openInvoiceLines? += changes.transactions.filter { $0.invoiceID == state.openInvoice?.id }
        numbers.merge(changes.invoiceNumbers) { $1 }
        events += changes.events
    }

    /// An order of a hundred subscriptions of fifty types each.
    func order(from first: Int, quoteOnly: Bool = false, unknown: Bool = false) -> Command {
        let product = catalog.products.keys.first ?? ""
        let items = (0..<100).map { number in
            OrderSubscriptions.Item(
                subscriptionID: .number(first + number), product: product, term: .of("P365D"), startDate: nil,
                autoRenewal: true,
                inventory: (0..<50).map {
                    CertificateQuantity(
                        certificateType: unknown ? Self.long("u", $0) : types[$0], quantity: unknown ? 1 : 1_000_000)
                })
        }
        return .orderAll(items, quoteOnly: quoteOnly)
    }

    /// Additions that make a subscription hold every type there is.
    func fill(_ subscription: Int) -> [Command] {
        stride(from: 0, to: types.count, by: 50).map { first in
            .add(
                types[first..<first + 50].map { CertificateQuantity(certificateType: $0, quantity: 1_000_000) },
                to: subscription)
        }
    }

    func renewal(_ subscription: Int, from first: Int) -> Command {
        .renewWith(
            types[first..<first + 50].map { CertificateQuantity(certificateType: $0, quantity: 1_000_000) },
            subscription)
    }

    /// A refund of a hundred charges, each of another subscription.
    var refund: Command {
        let charges = Dictionary(grouping: state.charges.values.filter { $0.transaction.type == .order }) {
            $0.transaction.subscriptionID
        }.values.compactMap(\.first).prefix(100)
        return .processRefund(
            ProcessRefund(
                customerID: Self.customer,
                refunds: charges.map { ProcessRefund.Item(transactionID: $0.transaction.id, quantity: 1) },
                reason: Self.text(500), quoteOnly: false))
    }
}

@Suite struct LargestEventTests {
    @Test("The largest event of each type that commands can bring about is below 256 KiB, and its parts tell all")
    func largest() throws {
        var giant = try Giant()
        try giant.send(giant.order(from: 1))
        try giant.send(giant.order(from: 1, quoteOnly: true))
        try giant.send(giant.order(from: 101, quoteOnly: true))
        try giant.send(giant.order(from: 201, unknown: true))
        for number in 1...8 { for command in giant.fill(number) { try giant.send(command) } }
        for first in stride(from: 0, to: 500, by: 50) { try giant.send(giant.renewal(1, from: first)) }
        try giant.send(.autoRenewal(true), .suspend(reason: String(repeating: "𝄞", count: 500)), .enable())
        try giant.send(giant.refund)
        try giant.send(.settle(.first), at: "2027-12-01T12:00:00Z")

        var largest: [EventType: Int] = [:]
        for event in giant.events {
            let data = EventEncoder.data(of: event)
            largest[event.type] = max(largest[event.type] ?? 0, data.count)
            #expect(data.count < Giant.limit, "\(event.type) \(event.part.map { "\($0.number) of \($0.count)" } ?? "")")
            if event.type == .invoiceClosed || event.type == .invoiceUpdated {
                guard case .invoice(_, let lines) = event.data else { continue }
                #expect(lines.count <= 500)
            }
        }
        for type in [
            EventType.subscriptionOrdered, .quotePrepared, .subscriptionRenewed, .refundProcessed, .invoiceUpdated,
            .invoiceClosed, .commandRejected,
        ] { #expect(largest[type] ?? 0 > 128 * 1024, "\(type) isn't as large as it can be: \(largest)") }
        checkParts(giant.events)
        checkRejection(giant.events)
    }

    /// Parts follow on each other without a gap, and what they tell together is all.
    private func checkParts(_ events: [Event]) {
        for (event, next) in zip(events, events.dropFirst()) {
            let isLast = event.part.map { $0.number == $0.count } ?? true
            #expect(isLast == (next.part.map { $0.number == 1 } ?? true))
            #expect(isLast || next.part == event.part.map { EventPart(number: $0.number + 1, count: $0.count) })
            #expect(isLast || (next.type == event.type && next.sequence == event.sequence + 1))
        }
        let ordered = events.filter { $0.type == .subscriptionOrdered }
        #expect(ordered.first?.part?.number == 1 && ordered.count == ordered.first?.part?.count)
        #expect(ordered.flatMap(\.transactions).count == 5000)
        #expect(Set(ordered.flatMap(\.transactions).map(\.id)).count == 5000)
        for part in ordered {
            guard case .subscriptions(let subscriptions, let transactions, _, _) = part.data else { continue }
            #expect(Set(subscriptions.map(\.id)) == Set(transactions.map(\.subscriptionID)))
        }
        let closed = events.filter { $0.type == .invoiceClosed }
        var lines: [InvoiceID: Set<TransactionID>] = [:]
        for event in closed {
            if case .invoice(let invoice, let part) = event.data {
                lines[invoice.id, default: []].formUnion(part.map(\.transactionID))
            }
        }
        // A hundred subscriptions of fifty types, additions of five hundred to eight of them, and a hundred refunds.
        #expect(lines.values.map(\.count).max() == 5000 + 8 * 500 + 100)
    }

    private func checkRejection(_ events: [Event]) {
        guard let event = events.first(where: { $0.violations.count > 1000 }),
            let root = try? JSONDocument(EventEncoder.data(of: event)).root
        else {
            Issue.record("no large rejection")
            return
        }
        let listed = Array(root["violations"]?.elements.map { _ in 1 } ?? []).count
        #expect(listed > 500)
        #expect(root["violationsOmitted"]?.integer == Int64(event.violations.count - listed))
    }

    @Test("What fits in one event is one, without a part")
    func whole() throws {
        var giant = try Giant()
        try giant.send(.autoRenewal(true, 7))
        #expect(giant.events.allSatisfy { $0.part == nil })
        let data = EventEncoder.data(of: giant.events[0])
        #expect(try JSONDocument(data).root["part"] == nil)
    }
}

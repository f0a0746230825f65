// All that is on the books, in one form, whoever keeps them: the model, the world in memory, the database.

import Foundation
import Orders

/// The customers' books without the ids that differ each time, so that two ways to keep them can be compared.
struct Books: Equatable {
    /// A subscription and what it holds.
    struct Holding: Equatable {
        var product: String
        var term: Term
        var start: Model.Day
        var period: Int
        var periodEnd: Model.Day
        var state: SubscriptionState
        var autoRenewal: Bool
        var inventory: [String: Int64]
        /// Empty once expired: it has no meaning then.
        var toRenew: [String: Int64]
    }

    /// An invoice.
    struct Bill: Equatable {
        var month: Model.Day
        /// Year, month, kind and number; nil while it is open.
        var name: String?
        var total: Int64
    }

    struct Account: Equatable {
        var partner: String
        var name: String
        var reseller: String?
        var responsibility: AdministrativeResponsibility
        var holdings: [SubscriptionID: Holding] = [:]
        /// In the order in which they were booked.
        var entries: [Model.Entry] = []
        /// By month.
        var bills: [Bill] = []
        /// The latest day on which something fell due and was settled.
        var settled: Model.Day?
    }

    var accounts: [CustomerID: Account] = [:]

    /// What differs from the books that are expected, a line for each; empty where nothing does.
    func differences(from expected: Books) -> [String] {
        Set(accounts.keys).union(expected.accounts.keys).sorted().flatMap { id in
            guard let own = accounts[id], let other = expected.accounts[id] else {
                return ["customer \(id) is \(accounts[id] == nil ? "missing" : "too much")"]
            }
            return own.differences(from: other).map { "customer \(id): \($0)" }
        }
    }
}

extension Books.Account {
    fileprivate func differences(from expected: Books.Account) -> [String] {
        if self == expected { return [] }
        var lines: [String] = []
        func compare<Value: Equatable>(_ what: String, _ own: Value, _ expected: Value) {
            if own != expected { lines.append("\(what) \(own) instead of \(expected)") }
        }
        compare("partner", partner, expected.partner)
        compare("name", name, expected.name)
        compare("reseller", reseller, expected.reseller)
        compare("responsibility", responsibility, expected.responsibility)
        compare("settled", settled, expected.settled)
        for id in Set(holdings.keys).union(expected.holdings.keys).sorted() {
            compare("subscription \(id)", holdings[id], expected.holdings[id])
        }
        compare("number of entries", entries.count, expected.entries.count)
        for (index, pair) in zip(entries, expected.entries).enumerated() { compare("entry \(index)", pair.0, pair.1) }
        compare("number of invoices", bills.count, expected.bills.count)
        for (index, pair) in zip(bills, expected.bills).enumerated() { compare("invoice \(index)", pair.0, pair.1) }
        return lines
    }
}

extension Books {
    /// The model's books: what it counts up, it counts up now.
    init(_ model: Model) {
        accounts = model.accounts.mapValues { Account($0, model) }
    }
}

extension Books {
    /// What is on books in memory.
    ///
    /// - Parameter transactions: of each customer, in any order.
    init(_ kept: MemoryBooks, catalog: Catalog, transactions: [CustomerID: [Transaction]], _ bookings: Bookings) {
        let invoices = Dictionary(grouping: kept.invoices.values, by: \.customerID)
        for (id, state) in kept.states {
            guard let customer = state.customer, let partner = catalog.partners[customer.partnerID] else { continue }
            let bills = (invoices[id] ?? []).sorted { $0.start < $1.start }
            let places = bookings.positions[id] ?? [:]
            accounts[id] = Account(
                partner: partner.id, name: customer.companyName, reseller: customer.resellerID,
                responsibility: customer.administrativeResponsibility,
                holdings: state.subscriptions.mapValues { Holding($0) },
                entries: (transactions[id] ?? []).sorted { places[$0.id] ?? -1 < places[$1.id] ?? -1 }.map {
                    transaction in
                    Model.Entry(
                        transaction, bookings, invoice: bills.firstIndex { $0.id == transaction.invoiceID })
                },
                bills: bills.map { Bill($0) },
                settled: customer.settledThrough.map { Model.day($0) })
        }
    }
}

extension Books.Account {
    init(_ account: Model.Account, _ model: Model) {
        self.init(
            partner: account.partner.id, name: account.name, reseller: account.reseller,
            responsibility: account.responsibility,
            holdings: account.sales.mapValues { Books.Holding($0, account, model) },
            entries: account.entries, bills: account.invoices.indices.map { Books.Bill($0, account) },
            settled: account.settled)
    }
}

extension Books.Holding {
    init(_ sale: Model.Sale, _ account: Model.Account, _ model: Model) {
        self.init(
            product: sale.product, term: sale.term, start: sale.start, period: sale.period,
            periodEnd: Model.end(sale), state: sale.state,
            autoRenewal: sale.autoRenewal, inventory: model.inventory(sale, account),
            toRenew: sale.state == .expired ? [:] : sale.toRenew)
    }

    init(_ subscription: Subscription) {
        self.init(
            product: subscription.product, term: subscription.term, start: Model.day(subscription.originalStart),
            period: subscription.period.index, periodEnd: Model.day(subscription.period.end),
            state: subscription.state, autoRenewal: subscription.autoRenewal,
            inventory: subscription.inventory.filter { $0.value != 0 },
            toRenew: subscription.state == .expired ? [:] : subscription.renewalInventory)
    }
}

extension Books.Bill {
    init(_ index: Int, _ account: Model.Account) {
        let invoice = account.invoices[index]
        self.init(
            month: invoice.month, name: invoice.name,
            total: account.entries.filter { $0.invoice == index }.map(\.amount).reduce(0, +))
    }

    init(_ invoice: Invoice) {
        let series = "\(invoice.start.year)-\(invoice.start.month) \(invoice.series.kind.rawValue)"
        self.init(
            month: Model.day(invoice.start), name: invoice.number.map { "\(series) \($0)" },
            total: invoice.total.amount)
    }
}

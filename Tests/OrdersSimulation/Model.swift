// The rules once more: small, obvious and slow, to compare the real ones against.

import Foundation
import Orders

/// An executable model of DESIGN's domain rules.
///
/// It keeps nothing but what happened: inventories, refunded quantities and invoice totals are counted up from the
/// transactions each time they are needed. Dates and zones are Foundation's.
struct Model {
    /// A day: midnight UTC of it.
    typealias Day = Date

    struct Entry: Equatable {
        var type: TransactionType
        var subscription: SubscriptionID
        var period: Int
        var certificateType: String?
        var quantity: Int64?
        var unitPrice: Int64?
        var days: [Int]?
        var amount: Int64
        var date: Day
        var bookedOn: Day
        var refundableUntil: Day?
        var reseller: String?
        /// The position of the charge that a refund reverses.
        var reverses: Int?
        var invoice: Int?
    }

    struct Sale {
        var id: SubscriptionID
        var product: String
        var term: Term
        var start: Day
        var period = 0
        /// The period from whose start the ends are counted, where that isn't the first.
        var restart: (period: Int, start: Day)?
        var state = SubscriptionState.active
        var autoRenewal: Bool
        var toRenew: [String: Int64] = [:]
    }

    struct Account {
        var partner: Partner
        var name: String
        var reseller: String?
        var responsibility: AdministrativeResponsibility
        var sales: [SubscriptionID: Sale] = [:]
        var entries: [Entry] = []
        /// Months with an invoice, and what it is called once it is closed.
        var invoices: [(month: Day, name: String?)] = []
        /// The latest day on which something fell due and was settled: months that ended by then are closed.
        var settled: Day?
    }

    /// What a command came to.
    enum Outcome: Equatable {
        case done([Entry])
        case refused(Set<String>)
    }

    var catalog: Catalog
    var prices: [Price]
    var accounts: [CustomerID: Account] = [:]
    /// How many invoices of a partner, month and kind are closed.
    private var closed: [String: Int] = [:]

    init(catalog: Catalog, prices: [Price]) {
        self.catalog = catalog
        self.prices = prices
    }

    // MARK: Commands

    /// - Parameter now: when the command is decided, which is the day of what is booked; its worth follows from its own time.
    mutating func decide(_ envelope: CommandEnvelope, now: Timestamp) -> Outcome {
        let id = envelope.command.customerID
        let partner: Partner?
        if envelope.publisher == .worker {
            guard let account = accounts[id] else { return .refused(["customer_unknown"]) }
            partner = catalog.partners[account.partner.id]
        } else {
            partner = catalog.partners.values.first { envelope.publisher == .user($0.publishers[0]) }
        }
        guard let partner else { return .refused(["publisher_unknown"]) }
        let date = Self.day(envelope.effectiveAt, in: partner.zone.name)
        let day = Self.day(now, in: partner.zone.name)
        if var account = accounts[id], account.partner.id == partner.id {
            account.partner = partner
            settle(&account, through: date, now: day)
            if case .settle(_, dayIsOver: true) = envelope.command,
                let invoice = account.invoices.last, invoice.name == nil,
                let tomorrow = Self.calendar.date(byAdding: .day, value: 1, to: date),
                Self.later(invoice.month, months: 1) == tomorrow
            {
                close(&account)
                account.settled = max(account.settled ?? tomorrow, tomorrow)
            }
            accounts[id] = account
        }
        if case .createCustomer(let create) = envelope.command { return decide(create, partner) }
        guard var account = accounts[id], account.partner.id == partner.id else {
            return .refused(["customer_unknown"])
        }
        let outcome = decide(envelope.command, &account, today: date)
        guard case .done(var entries) = outcome else { return outcome }
        for index in entries.indices { Self.stamp(&entries[index], account, now: day) }
        if !envelope.command.isQuote {
            for entry in entries { Self.book(entry, &account) }
            accounts[id] = account
        }
        return .done(entries)
    }

    /// Puts on an entry when it is booked, and whose it is.
    private static func stamp(_ entry: inout Entry, _ account: Account, now: Day) {
        entry.bookedOn = max(entry.date, now)
        // A refund is the reseller's whose charge it reverses.
        entry.reseller = entry.reverses.map { account.entries[$0].reseller } ?? account.reseller
        guard [.order, .inventoryAddition, .renewal].contains(entry.type) else { return entry.refundableUntil = nil }
        entry.refundableUntil = entry.bookedOn.addingTimeInterval(Double(account.partner.refundWindowDays) * 86400)
    }

    private mutating func decide(_ create: CreateCustomer, _ partner: Partner) -> Outcome {
        var wrong: Set<String> = []
        if accounts[create.customerID] != nil { wrong.insert("customer_exists") }
        if accounts[create.customerID].map({ $0.partner.id != partner.id }) == true { return .refused(wrong) }
        if let reseller = create.resellerID, partner.resellers[reseller] == nil { wrong.insert("reseller_unknown") }
        if create.administrativeResponsibility == .customerAdministered && create.customerAdminEmail == nil {
            wrong.insert("customer_admin_email_required")
        }
        if create.administrativeResponsibility == .partnerAdministered && create.customerAdminEmail != nil {
            wrong.insert("customer_admin_email_not_allowed")
        }
        if !wrong.isEmpty { return .refused(wrong) }
        accounts[create.customerID] = Account(
            partner: partner, name: create.companyName, reseller: create.resellerID,
            responsibility: create.administrativeResponsibility)
        return .done([])
    }

    /// Changes everything of `account` but its entries, which the caller books; a quote's changes are thrown away.
    private func decide(_ command: Command, _ account: inout Account, today: Day) -> Outcome {
        switch command {
        case .createCustomer, .settle: return .done([])
        case .updateCustomer(let update): return decide(update, &account)
        case .orderSubscriptions(let order): return decide(order, &account, today)
        case .processRefund(let refund): return decide(refund, &account, today)
        case .addInventory(let add):
            return change(add.subscriptionID, account) { sale, wrong in
                if sale.state == .suspended { wrong.insert("subscription_suspended") }
                let entries = charges(.inventoryAddition, add.inventory, sale, account, today, &wrong)
                return entries
            }
        case .setRenewalInventory(let set):
            var toRenew = account.sales[set.subscriptionID]?.toRenew ?? [:]
            let outcome = change(set.subscriptionID, account) { sale, wrong in
                if set.renewalInventory.isEmpty {
                    toRenew = [:]
                    return [note(.renewalInventoryChange, sale, today)]
                }
                if Set(set.renewalInventory.map(\.certificateType)).count < set.renewalInventory.count {
                    wrong.insert("certificate_type_duplicate")
                }
                let end = Self.end(sale)
                return set.renewalInventory.map { item in
                    if catalog.products[sale.product]?.certificateTypes[item.certificateType] == nil {
                        wrong.insert("certificate_type_unknown")
                    } else if item.quantity > 0,
                        let code = unsold(item.certificateType, sale, account.partner, max(today, end))
                    {
                        wrong.insert(code)
                    }
                    if item.quantity < 0 { wrong.insert("quantity_required") }
                    toRenew[item.certificateType] = item.quantity
                    var entry = note(.renewalInventoryChange, sale, today)
                    entry.certificateType = item.certificateType
                    entry.quantity = item.quantity
                    return entry
                }
            }
            if case .done = outcome { account.sales[set.subscriptionID]?.toRenew = toRenew }
            return outcome
        case .setAutoRenewal(let set):
            let outcome = change(set.subscriptionID, account) { sale, _ in [note(.autoRenewalChange, sale, today)] }
            if case .done = outcome { account.sales[set.subscriptionID]?.autoRenewal = set.autoRenewal }
            return outcome
        case .suspendSubscription(let suspend):
            let outcome = change(suspend.subscriptionID, account) { sale, wrong in
                if sale.state == .suspended { wrong.insert("subscription_already_suspended") }
                return [note(.suspension, sale, today)]
            }
            if case .done = outcome { account.sales[suspend.subscriptionID]?.state = .suspended }
            return outcome
        case .enableSubscription(let enable):
            var enabled = account.sales[enable.subscriptionID]
            enabled?.state = .active
            let outcome = change(enable.subscriptionID, account) { sale, wrong in
                if sale.state == .active { wrong.insert("subscription_already_active") }
                if sale.state == .active || today < Self.end(sale) { return [note(.enablement, sale, today)] }
                var next = sale
                next.state = .active
                next.period += 1
                next.restart = (next.period, today)
                next.toRenew = [:]
                enabled = next
                let items = toRenew(sale, account, today)
                let isOffered =
                    isSold(sale.product, today) && holds(catalog.products[sale.product]?.terms[sale.term], today)
                if !isOffered || items.isEmpty {
                    wrong.insert(isOffered ? "nothing_to_renew" : "term_not_sold")
                    return []
                }
                return [note(.enablement, next, today)] + charges(.renewal, items, next, account, today, &wrong)
            }
            if case .done = outcome { account.sales[enable.subscriptionID] = enabled }
            return outcome
        }
    }

    private func decide(_ update: UpdateCustomer, _ account: inout Account) -> Outcome {
        var wrong: Set<String> = []
        if let responsibility = update.administrativeResponsibility, responsibility != account.responsibility {
            wrong.insert("administrative_responsibility_immutable")
        }
        if case .set(let reseller) = update.reseller, account.partner.resellers[reseller] == nil {
            wrong.insert("reseller_unknown")
        }
        if !wrong.isEmpty { return .refused(wrong) }
        if let name = update.companyName { account.name = name }
        switch update.reseller {
        case .keep: break
        case .clear: account.reseller = nil
        case .set(let reseller): account.reseller = reseller
        }
        return .done([])
    }

    private func decide(_ order: OrderSubscriptions, _ account: inout Account, _ today: Day) -> Outcome {
        var wrong: Set<String> = []
        var entries: [Entry] = []
        var ids: Set<SubscriptionID> = []
        for item in order.subscriptions {
            if account.sales[item.subscriptionID] != nil { wrong.insert("subscription_exists") }
            if !ids.insert(item.subscriptionID).inserted { wrong.insert("subscription_duplicate") }
            var sale = Sale(
                id: item.subscriptionID, product: item.product, term: item.term,
                start: item.startDate.map(Self.day) ?? today, autoRenewal: item.autoRenewal)
            if isSold(item.product, today), !holds(catalog.products[item.product]?.terms[item.term], today) {
                wrong.insert("term_not_sold")
            }
            if Self.days(today, sale.start) > 90 { wrong.insert("start_date_too_late") }
            if Self.end(sale) <= today { wrong.insert("start_date_too_early") }
            if !wrong.isDisjoint(with: ["start_date_too_late", "start_date_too_early"]) { sale.start = today }
            entries += charges(.order, item.inventory, sale, account, today, &wrong)
            if wrong.isEmpty { ids.insert(sale.id) }
        }
        if !wrong.isEmpty { return .refused(wrong) }
        for item in order.subscriptions where !order.quoteOnly {
            account.sales[item.subscriptionID] = Sale(
                id: item.subscriptionID, product: item.product, term: item.term,
                start: item.startDate.map(Self.day) ?? today, autoRenewal: item.autoRenewal)
        }
        return .done(entries)
    }

    private func decide(_ refund: ProcessRefund, _ account: inout Account, _ today: Day) -> Outcome {
        var wrong: Set<String> = []
        var entries: [Entry] = []
        var seen: Set<TransactionID> = []
        for item in refund.refunds {
            if !seen.insert(item.transactionID).inserted {
                wrong.insert("transaction_duplicate")
                continue
            }
            // In histories a transaction is named by its position.
            let position = Int(item.transactionID.low)
            guard account.entries.indices.contains(position) else {
                wrong.insert("transaction_unknown")
                continue
            }
            let charge = account.entries[position]
            guard [.order, .inventoryAddition, .renewal].contains(charge.type), let bought = charge.quantity else {
                wrong.insert("transaction_not_refundable")
                continue
            }
            if today > charge.refundableUntil ?? .distantPast { wrong.insert("refund_window_closed") }
            let before = account.entries.filter { $0.reverses == position }.compactMap(\.quantity).reduce(0, +)
            if item.quantity > bought - before {
                wrong.insert("quantity_exceeds_refundable")
                continue
            }
            var entry = charge
            entry.type = .refund
            entry.quantity = item.quantity
            entry.date = today
            entry.reverses = position
            entry.amount =
                Self.round(charge.amount * before, bought)
                - Self.round(charge.amount * (before + item.quantity), bought)
            entries.append(entry)
        }
        guard wrong.isEmpty else { return .refused(wrong) }
        // What is paid back in full doesn't renew.
        var after = account
        after.entries += entries
        for entry in entries {
            guard let sale = account.sales[entry.subscription], sale.period == entry.period, sale.state != .expired,
                sale.autoRenewal, inventory(sale, after).isEmpty
            else { continue }
            account.sales[sale.id]?.autoRenewal = false
            entries.append(note(.autoRenewalChange, sale, today))
        }
        return .done(entries)
    }

    // MARK: Parts of rules

    private func change(
        _ id: SubscriptionID, _ account: Account, _ rule: (Sale, inout Set<String>) -> [Entry]
    ) -> Outcome {
        guard let sale = account.sales[id] else { return .refused(["subscription_unknown"]) }
        if sale.state == .expired { return .refused(["subscription_expired"]) }
        var wrong: Set<String> = []
        let entries = rule(sale, &wrong)
        return wrong.isEmpty ? .done(entries) : .refused(wrong)
    }

    private func note(_ type: TransactionType, _ sale: Sale, _ today: Day) -> Entry {
        Entry(type: type, subscription: sale.id, period: sale.period, amount: 0, date: today, bookedOn: today)
    }

    private func charges(
        _ type: TransactionType, _ items: [CertificateQuantity], _ sale: Sale, _ account: Account, _ today: Day,
        _ wrong: inout Set<String>
    ) -> [Entry] {
        if items.allSatisfy({ type == .order && $0.quantity == 0 }) { wrong.insert("quantity_required") }
        if Set(items.map(\.certificateType)).count < items.count { wrong.insert("certificate_type_duplicate") }
        if items.contains(where: { $0.quantity < (type == .order ? 0 : 1) }) { wrong.insert("quantity_required") }
        guard let product = catalog.products[sale.product], isSold(sale.product, today) else {
            wrong.insert("product_unknown")
            return []
        }
        let end = Self.end(sale)
        let total = Self.days(Self.start(sale), end)
        let left = min(total, Self.days(today, end))
        var entries: [Entry] = []
        for item in items {
            guard holds(product.certificateTypes[item.certificateType], today) else {
                wrong.insert("certificate_type_unknown")
                continue
            }
            guard type != .order || holds(product.terms[sale.term], today), item.quantity != 0 else { continue }
            guard let price = price(sale.product, item.certificateType, sale.term, account.partner, today) else {
                wrong.insert("price_unknown")
                continue
            }
            var entry = note(type, sale, today)
            entry.certificateType = item.certificateType
            entry.quantity = item.quantity
            entry.unitPrice = price
            entry.days = [left, total]
            entry.amount = Self.round(price * item.quantity * Int64(left), Int64(total))
            entries.append(entry)
        }
        return entries
    }

    private static func since(_ validity: Validity) -> Day { validity.from.map(day) ?? .distantPast }

    private func holds(_ ranges: [Validity]?, _ day: Day) -> Bool {
        (ranges ?? []).contains { range in
            Self.since(range) <= day && day < (range.until.map(Self.day) ?? .distantFuture)
        }
    }

    private func isSold(_ product: String, _ day: Day) -> Bool {
        guard let product = catalog.products[product] else { return false }
        return product.certificateTypes.values.contains { holds($0, day) }
            && product.terms.values.contains { holds($0, day) }
    }

    /// Why a type can't be renewed on a day.
    private func unsold(_ type: String, _ sale: Sale, _ partner: Partner, _ day: Day) -> String? {
        let product = catalog.products[sale.product]
        if !isSold(sale.product, day) || !holds(product?.terms[sale.term], day) { return "term_not_sold" }
        if !holds(product?.certificateTypes[type], day) { return "certificate_type_not_sold" }
        return price(sale.product, type, sale.term, partner, day) == nil ? "price_unknown" : nil
    }

    /// What a sale's next period holds if it begins on a day.
    private func toRenew(_ sale: Sale, _ account: Account, _ day: Day) -> [CertificateQuantity] {
        inventory(sale, account).merging(sale.toRenew) { _, new in new }.sorted { $0.key < $1.key }
            .filter { $0.value > 0 && unsold($0.key, sale, account.partner, day) == nil }
            .map { CertificateQuantity(certificateType: $0.key, quantity: $0.value) }
    }

    private func price(_ product: String, _ type: String, _ term: Term, _ partner: Partner, _ today: Day) -> Int64? {
        let inForce = prices.filter {
            $0.subject.product == product && $0.subject.certificateType == type && $0.subject.term == term
                && $0.subject.currency == partner.currency.code && holds([$0.validity], today)
        }.sorted { Self.since($0.validity) < Self.since($1.validity) }
        let own = inForce.last { $0.subject.partnerID == partner.id }
        return (own ?? inForce.last { $0.subject.partnerID == nil })?.unitPrice
    }

    /// What a subscription holds: all that was bought for its current period and not refunded.
    func inventory(_ sale: Sale, _ account: Account) -> [String: Int64] {
        var inventory: [String: Int64] = [:]
        for entry in account.entries where entry.subscription == sale.id && entry.period == sale.period {
            guard let type = entry.certificateType, let quantity = entry.quantity else { continue }
            switch entry.type {
            case .order, .inventoryAddition, .renewal: inventory[type, default: 0] += quantity
            case .refund: inventory[type, default: 0] -= quantity
            default: break
            }
        }
        return inventory.filter { $0.value != 0 }
    }

    private static func book(_ entry: Entry, _ account: inout Account) {
        var entry = entry
        entry.invoice = nil
        if entry.amount != 0 {
            if account.invoices.last?.name != nil || account.invoices.isEmpty {
                // The month of its date, unless that has ended for the customer.
                let own = month(entry.date)
                let settled = account.settled ?? own
                account.invoices.append((month: settled >= later(own, months: 1) ? month(settled) : own, name: nil))
            }
            entry.invoice = account.invoices.count - 1
        }
        account.entries.append(entry)
    }

    // MARK: Time

    /// Lives through each day that has something due, in order.
    private mutating func settle(_ account: inout Account, through today: Day, now: Day) {
        while true {
            let ends = account.sales.values.filter(Self.falls).map {
                Self.end($0)
            }
            let invoiceEnd = account.invoices.last.flatMap { $0.name == nil ? Self.later($0.month, months: 1) : nil }
            guard let day = (ends + [invoiceEnd].compactMap { $0 }).min(), day <= today else { return }
            if invoiceEnd == day { close(&account) }
            let due = account.sales.values.filter {
                Self.falls($0) && Self.end($0) == day
            }
            for sale in due.sorted(by: { $0.id < $1.id }) { end(sale, &account, day, now: now) }
            account.settled = max(account.settled ?? day, day)
        }
    }

    /// Gives the open invoice the next number of its partner, month and kind.
    private mutating func close(_ account: inout Account) {
        let index = account.invoices.count - 1
        let total = account.entries.filter { $0.invoice == index }.map(\.amount).reduce(0, +)
        let month = Self.calendar.dateComponents([.year, .month], from: account.invoices[index].month)
        let series = "\(month.year ?? 0)-\(month.month ?? 0) \(total < 0 ? "creditNote" : "invoice")"
        closed["\(account.partner.id) \(series)", default: 0] += 1
        account.invoices[index].name = "\(series) \(closed["\(account.partner.id) \(series)"] ?? 0)"
    }

    private func end(_ sale: Sale, _ account: inout Account, _ day: Day, now: Day) {
        var next = sale
        next.period += 1
        next.toRenew = [:]
        let items = toRenew(sale, account, day)
        var wrong: Set<String> = []
        if !sale.autoRenewal || items.isEmpty { wrong.insert("expires") }
        let entries = charges(.renewal, items, next, account, day, &wrong)
        if wrong.isEmpty {
            for var entry in entries {
                Self.stamp(&entry, account, now: now)
                Self.book(entry, &account)
            }
        } else {
            next = sale
            next.state = .expired
            var entry = note(.expiry, sale, day)
            Self.stamp(&entry, account, now: now)
            Self.book(entry, &account)
        }
        account.sales[sale.id] = next
    }
}

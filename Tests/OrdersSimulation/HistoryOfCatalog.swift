// How the catalog changes in a history: the rules of its zones at once, and what it sells from a day on that is still to come.

import Orders

extension History {
    /// Now and then something of the catalog changes.
    ///
    /// - Returns: whether it did; the catalog is another one then.
    mutating func changeCatalog() -> Bool {
        guard Int.random(in: 0..<30 * customers, using: &random) == 0 else { return false }
        var partners = catalog.partners
        var products = catalog.products
        switch Int.random(in: 0..<8, using: &random) {
        case 0..<3:
            guard let partner = partners[pick(["acme", "bravo", "cobalt"])], let zone = otherZone() else {
                return false
            }
            partners[partner.id] = partner.with(zone: zone)
        case 3:
            guard let partner = partners[pick(["acme", "bravo", "cobalt"])] else { return false }
            partners[partner.id] = partner.with(refundWindowDays: pick([0, 14, 30, 60]))
        case 4, 5:
            changePrice()
        default:
            let product = pick([Self.enterprise.id, Self.basic.id])
            products[product] = products[product].map { changeSales(of: $0) }
        }
        catalog = Catalog(
            version: catalog.version + 1, partners: Array(partners.values), products: Array(products.values),
            prices: prices)
        return true
    }

    /// The rules of a partner's zone change at whatever time of day and month: it is told by another zone's file from then
    /// on, up to a whole day to the west or to the east.
    private mutating func otherZone() -> BillingZone? {
        BillingZone(
            pick([
                "Europe/Berlin", "Atlantic/Azores", "America/New_York", "Asia/Tokyo", "Pacific/Apia",
                "Pacific/Pago_Pago",
            ]))
    }

    /// A day that is still to come in every zone.
    private mutating func futureDay() -> CalendarDate {
        (BillingZone("UTC")?.date(of: now) ?? .on("2025-01-01"))
            .adding(days: Int.random(in: 2...40, using: &random))
    }

    /// A new price, one that hasn't begun taken back, or one that gets an end.
    private mutating func changePrice() {
        let day = futureDay()
        let place = Int.random(in: 0..<prices.count, using: &random)
        let price = prices[place]
        if let from = price.validity.from, from >= day, chance(70) {
            prices.remove(at: place)
        } else if price.validity.until == nil, chance(15) {
            prices[place] = Price(
                subject: price.subject, unitPrice: price.unitPrice,
                validity: Validity(
                    from: price.validity.from, until: max(day, price.validity.from ?? day).adding(days: 1)))
        } else if !prices.contains(where: { $0.subject == price.subject && $0.validity.from == day }) {
            prices.append(
                Price(
                    subject: price.subject, unitPrice: Int64.random(in: 0...99_999, using: &random),
                    validity: Validity(from: day, until: chance(30) ? day.adding(days: 25) : nil)))
        }
    }

    /// A type or a term that is withdrawn, or sold again.
    private mutating func changeSales(of product: Product) -> Product {
        let day = futureDay()
        func changed(_ ranges: [Validity]) -> [Validity] {
            guard let last = ranges.last else { return [Validity(from: day, until: nil)] }
            if last.until == nil, last.from.map({ $0 < day }) ?? true {
                return ranges.dropLast() + [Validity(from: last.from, until: day)]
            }
            guard let until = last.until, until < day else { return ranges }
            return ranges + [Validity(from: day, until: nil)]
        }
        var (types, terms) = (product.certificateTypes, product.terms)
        if chance(60) {
            let type = pick(types.keys.sorted())
            types[type] = changed(types[type] ?? [])
        } else {
            let term = pick(terms.keys.sorted { $0.description < $1.description })
            terms[term] = changed(terms[term] ?? [])
        }
        return Product(id: product.id, name: product.name, certificateTypes: types, terms: terms)
    }
}

extension Partner {
    fileprivate func with(zone: BillingZone? = nil, refundWindowDays: Int? = nil) -> Partner {
        Partner(
            id: id, name: name, currency: currency, zone: zone ?? self.zone,
            refundWindowDays: refundWindowDays ?? self.refundWindowDays, publishers: publishers, resellers: resellers)
    }
}

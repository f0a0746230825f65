// The part of a plan that is about prices.

internal import Orders
internal import PostgreSQL

extension CatalogPlan {
    /// Prices by subject and first day: a row stays what it is once that day has come, but for its end.
    mutating func planPrices(
        _ file: CatalogFile, _ stored: CatalogSnapshot, _ zones: CatalogZones
    ) throws(StoreError) {
        var withdrawn: [Price] = []
        var changed: [Price] = []
        var added: [Price] = []
        var named: Set<CatalogSnapshot.PriceKey> = []
        for entry in file.prices {
            guard let subject = entry.domainSubject else { continue }
            let price = Price(
                subject: subject, unitPrice: entry.unitPrice, validity: Validity(entry.from, entry.until))
            let key = CatalogSnapshot.PriceKey(subject: subject, from: price.validity.from)
            named.insert(key)
            guard let old = stored.prices[key] else {
                if let today = zones.today(subject), let from = price.validity.from, from < today {
                    throw .past(from, of: "the price of \(entry.subject)", today: today)
                }
                note(.add, "price \(price.unitPrice) of \(entry.subject)\(price.validity.end)")
                added.append(price)
                continue
            }
            guard old != price else { continue }
            try checkChange(of: old, to: price, entry.subject, today: zones.today(subject) ?? zones.todayInUTC)
            note(.change, "price \(price.unitPrice) of \(entry.subject)\(price.validity.end)")
            changed.append(price)
            narrow(price.subject.product)
        }
        for (key, price) in stored.prices where !named.contains(key) {
            let today = zones.today(price.subject) ?? zones.todayInUTC
            if let from = key.from, from > today {
                withdrawn.append(price)
            } else {
                let end = today.adding(days: 1)
                guard price.validity.until.map({ $0 > end }) ?? true else { continue }
                changed.append(
                    Price(
                        subject: price.subject, unitPrice: price.unitPrice,
                        validity: Validity(from: key.from, until: end)))
            }
            narrow(price.subject.product)
        }
        noteEnds(withdrawn, "withdrawn")
        noteEnds(changed.filter { !named.contains(.init(subject: $0.subject, from: $0.validity.from)) }, nil)
        store(withdrawn, changed, added)
    }

    /// What has begun may only end later than today, and what has ended stays so.
    private func checkChange(
        of old: Price, to new: Price, _ name: String, today: CalendarDate
    ) throws(StoreError) {
        let hasBegun = old.validity.from.map { $0 <= today } ?? true
        guard old.unitPrice == new.unitPrice || !hasBegun else {
            throw .catalog(
                "the price of \(name) is \(old.unitPrice) and can't become \(new.unitPrice): prices in force are never "
                    + "edited; add one with a later effectiveFrom")
        }
        guard old.validity.until != new.validity.until else { return }
        for until in [old.validity.until, new.validity.until].compactMap(\.self) where until < today {
            throw .past(until, of: "the price of \(name)", today: today)
        }
    }

    private mutating func noteEnds(_ prices: [Price], _ what: String?) {
        let lines = prices.map { price in
            "price \(price.unitPrice) of \(price.words): \(what ?? "in force\(price.validity.end)")"
        }
        for line in lines.sorted() { note(.remove, line) }
    }

    private mutating func store(_ withdrawn: [Price], _ changed: [Price], _ added: [Price]) {
        func parameters(_ prices: [Price]) -> [Parameter] {
            [
                .textArray(prices.map(\.subject.partnerID)), .textArray(prices.map(\.subject.product)),
                .textArray(prices.map(\.subject.certificateType)),
                .textArray(prices.map(\.subject.term.description)), .textArray(prices.map(\.subject.currency)),
                .dates(prices.map(\.validity.from)), .int8Array(prices.map(\.unitPrice)),
                .dates(prices.map(\.validity.until)),
            ]
        }
        let rows = """
            unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::date[], $7::bigint[], $8::date[])
                AS r (partner_id, product, certificate_type, term, currency, effective_from, unit_price, effective_until)
            """
        let same = """
            p.partner_id IS NOT DISTINCT FROM r.partner_id AND p.product = r.product
            AND p.certificate_type = r.certificate_type AND p.term = r.term AND p.currency = r.currency
            AND p.effective_from = r.effective_from
            """
        add(
            Statement(
                name: "withdraw prices", "DELETE FROM prices AS p USING \(rows) WHERE \(same)", parameters(withdrawn)))
        add(
            Statement(
                name: "change prices",
                """
                UPDATE prices AS p SET unit_price = r.unit_price, effective_until = r.effective_until
                FROM \(rows) WHERE \(same)
                """, parameters(changed)))
        add(
            Statement(
                name: "add prices",
                """
                INSERT INTO prices (partner_id, product, certificate_type, term, currency, effective_from, unit_price,
                                    effective_until)
                SELECT * FROM \(rows)
                """, parameters(added)))
    }
}

extension CatalogFile.Price {
    /// What the price is for; nil for a term that can't be read, which was refused before.
    var domainSubject: Price.Subject? {
        Term(term).map { term in
            Price.Subject(
                partnerID: partner, product: product, certificateType: certificateType, term: term, currency: currency)
        }
    }
}

extension Price {
    /// What the price is for and since when, for people.
    fileprivate var words: String {
        "\(subject.product) \(subject.certificateType) \(subject.term) in \(subject.currency) for "
            + "\(subject.partnerID ?? "everyone") from \(validity.from.map(\.description) ?? "ever")"
    }
}

extension Validity {
    /// For people, after the beginning: " until 2027-01-01".
    fileprivate var end: String { until.map { " until \($0)" } ?? "" }
}

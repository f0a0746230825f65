// What has to change so that the stored catalog is what a file says.

internal import Orders
internal import PostgreSQL

/// The difference between a file and what is stored.
///
/// What is sold and what it costs never changes for a day that has passed, by the database's clock, in the zone of any
/// stored partner that it concerns; until the first of them is stored nothing has passed, and all of the file holds as it
/// is written. Afterwards
/// - a date before today is refused, unless it is stored already;
/// - what the file names without dates is sold from today on, as far as it isn't yet, and for good; what was never named
///   before is sold since ever, which changes nothing, since it has no price of the past;
/// - what the file no longer names ends with today; what hasn't begun yet is withdrawn;
/// - a price that hasn't begun can be corrected, one that has can only be given an end.
struct CatalogPlan {
    private(set) var changes: [CatalogChange] = []
    private(set) var statements: [Statement] = []
    /// What is wrong with what stays as it is.
    private(set) var warnings: [String] = []
    /// The products of which something that is sold now won't be, for at least one partner.
    private(set) var narrowedProducts: Set<String> = []

    init(file: CatalogFile, stored: CatalogSnapshot) throws(StoreError) {
        let zones = CatalogZones(stored)
        try planPartners(file, stored)
        planPublishers(file, stored)
        planResellers(file, stored)
        try planProducts(file, stored, zones)
        try planPrices(file, stored, zones)
        statements.append(Statement("UPDATE catalog_versions SET version = version + 1"))
    }

    private mutating func planPartners(_ file: CatalogFile, _ stored: CatalogSnapshot) throws(StoreError) {
        var changed: [CatalogFile.Partner] = []
        for partner in file.partners {
            let problem = CatalogFile.problem(currency: partner.currency, zone: partner.billingZone)
            guard let old = stored.partners[partner.id] else {
                if let problem { throw .catalog("partner '\(partner.id)': \(problem)") }
                note(.add, "partner \(partner.id) (\(partner.name), \(partner.currency), \(partner.billingZone))")
                changed.append(partner)
                continue
            }
            let isRenamed = old.zone != partner.billingZone
            guard old.currency == partner.currency,
                !isRenamed || BillingZone.canRename(old.zone, to: partner.billingZone)
            else {
                throw .catalog(
                    "partner '\(partner.id)' has \(old.currency) and \(old.zone); currency and billing zone never change, "
                        + "since its invoices are kept in them, but to another name of the same zone")
            }
            // It stops only that partner, so that the rest of the file can be applied all the same.
            if let problem { warnings.append("partner \(partner.id) can't be served here: \(problem)") }
            if isRenamed {
                note(
                    .change,
                    "partner \(partner.id): billing zone \(partner.billingZone), which has the rules of \(old.zone)")
                changed.append(partner)
            }
            if old.name != partner.name || old.refundWindowDays != partner.refundWindowDays ?? 30 {
                note(
                    .change,
                    "partner \(partner.id) (\(partner.name), refunds within \(partner.refundWindowDays ?? 30) days)")
                if !isRenamed { changed.append(partner) }
            }
        }
        let named = Set(file.partners.map(\.id))
        for id in stored.partners.keys.sorted() where !named.contains(id) {
            warnings.append("partner \(id) isn't in the file; it stays, and nobody may publish for it")
        }
        statements.append(
            Statement(
                name: "store partners",
                """
                INSERT INTO partners (partner_id, name, currency, billing_zone, refund_window_days)
                SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[])
                ON CONFLICT (partner_id) DO UPDATE SET
                    name = excluded.name, billing_zone = excluded.billing_zone,
                    refund_window_days = excluded.refund_window_days
                """,
                [
                    .textArray(changed.map(\.id)), .textArray(changed.map(\.name)),
                    .textArray(changed.map(\.currency)), .textArray(changed.map(\.billingZone)),
                    .int4Array(changed.map { Int32(clamping: $0.refundWindowDays ?? 30) }),
                ]))
    }

    private mutating func planPublishers(_ file: CatalogFile, _ stored: CatalogSnapshot) {
        var wanted: [(user: String, partner: String)] = []
        for partner in file.partners {
            for user in partner.publishers ?? [] where stored.publishers[user] != partner.id {
                note(stored.publishers[user] == nil ? .add : .change, "publisher \(user) for partner \(partner.id)")
                wanted.append((user, partner.id))
            }
        }
        let named = Set(file.partners.flatMap { $0.publishers ?? [] })
        let dropped = stored.publishers.keys.filter { !named.contains($0) }.sorted()
        for user in dropped { note(.remove, "publisher \(user)") }
        statements.append(
            Statement(
                name: "drop publishers", "DELETE FROM publishers WHERE user_name = ANY($1::text[])",
                [.textArray(dropped)]))
        statements.append(
            Statement(
                name: "store publishers",
                """
                INSERT INTO publishers (user_name, partner_id) SELECT * FROM unnest($1::text[], $2::text[])
                ON CONFLICT (user_name) DO UPDATE SET partner_id = excluded.partner_id
                """, [.textArray(wanted.map(\.user)), .textArray(wanted.map(\.partner))]))
    }

    private mutating func planResellers(_ file: CatalogFile, _ stored: CatalogSnapshot) {
        var wanted: [(partner: String, id: String, name: String)] = []
        for partner in file.partners {
            for reseller in partner.resellers ?? [] {
                let old = stored.resellers[.init(owner: partner.id, name: reseller.id)]
                guard old != reseller.name else { continue }
                note(old == nil ? .add : .change, "reseller \(reseller.id) of \(partner.id) (\(reseller.name))")
                wanted.append((partner.id, reseller.id, reseller.name))
            }
        }
        for partner in file.partners {
            let named = Set((partner.resellers ?? []).map(\.id))
            for key in stored.resellers.keys.sorted() where key.owner == partner.id && !named.contains(key.name) {
                warnings.append(
                    "reseller \(key.name) of \(partner.id) isn't in the file; it stays, since customers may be its")
            }
        }
        statements.append(
            Statement(
                name: "store resellers",
                """
                INSERT INTO resellers (partner_id, reseller_id, name) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
                ON CONFLICT (partner_id, reseller_id) DO UPDATE SET name = excluded.name
                """, [.textArray(wanted.map(\.partner)), .textArray(wanted.map(\.id)), .textArray(wanted.map(\.name))]))
    }

    private mutating func planProducts(
        _ file: CatalogFile, _ stored: CatalogSnapshot, _ zones: CatalogZones
    ) throws(StoreError) {
        var named: [CatalogFile.Product] = []
        for product in file.products where stored.products[product.id] != product.name {
            note(stored.products[product.id] == nil ? .add : .change, "product \(product.id) (\(product.name))")
            named.append(product)
        }
        statements.append(
            Statement(
                name: "store products",
                """
                INSERT INTO products (product, name) SELECT * FROM unnest($1::text[], $2::text[])
                ON CONFLICT (product) DO UPDATE SET name = excluded.name
                """, [.textArray(named.map(\.id)), .textArray(named.map(\.name))]))
        let zones = (zones.concerned(file, stored), zones.todayInUTC)
        try planOffers(.certificateType, file, stored.types, zones)
        try planOffers(.term, file, stored.terms, zones)
    }

    /// What is offered in a product: certificate types and terms are stored alike.
    private enum OfferKind: String {
        case certificateType = "certificate type"
        case term

        var keys: String { self == .term ? "product_terms" : "product_certificate_types" }
        var sales: String { self == .term ? "term_sales" : "certificate_type_sales" }
        var column: String { self == .term ? "term" : "certificate_type" }

        func offers(of product: CatalogFile.Product) -> [CatalogFile.Offer] {
            self == .term ? product.terms : product.certificateTypes
        }
    }

    private mutating func planOffers(
        _ kind: OfferKind, _ file: CatalogFile, _ stored: [CatalogSnapshot.PairKey: [Validity]],
        _ zones: (today: (CatalogZones.Offer) -> CalendarDate?, todayInUTC: CalendarDate)
    ) throws(StoreError) {
        var wanted: [CatalogSnapshot.PairKey: [Validity]] = [:]
        for product in file.products {
            for offer in kind.offers(of: product) {
                wanted[.init(owner: product.id, name: offer.name), default: []].append(
                    Validity(offer.from, offer.until))
            }
        }
        var rows = DatedRows()
        for key in Set(wanted.keys).union(stored.keys).sorted() {
            let name = "\(kind.rawValue) \(key.name) of \(key.owner)"
            let offer: CatalogZones.Offer =
                kind == .term ? .term(key.owner, key.name) : .certificateType(key.owner, key.name)
            let today = zones.today(offer)
            let old = stored[key] ?? []
            let new: [Validity]
            do throws(CatalogTimeline.Past) {
                new = try CatalogTimeline.merge(
                    wanted[key], into: stored[key], today: today ?? zones.todayInUTC, refusesPast: today != nil)
            } catch {
                throw .past(error.date, of: name, today: today)
            }
            guard new != old || stored[key] == nil else { continue }
            rows.add(key, from: old, to: new)
            let words = new.isEmpty ? "no longer sold" : "sold " + new.map(\.words).joined(separator: ", ")
            let isWidened = new.allSatisfy { range in range.until == nil }
            note(
                stored[key] == nil || old.isEmpty ? .add : isWidened ? .change : .remove,
                new == [.always] ? name : "\(name): \(words)")
            if !isWidened || new.isEmpty { narrowedProducts.insert(key.owner) }
        }
        statements.append(
            Statement(
                name: "store \(kind.rawValue)s",
                """
                INSERT INTO \(kind.keys) (product, \(kind.column)) SELECT * FROM unnest($1::text[], $2::text[])
                ON CONFLICT DO NOTHING
                """, [.textArray(rows.keys.map(\.owner)), .textArray(rows.keys.map(\.name))]))
        statements += rows.statements(table: kind.sales, column: kind.column)
    }

    mutating func note(_ kind: CatalogChange.Kind, _ subject: String) {
        changes.append(CatalogChange(kind: kind, subject: subject))
    }

    mutating func add(_ statement: Statement) { statements.append(statement) }

    /// Something of a product may not be renewed as it would have been.
    mutating func narrow(_ product: String) { narrowedProducts.insert(product) }
}

/// What changes in a table of dated offers.
private struct DatedRows {
    private(set) var keys: [CatalogSnapshot.PairKey] = []
    private var dropped: [(key: CatalogSnapshot.PairKey, range: Validity)] = []
    private var changed: [(key: CatalogSnapshot.PairKey, range: Validity)] = []
    private var added: [(key: CatalogSnapshot.PairKey, range: Validity)] = []

    /// A range keeps its row as long as it begins on the same day.
    mutating func add(_ key: CatalogSnapshot.PairKey, from old: [Validity], to new: [Validity]) {
        keys.append(key)
        dropped += old.filter { range in !new.contains { $0.from == range.from } }.map { (key, $0) }
        for range in new {
            if let before = old.first(where: { $0.from == range.from }) {
                if before != range { changed.append((key, range)) }
            } else {
                added.append((key, range))
            }
        }
    }

    /// Ends come before beginnings, so that ranges never overlap.
    func statements(table: String, column: String) -> [Statement] {
        func parameters(_ rows: [(key: CatalogSnapshot.PairKey, range: Validity)]) -> [Parameter] {
            [
                .textArray(rows.map(\.key.owner)), .textArray(rows.map(\.key.name)), .dates(rows.map(\.range.from)),
                .dates(rows.map(\.range.until)),
            ]
        }
        let rows = """
            unnest($1::text[], $2::text[], $3::date[], $4::date[])
                AS r (product, \(column), effective_from, effective_until)
            """
        let same = """
            s.product = r.product AND s.\(column) = r.\(column)
            AND s.effective_from IS NOT DISTINCT FROM r.effective_from
            """
        return [
            Statement(
                name: "drop \(table)", "DELETE FROM \(table) AS s USING \(rows) WHERE \(same)", parameters(dropped)),
            Statement(
                name: "change \(table)",
                "UPDATE \(table) AS s SET effective_until = r.effective_until FROM \(rows) WHERE \(same)",
                parameters(changed)),
            Statement(
                name: "add \(table)",
                "INSERT INTO \(table) (product, \(column), effective_from, effective_until) SELECT * FROM \(rows)",
                parameters(added)),
        ]
    }
}

extension StoreError {
    static func past(_ date: CalendarDate, of what: String, today: CalendarDate?) -> StoreError {
        .catalog(
            "\(what): \(date) has passed\(today.map { "; it is \($0) already" } ?? ""), and what was sold then for which "
                + "price never changes")
    }
}

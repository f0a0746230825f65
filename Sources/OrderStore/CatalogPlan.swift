// What has to change so that the stored catalog is what a file says.

internal import Orders
internal import PostgreSQL

/// The catalog's rows as they are stored, by their keys.
struct CatalogSnapshot {
    var partners: [String: (name: String, currency: String, zone: String, refundWindowDays: Int)] = [:]
    var publishers: [String: String] = [:]
    var resellers: [PairKey: String] = [:]
    var products: [String: String] = [:]
    /// Whether a product's certificate type, or term, is sold.
    var types: [PairKey: Bool] = [:]
    var terms: [PairKey: Bool] = [:]
    var prices: [String: Int64] = [:]

    struct PairKey: Hashable {
        let owner: String
        let name: String
    }

    static func load(_ connection: Connection) async throws -> CatalogSnapshot {
        let results = try await connection.pipeline([
            Statement("SELECT partner_id, name, currency, billing_zone, refund_window_days FROM partners"),
            Statement("SELECT user_name, partner_id FROM publishers"),
            Statement("SELECT partner_id, reseller_id, name FROM resellers"),
            Statement("SELECT product, name FROM products"),
            Statement("SELECT product, certificate_type, sold FROM product_certificate_types"),
            Statement("SELECT product, term, sold FROM product_terms"),
            Statement(
                "SELECT partner_id, product, certificate_type, term, currency, effective_from, unit_price FROM prices"),
        ])
        var snapshot = CatalogSnapshot()
        for row in results[0] {
            snapshot.partners[try row.text(0)] = (
                try row.text(1), try row.text(2), try row.text(3), Int(try row.int32(4))
            )
        }
        for row in results[1] { snapshot.publishers[try row.text(0)] = try row.text(1) }
        for row in results[2] {
            snapshot.resellers[PairKey(owner: try row.text(0), name: try row.text(1))] = try row.text(2)
        }
        for row in results[3] { snapshot.products[try row.text(0)] = try row.text(1) }
        for row in results[4] {
            snapshot.types[PairKey(owner: try row.text(0), name: try row.text(1))] = try row.bool(2)
        }
        for row in results[5] {
            snapshot.terms[PairKey(owner: try row.text(0), name: try row.text(1))] = try row.bool(2)
        }
        for row in results[6] {
            var column = ColumnReader(row)
            let price = CatalogFile.Price(
                partner: try column.optionalText(), product: try column.text(), certificateType: try column.text(),
                term: try column.text(), currency: try column.text(), unitPrice: 0,
                effectiveFrom: try column.date().description)
            snapshot.prices[price.subject] = try column.int64()
        }
        return snapshot
    }
}

/// The difference between a file and what is stored.
struct CatalogPlan {
    private(set) var changes: [CatalogChange] = []
    private(set) var statements: [Statement] = []

    init(file: CatalogFile, stored: CatalogSnapshot) throws(StoreError) {
        try planPartners(file, stored)
        planPublishers(file, stored)
        planResellers(file, stored)
        planProducts(file, stored)
        try planPrices(file, stored)
        statements.append(Statement("UPDATE catalog_versions SET version = version + 1"))
    }

    private mutating func note(_ kind: CatalogChange.Kind, _ subject: String) {
        changes.append(CatalogChange(kind: kind, subject: subject))
    }

    private mutating func planPartners(_ file: CatalogFile, _ stored: CatalogSnapshot) throws(StoreError) {
        var changed: [CatalogFile.Partner] = []
        for partner in file.partners {
            guard let old = stored.partners[partner.id] else {
                note(.add, "partner \(partner.id) (\(partner.name), \(partner.currency), \(partner.billingZone))")
                changed.append(partner)
                continue
            }
            guard old.currency == partner.currency, old.zone == partner.billingZone else {
                throw .catalog(
                    "partner '\(partner.id)' has \(old.currency) and \(old.zone); currency and billing zone never change, "
                        + "since its invoices are kept in them")
            }
            if old.name != partner.name || old.refundWindowDays != partner.refundWindowDays ?? 30 {
                note(
                    .change,
                    "partner \(partner.id) (\(partner.name), refunds within \(partner.refundWindowDays ?? 30) days)")
                changed.append(partner)
            }
        }
        statements.append(
            Statement(
                name: "store partners",
                """
                INSERT INTO partners (partner_id, name, currency, billing_zone, refund_window_days)
                SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[])
                ON CONFLICT (partner_id) DO UPDATE SET
                    name = excluded.name, refund_window_days = excluded.refund_window_days
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
        statements.append(
            Statement(
                name: "store resellers",
                """
                INSERT INTO resellers (partner_id, reseller_id, name) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
                ON CONFLICT (partner_id, reseller_id) DO UPDATE SET name = excluded.name
                """, [.textArray(wanted.map(\.partner)), .textArray(wanted.map(\.id)), .textArray(wanted.map(\.name))]))
    }

    private mutating func planProducts(_ file: CatalogFile, _ stored: CatalogSnapshot) {
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
        let types = file.products.flatMap { product in
            product.certificateTypes.map { CatalogSnapshot.PairKey(owner: product.id, name: $0) }
        }
        let terms = file.products.flatMap { product in
            product.terms.map { CatalogSnapshot.PairKey(owner: product.id, name: $0) }
        }
        planSold("certificate type", "product_certificate_types", "certificate_type", types, stored.types)
        planSold("term", "product_terms", "term", terms, stored.terms)
    }

    private mutating func planSold(
        _ what: String, _ table: String, _ column: String, _ wanted: [CatalogSnapshot.PairKey],
        _ stored: [CatalogSnapshot.PairKey: Bool]
    ) {
        var rows: [(key: CatalogSnapshot.PairKey, sold: Bool)] = []
        for key in wanted where stored[key] != true {
            note(.add, "\(what) \(key.name) of \(key.owner)")
            rows.append((key, true))
        }
        let unsold = stored.filter { $0.value && !wanted.contains($0.key) }.keys
        for key in unsold.sorted(by: { ($0.owner, $0.name) < ($1.owner, $1.name) }) {
            note(.remove, "\(what) \(key.name) of \(key.owner): no longer sold")
            rows.append((key, false))
        }
        statements.append(
            Statement(
                name: "store \(what)s",
                """
                INSERT INTO \(table) (product, \(column), sold) SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[])
                ON CONFLICT (product, \(column)) DO UPDATE SET sold = excluded.sold
                """,
                [
                    .textArray(rows.map(\.key.owner)), .textArray(rows.map(\.key.name)), .boolArray(rows.map(\.sold)),
                ]))
    }

    private mutating func planPrices(_ file: CatalogFile, _ stored: CatalogSnapshot) throws(StoreError) {
        var added: [CatalogFile.Price] = []
        for price in file.prices {
            guard let old = stored.prices[price.subject] else {
                note(.add, "price \(price.unitPrice) of \(price.subject)")
                added.append(price)
                continue
            }
            guard old == price.unitPrice else {
                throw .catalog(
                    "the price of \(price.subject) is \(old) and can't become \(price.unitPrice): prices are never edited; "
                        + "add one with a later effectiveFrom")
            }
        }
        statements.append(
            Statement(
                name: "store prices",
                """
                INSERT INTO prices (partner_id, product, certificate_type, term, currency, unit_price, effective_from)
                SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::date[])
                """,
                [
                    .textArray(added.map(\.partner)), .textArray(added.map(\.product)),
                    .textArray(added.map(\.certificateType)), .textArray(added.map(\.term)),
                    .textArray(added.map(\.currency)), .int8Array(added.map(\.unitPrice)),
                    .dates(added.compactMap { CalendarDate($0.effectiveFrom) }),
                ]))
    }
}

// The catalog's rows as they are stored when a file is to be applied.

internal import Orders
internal import PostgreSQL

/// The catalog's rows as they are stored, by their keys, and the time at which they were read.
struct CatalogSnapshot {
    struct PairKey: Hashable, Comparable {
        let owner: String
        let name: String

        static func < (left: PairKey, right: PairKey) -> Bool { (left.owner, left.name) < (right.owner, right.name) }
    }

    struct PriceKey: Hashable {
        let subject: Price.Subject
        let from: CalendarDate?
    }

    /// By the database's clock.
    var now: Timestamp
    var partners: [String: (name: String, currency: String, zone: String, refundWindowDays: Int)] = [:]
    var publishers: [String: String] = [:]
    var resellers: [PairKey: String] = [:]
    var products: [String: String] = [:]
    /// When a product's certificate type, or term, is sold: in the order of the dates, empty for what no longer is.
    var types: [PairKey: [Validity]] = [:]
    var terms: [PairKey: [Validity]] = [:]
    var prices: [PriceKey: Price] = [:]

    static func load(_ connection: Connection) async throws -> CatalogSnapshot {
        let results = try await connection.pipeline([
            Statement("SELECT partner_id, name, currency, billing_zone, refund_window_days FROM partners"),
            Statement("SELECT user_name, partner_id FROM publishers"),
            Statement("SELECT partner_id, reseller_id, name FROM resellers"),
            Statement("SELECT product, name FROM products"),
            CatalogTables.certificateTypes,
            CatalogTables.terms,
            CatalogTables.prices,
            Statement("SELECT clock_timestamp()"),
        ])
        var snapshot = CatalogSnapshot(now: Timestamp(microseconds: try results[7].first?.timestamptz(0) ?? 0))
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
        snapshot.types = try CatalogTables.readOffers(results[4])
        snapshot.terms = try CatalogTables.readOffers(results[5])
        for row in results[6] {
            let price = try CatalogTables.readPrice(row)
            snapshot.prices[PriceKey(subject: price.subject, from: price.validity.from)] = price
        }
        return snapshot
    }
}

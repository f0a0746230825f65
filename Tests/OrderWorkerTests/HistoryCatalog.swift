// The catalogs of random histories, as they come into the database.

import Foundation
import OrderStore
import Orders

@testable import OrdersSimulation

extension History {
    /// The history's catalog as the file that an operator applies.
    static func catalogFile() throws -> CatalogFile {
        let partners = catalog.partners.values.map { partner -> [String: Any] in
            [
                "id": partner.id, "name": partner.name, "currency": partner.currency.code,
                "billingZone": partner.zone.name, "refundWindowDays": partner.refundWindowDays,
                "publishers": partner.publishers,
                "resellers": partner.resellers.map { ["id": $0.key, "name": $0.value] },
            ]
        }
        let products = catalog.products.values.map { product -> [String: Any] in
            [
                "id": product.id, "name": product.name,
                "certificateTypes": product.certificateTypes.flatMap { type, ranges in
                    ranges.map { $0.dating(["certificateType": type]) }
                },
                "terms": product.terms.flatMap { term, ranges in
                    ranges.map { $0.dating(["term": term.description]) }
                },
            ]
        }
        let prices = prices.map { price -> [String: Any] in
            var item: [String: Any] = [
                "product": price.subject.product, "certificateType": price.subject.certificateType,
                "term": price.subject.term.description, "currency": price.subject.currency,
                "unitPrice": price.unitPrice,
            ]
            item["partner"] = price.subject.partnerID
            return price.validity.dating(item)
        }
        return try CatalogFile(
            json: JSONSerialization.data(
                withJSONObject: ["partners": partners, "products": products, "prices": prices]))
    }
}

extension Validity {
    /// An entry of the file with the range's dates.
    fileprivate func dating(_ entry: [String: Any]) -> [String: Any] {
        var entry = entry
        entry["from"] = from?.description
        entry["until"] = until?.description
        return entry
    }
}

extension History {
    /// SQL that puts a catalog in the place of the stored one, whatever has passed.
    static func script(storing catalog: Catalog, _ prices: [Price]) -> String {
        func text(_ value: String?) -> String { value.map { "'\($0)'" } ?? "NULL" }
        func dates(_ validity: Validity) -> String {
            "\(text(validity.from?.description)), \(text(validity.until?.description))"
        }
        let partners = catalog.partners.values.map {
            "UPDATE partners SET billing_zone = '\($0.zone.name)', refund_window_days = \($0.refundWindowDays) "
                + "WHERE partner_id = '\($0.id)'"
        }
        let types = catalog.products.values.flatMap { product in
            product.certificateTypes.flatMap { type, ranges in
                ranges.map {
                    "INSERT INTO certificate_type_sales (product, certificate_type, effective_from, effective_until) "
                        + "VALUES ('\(product.id)', '\(type)', \(dates($0)))"
                }
            }
        }
        let terms = catalog.products.values.flatMap { product in
            product.terms.flatMap { term, ranges in
                ranges.map {
                    "INSERT INTO term_sales (product, term, effective_from, effective_until) "
                        + "VALUES ('\(product.id)', '\(term)', \(dates($0)))"
                }
            }
        }
        let priced = prices.map { price in
            "INSERT INTO prices (partner_id, product, certificate_type, term, currency, unit_price, effective_from, "
                + "effective_until) VALUES (\(text(price.subject.partnerID)), '\(price.subject.product)', "
                + "'\(price.subject.certificateType)', '\(price.subject.term)', '\(price.subject.currency)', "
                + "\(price.unitPrice), \(dates(price.validity)))"
        }
        return
            ([
                "BEGIN", "SET LOCAL session_replication_role = replica", "DELETE FROM prices",
                "DELETE FROM certificate_type_sales", "DELETE FROM term_sales",
            ] + partners + types + terms + priced
            + ["UPDATE catalog_versions SET version = version + 1", "COMMIT"]).joined(separator: ";\n")
    }
}

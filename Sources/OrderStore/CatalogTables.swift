// The catalog's dated tables: what is sold for what price, and when.

internal import Orders
internal import PostgreSQL

enum CatalogTables {
    /// Every type that was ever named, with nulls where no dates are stored: it is no longer sold.
    static let certificateTypes = Statement(
        """
        SELECT t.product, t.certificate_type, s.product IS NOT NULL, s.effective_from, s.effective_until
        FROM product_certificate_types t LEFT JOIN certificate_type_sales s USING (product, certificate_type)
        ORDER BY 1, 2, s.effective_from NULLS FIRST
        """)

    static let terms = Statement(
        """
        SELECT t.product, t.term, s.product IS NOT NULL, s.effective_from, s.effective_until
        FROM product_terms t LEFT JOIN term_sales s USING (product, term)
        ORDER BY 1, 2, s.effective_from NULLS FIRST
        """)

    static let prices = Statement(
        """
        SELECT partner_id, product, certificate_type, term, currency, unit_price, effective_from, effective_until
        FROM prices
        """)

    static func readOffers(_ rows: Rows) throws -> [CatalogSnapshot.PairKey: [Validity]] {
        var offers: [CatalogSnapshot.PairKey: [Validity]] = [:]
        for row in rows {
            var column = ColumnReader(row)
            let key = CatalogSnapshot.PairKey(owner: try column.text(), name: try column.text())
            let isSold = try column.bool()
            let validity = Validity(from: try column.optionalDate(), until: try column.optionalDate())
            offers[key, default: []] += isSold ? [validity] : []
        }
        return offers
    }

    static func readPrice(_ row: Row) throws -> Price {
        var column = ColumnReader(row)
        let subject = Price.Subject(
            partnerID: try column.optionalText(), product: try column.text(), certificateType: try column.text(),
            term: try column.value { Term($0) }, currency: try column.text())
        let amount = try column.int64()
        return Price(
            subject: subject, unitPrice: amount,
            validity: Validity(from: try column.date(), until: try column.optionalDate()))
    }
}

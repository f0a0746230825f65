// The catalog that a file makes where there was none before.

public import Orders

extension CatalogFile {
    /// What the file says, as the workers load it once it has been applied to an empty database.
    public var catalog: Catalog {
        var usable: [Orders.Partner] = []
        var unusable: [UnusablePartner] = []
        for partner in partners {
            let publishers = (partner.publishers ?? []).sorted()
            if let reason = Self.problem(currency: partner.currency, zone: partner.billingZone) {
                unusable.append(UnusablePartner(id: partner.id, publishers: publishers, reason: reason))
            } else if let currency = Currency(partner.currency), let zone = BillingZone(partner.billingZone) {
                usable.append(
                    Orders.Partner(
                        id: partner.id, name: partner.name, currency: currency, zone: zone,
                        refundWindowDays: partner.refundWindowDays ?? 30, publishers: publishers,
                        resellers: Dictionary(
                            (partner.resellers ?? []).map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first }
                        )))
            }
        }
        return Catalog(
            version: 1, partners: usable, unusablePartners: unusable,
            products: products.map { product in
                Orders.Product(
                    id: product.id, name: product.name,
                    certificateTypes: Self.sales(of: product.certificateTypes, \.self),
                    terms: Self.sales(of: product.terms) { Term($0) })
            },
            prices: prices.compactMap { price in
                guard let term = Term(price.term) else { return nil }
                return Orders.Price(
                    subject: Orders.Price.Subject(
                        partnerID: price.partner, product: price.product, certificateType: price.certificateType,
                        term: term, currency: price.currency),
                    unitPrice: price.unitPrice, validity: Validity(price.from, price.until))
            })
    }

    private static func sales<Name: Hashable>(of offers: [Offer], _ name: (String) -> Name?) -> [Name: [Validity]] {
        Dictionary(grouping: offers, by: \.name).reduce(into: [:]) { sales, offered in
            guard let name = name(offered.key) else { return }
            sales[name] = CatalogTimeline.normalized(offered.value.map { Validity($0.from, $0.until) })
        }
    }
}

// What day it is for the partners that a change of the catalog concerns.

internal import Orders

/// The partners that are stored, and their present day.
struct CatalogZones {
    /// Part of a product.
    enum Offer: Hashable {
        case certificateType(_ product: String, _ name: String)
        case term(_ product: String, _ name: String)
    }

    private struct Place {
        let id: String
        let currency: String
        let today: CalendarDate
    }

    private let places: [Place]
    /// In UTC: what has begun and ended where no partner is concerned.
    let todayInUTC: CalendarDate

    init(_ stored: CatalogSnapshot) {
        todayInUTC = Self.date(of: stored.now, hoursEast: 0)
        places = stored.partners.map { id, partner in
            // Nowhere is it later than 14 hours east of UTC.
            let today = BillingZone(partner.zone)?.date(of: stored.now) ?? Self.date(of: stored.now, hoursEast: 14)
            return Place(id: id, currency: partner.currency, today: today)
        }
    }

    private static func date(of time: Timestamp, hoursEast: Int64) -> CalendarDate {
        CalendarDate(days: Int32(clamping: (time.microseconds / 1_000_000 + hoursEast * 3600) / 86400))
    }

    /// The latest present day of the partners that a price is for; nil where there are none.
    func today(_ subject: Price.Subject) -> CalendarDate? {
        places.filter { place in
            place.currency == subject.currency && (subject.partnerID.map { $0 == place.id } ?? true)
        }.map(\.today).max()
    }

    /// The latest present day of the partners for whom a part of a product has a price, in the file or stored.
    func concerned(_ file: CatalogFile, _ stored: CatalogSnapshot) -> (Offer) -> CalendarDate? {
        var latest: [Offer: CalendarDate] = [:]
        for subject in file.prices.compactMap(\.domainSubject) + stored.prices.keys.map(\.subject) {
            guard let today = today(subject) else { continue }
            for offer in [
                Offer.certificateType(subject.product, subject.certificateType),
                .term(subject.product, subject.term.description),
            ] {
                latest[offer] = max(latest[offer] ?? today, today)
            }
        }
        return { latest[$0] }
    }
}

// What a subscription becomes when its period ends: its next period, or nothing more.

/// The rule of renewal: the next period in full, at the prices in force on its first day.
enum Renewal {
    /// A subscription's next period, what it costs, and what is no longer in it.
    struct Next {
        var subscription: Subscription
        var lines: [PricedLine]
        var dropped: [DroppedCertificates]
    }

    /// Why there is no next period.
    struct Refusal: Error {
        var reason: ExpiryReason
        var dropped: [DroppedCertificates] = []
    }

    /// The next period of a subscription whose period has ended, or why there is none.
    static func next(_ subscription: Subscription, _ context: DecisionContext) -> Result<Next, Refusal> {
        guard subscription.autoRenewal else { return .failure(Refusal(reason: .noAutoRenewal)) }
        let index = subscription.period.index + 1
        let period = Period(
            index: index, start: subscription.period.end,
            end: subscription.term.end(
                ofPeriod: index - subscription.anchor.index, from: subscription.anchor.start))
        return begin(period, of: subscription, context)
    }

    /// Puts a subscription into a period, paid in full at the prices in force on its first day.
    ///
    /// Each certificate type gets the number that was set for it, otherwise the number held. A type whose number is 0, that
    /// isn't sold or has no price is dropped, and the rest goes on.
    static func begin(
        _ period: Period, of subscription: Subscription, _ context: DecisionContext
    ) -> Result<Next, Refusal> {
        guard let product = context.catalog.product(subscription.product, on: period.start),
            product.sells(for: subscription.term, on: period.start)
        else { return .failure(Refusal(reason: .productNotSold)) }

        var certificates: [CertificateQuantity] = []
        var dropped: [DroppedCertificates] = []
        for (type, quantity) in subscription.quantitiesToRenew {
            let reason: DroppedCertificates.Reason? =
                if quantity == 0 {
                    .quantityZero
                } else {
                    context.catalog.obstacle(
                        toSelling: type, of: product.id, for: subscription.term, to: context.partner, on: period.start
                    ).map { $0 == .noPrice ? .noPrice : .notSold }
                }
            if let reason {
                // Of what is neither held nor wanted there is nothing to drop.
                let lost = quantity == 0 ? subscription.inventory[type, default: 0] : quantity
                if lost > 0 {
                    dropped.append(DroppedCertificates(certificateType: type, quantity: lost, reason: reason))
                }
            } else {
                certificates.append(CertificateQuantity(certificateType: type, quantity: quantity))
            }
        }
        if certificates.isEmpty { return .failure(Refusal(reason: .nothingLeft, dropped: dropped)) }

        var violations: [Violation] = []
        let lines = context.price(
            certificates, of: product, term: subscription.term, on: period.start,
            days: DaysFraction(charged: period.days, term: period.days), at: "", &violations)
        if !violations.isEmpty { return .failure(Refusal(reason: .amountTooLarge, dropped: dropped)) }

        var subscription = subscription
        subscription.period = period
        subscription.inventory = Dictionary(
            uniqueKeysWithValues: certificates.map { ($0.certificateType, $0.quantity) })
        subscription.renewalInventory = [:]
        return .success(Next(subscription: subscription, lines: lines, dropped: dropped))
    }
}

extension Subscription {
    /// What each certificate type's number is to be at the next renewal, in the order of the types: the number that was
    /// set for it, otherwise the number held.
    var quantitiesToRenew: [(certificateType: String, quantity: Int64)] {
        inventory.merging(renewalInventory) { _, set in set }.sorted { $0.key < $1.key }
            .map { (certificateType: $0.key, quantity: $0.value) }
    }
}

/// Certificates of one type that a subscription lost at its renewal.
public struct DroppedCertificates: Hashable, Sendable {
    /// Why a type isn't renewed.
    public enum Reason: String, CaseIterable, Sendable {
        /// The renewal inventory says 0.
        case quantityZero = "quantity_zero"
        /// The type isn't sold on the day of the renewal.
        case notSold = "not_sold"
        /// No price is in force on the day of the renewal.
        case noPrice = "no_price"

        /// The reason as a sentence.
        public var sentence: String {
            switch self {
            case .quantityZero: "The renewal inventory was set to 0."
            case .notSold: "The certificate type is no longer sold."
            case .noPrice: "The certificate type has no price in force."
            }
        }
    }

    public let certificateType: String
    /// How many would have been renewed; where 0 were wanted, how many were held. At least 1.
    public let quantity: Int64
    public let reason: Reason

    public init(certificateType: String, quantity: Int64, reason: Reason) {
        self.certificateType = certificateType
        self.quantity = quantity
        self.reason = reason
    }
}

/// Why a subscription expired, as its event says it.
enum ExpiryReason: String, CaseIterable {
    case noAutoRenewal = "Auto-renewal is off."
    case nothingLeft = "No certificates were left to renew."
    case productNotSold = "The product is no longer sold for this term."
    case amountTooLarge = "The amount would be too large to book."
}

// What a subscription becomes when its period ends: its next period, or nothing more.

/// The rule of renewal: the next period in full, at the prices in force on its first day.
enum Renewal {
    /// A subscription's next period and what it costs.
    struct Next {
        var subscription: Subscription
        var lines: [PricedLine]
    }

    /// The next period of a subscription whose period has ended, or why there is none.
    ///
    /// Each certificate type gets the number that was set for it, otherwise the number held; a type left with none is
    /// dropped.
    static func next(_ subscription: Subscription, _ context: DecisionContext) -> Result<Next, ExpiryReason> {
        if subscription.state == .suspended { return .failure(.suspended) }
        guard subscription.autoRenewal else { return .failure(.noAutoRenewal) }
        let inventory = subscription.inventory.merging(subscription.renewalInventory) { _, set in set }
            .filter { $0.value > 0 }
        if inventory.isEmpty { return .failure(.nothingLeft) }
        guard let product = context.catalog.products[subscription.product],
            product.terms.contains(subscription.term)
        else { return .failure(.productNotSold) }

        let start = subscription.period.end
        let index = subscription.period.index + 1
        let period = Period(
            index: index, start: start,
            end: subscription.term.end(ofPeriod: index, from: subscription.originalStart))
        let certificates = inventory.keys.sorted().map {
            CertificateQuantity(certificateType: $0, quantity: inventory[$0] ?? 0)
        }
        var violations: [Violation] = []
        let lines = context.price(
            certificates, of: product, term: subscription.term, days: period.remaining(from: start), at: "",
            &violations)
        if let violation = violations.first {
            return .failure(violation.code == .amountTooLarge ? .amountTooLarge : .priceNotSold)
        }

        var subscription = subscription
        subscription.period = period
        subscription.inventory = inventory
        subscription.renewalInventory = [:]
        subscription.dueAt = context.partner.zone.startOfDay(period.end)
        return .success(Next(subscription: subscription, lines: lines))
    }
}

/// Why a subscription expired, as its event says it.
enum ExpiryReason: String, Error, CaseIterable {
    case noAutoRenewal = "Auto-renewal is off."
    case suspended = "The subscription was suspended."
    case nothingLeft = "No certificates were left to renew."
    case productNotSold = "The product is no longer sold for this term."
    case priceNotSold = "A certificate type is no longer sold, or has no price in force."
    case amountTooLarge = "The amount would be too large to book."
}

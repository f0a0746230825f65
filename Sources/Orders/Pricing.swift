// What a list of certificates costs: each type's price in force, pro-rated, or everything that is wrong with the list.

/// The price of a number of certificates of one type.
struct PricedLine {
    let certificateType: String
    let quantity: Int64
    /// Of one certificate for the whole term, in minor units.
    let unitPrice: Int64
    let days: DaysFraction
    let amount: Money
}

extension DecisionContext {
    /// Prices certificates of a product for a part of a term, at the prices in force on `date`.
    ///
    /// - Parameters:
    ///   - product: nil where it is unknown, which is the caller's violation; the rest is checked all the same.
    ///   - term: nil where the product isn't sold for it, likewise.
    ///   - mayBeZero: whether a type may be named with 0 certificates, as in an order, which then needs at least one
    ///     certificate in all. Such a type makes no line.
    ///   - pointer: of the list in the command's data.
    /// - Returns: a line for each type; to be used only where no violation was added.
    func price(
        _ inventory: [CertificateQuantity], of product: Product?, term: Term?, on date: CalendarDate,
        days: DaysFraction, mayBeZero: Bool = false, at pointer: @autoclosure () -> String,
        _ violations: inout [Violation]
    ) -> [PricedLine] {
        if inventory.allSatisfy({ mayBeZero && $0.quantity == 0 }) {
            violations.append(Violation(.quantityRequired, at: pointer(), "At least one certificate is needed."))
        }
        var lines: [PricedLine] = []
        lines.reserveCapacity(inventory.count)
        for (index, item) in inventory.enumerated() {
            let type = item.certificateType
            if inventory[..<index].contains(where: { $0.certificateType == type }) {
                violations.append(
                    Violation(
                        .certificateTypeDuplicate, at: "\(pointer())/\(index)/certificateType",
                        "The certificate type \"\(type)\" is named twice; add the quantities up."))
            }
            let minimum: Int64 = mayBeZero ? 0 : 1
            if item.quantity < minimum {
                violations.append(
                    Violation(
                        .quantityRequired, at: "\(pointer())/\(index)/quantity",
                        "The quantity must be at least \(minimum)."))
            }
            guard let product else { continue }
            guard product.sells(type, on: date) else {
                let isKnown = product.certificateTypes[type] != nil
                violations.append(
                    Violation(
                        .certificateTypeUnknown, at: "\(pointer())/\(index)/certificateType",
                        "The product \"\(product.id)\" has no certificate type \"\(type)\""
                            + (isKnown ? " that is sold on \(date)." : ".")))
                continue
            }
            guard let term, item.quantity != 0 else { continue }
            guard
                let unitPrice = catalog.unitPrice(
                    partner: partner, product: product.id, certificateType: type, term: term, on: date)
            else {
                violations.append(
                    Violation(
                        .priceUnknown, at: "\(pointer())/\(index)/certificateType",
                        "No price in \(partner.currency) is in force on \(date) for \"\(type)\" for \(term)."))
                continue
            }
            guard item.quantity >= 1 else { continue }
            guard
                let amount = Proration.charge(
                    unitPrice: Money(amount: unitPrice, currency: partner.currency), quantity: item.quantity,
                    remainingDays: days.charged, termDays: days.term)
            else {
                violations.append(
                    Violation(
                        .amountTooLarge, at: "\(pointer())/\(index)/quantity",
                        "The charge for \(item.quantity) certificates is too large to book."))
                continue
            }
            lines.append(
                PricedLine(
                    certificateType: type, quantity: item.quantity, unitPrice: unitPrice, days: days, amount: amount))
        }
        return lines
    }
}

extension Period {
    /// The part of the period that a charge made `today` pays for: all of it until its second day.
    func remaining(from today: CalendarDate) -> DaysFraction {
        DaysFraction(charged: max(0, end - max(start, today)), term: days)
    }
}

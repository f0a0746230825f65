// How long after a charge its certificates can be refunded.

/// The rule of the refund window: a charge can be refunded until so many days after its date, that day included.
///
/// Both dates are calendar dates in the partner's billing zone, so that a change of the clocks moves nothing, and a
/// charge's date is that of its transaction, which backdating a start date doesn't move.
enum RefundWindow {
    static func isOpen(for charge: CalendarDate, on today: CalendarDate, days: Int) -> Bool {
        today - charge <= days
    }
}

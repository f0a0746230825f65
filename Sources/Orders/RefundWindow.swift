// How long after a charge its certificates can be refunded.

/// The rule of the refund window: a charge can be refunded until so many days after the day on which it was booked, that
/// day included.
///
/// The last day is settled when the charge is booked: no later change of the partner's window takes a right away or gives
/// one back. All days are those of the partner's billing zone, so that a change of the clocks moves nothing. A backdated
/// start doesn't move it, and neither does a renewal that was settled late.
enum RefundWindow {
    /// The last day on which a charge can be refunded.
    static func lastDay(bookedOn: CalendarDate, days: Int) -> CalendarDate { bookedOn.adding(days: days) }
}

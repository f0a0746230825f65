// How far back or ahead a subscription's start date may lie.

/// The rule of the start date: `today < end` and `start <= today + 90 days`.
///
/// The first is "backdate by up to the term minus one day", stated so that 29 February can't break it. A start in the future
/// is charged in full at once.
enum StartDate {
    /// How many days ahead a subscription may start.
    static let daysAhead = 90

    /// The first period of a subscription ordered `today`.
    ///
    /// - Parameter start: the start date that was asked for; today where there is none.
    /// - Returns: the period, or what is wrong with the start date.
    static func firstPeriod(
        start: CalendarDate?, term: Term, today: CalendarDate, pointer: @autoclosure () -> String
    ) -> Result<Period, Rejection> {
        let start = start ?? today
        let period = Period(index: 0, start: start, end: term.end(ofPeriod: 0, from: start))
        let latest = today.adding(days: daysAhead)
        if start > latest {
            return .failure(
                Rejection(
                    Violation(
                        .startDateTooLate, at: pointer(),
                        "The start date \(start) is after \(latest), \(daysAhead) days from today, \(today) in the partner's "
                            + "billing zone.")))
        }
        if period.end <= today {
            return .failure(
                Rejection(
                    Violation(
                        .startDateTooEarly, at: pointer(),
                        "A \(term) term from \(start) ended on \(period.end), and today is \(today).")))
        }
        return .success(period)
    }
}

// How far back a subscription's start date may lie.

/// The rule of the start date: `start <= today < end`.
///
/// That is "backdate by up to the term minus one day", stated so that 29 February can't break it.
enum Backdating {
    /// The first period of a subscription ordered `today`.
    ///
    /// - Parameter start: the start date that was asked for; today where there is none.
    /// - Returns: the period, or what is wrong with the start date.
    static func firstPeriod(
        start: CalendarDate?, term: Term, today: CalendarDate, pointer: @autoclosure () -> String
    ) -> Result<Period, Rejection> {
        let start = start ?? today
        let period = Period(index: 0, start: start, end: term.end(ofPeriod: 0, from: start))
        if start > today {
            return .failure(
                Rejection(
                    Violation(
                        .startDateInFuture, at: pointer(),
                        "The start date \(start) is after today, \(today) in the partner's billing zone.")))
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

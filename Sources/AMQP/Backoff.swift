// How long to wait before trying again.

/// Exponential backoff with full jitter: each delay is random between zero and a ceiling that doubles up to a maximum,
/// so that many clients that lost the same broker don't come back at the same moment.
public struct Backoff: Sendable, Hashable {
    /// The ceiling of the first delay.
    public let minimum: Duration
    /// The ceiling that is never exceeded.
    public let maximum: Duration
    private var ceiling: Duration

    /// - Precondition: `0 < minimum <= maximum`.
    public init(minimum: Duration, maximum: Duration) {
        precondition(.zero < minimum && minimum <= maximum, "a backoff needs 0 < minimum <= maximum")
        self.minimum = minimum
        self.maximum = maximum
        self.ceiling = minimum
    }

    /// The next delay, from 0 up to the ceiling; the ceiling then doubles.
    public mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        let delay = ceiling * Double.random(in: 0...1, using: &generator)
        ceiling = min(maximum, ceiling * 2)
        return delay
    }

    /// Starts over, after a success.
    public mutating func reset() {
        ceiling = minimum
    }
}

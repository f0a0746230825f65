// How far this machine's clock is from the database's.

internal import FoundationEssentials
public import PostgreSQL

/// This machine's clock compared with the database's, which decides.
public struct ClockSkew: Sendable, Hashable {
    /// More than this is worth a warning.
    public static let warning = Duration.seconds(2)
    /// With more than this a worker isn't ready.
    public static let limit = Duration.seconds(10)

    /// How far this machine is ahead; negative if it is behind.
    public let offset: Duration
    /// By how much the offset may be wrong: half of the time that the question took.
    public let uncertainty: Duration

    /// - Parameters:
    ///   - asked: this machine's time when it asked, in microseconds since 1970.
    ///   - answered: when it had the answer.
    ///   - answer: the database's time.
    public init(asked: Int64, answered: Int64, answer: Int64) {
        offset = .microseconds(asked + (answered - asked) / 2 - answer)
        uncertainty = .microseconds((answered - asked) / 2)
    }

    /// Asks the database what time it is.
    ///
    /// - Throws: ``StoreError`` when it can't be asked.
    public static func measure(on connection: Connection) async throws(StoreError) -> ClockSkew {
        // The first call prepares the statement, and may wait for its turn: the second takes one round trip.
        _ = try await time(on: connection)
        let asked = now()
        let answer = try await time(on: connection)
        return ClockSkew(asked: asked, answered: now(), answer: answer)
    }

    private static func time(on connection: Connection) async throws(StoreError) -> Int64 {
        try await connection.run(
            [Statement(name: "tell time", "SELECT clock_timestamp()")], during: "comparing the clocks"
        ) { results in try results[0].first?.timestamptz(0) ?? 0 }
    }

    private static func now() -> Int64 { Int64(Date().timeIntervalSince1970 * 1_000_000) }

    /// The least that the clocks differ by, whatever the question's way took.
    public var certain: Duration {
        let size = offset < .zero ? .zero - offset : offset
        return max(.zero, size - uncertainty)
    }

    /// Whether it is worth a warning.
    public var isNotable: Bool { certain > Self.warning }

    /// Whether it is a reason not to work.
    public var isExcessive: Bool { certain > Self.limit }

    /// `12.3 s ahead of the database's`.
    public var text: String {
        let tenths = Int64(offset / .milliseconds(100))
        let size = tenths.magnitude
        return "\(size / 10).\(size % 10) s \(tenths < 0 ? "behind" : "ahead of") the database's"
    }
}

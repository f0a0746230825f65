// New identifiers for what the worker itself creates.

/// Makes UUIDv7 identifiers from randomness that is passed in, so that a seed repeats a history exactly.
public struct IdentifierSource: Sendable {
    private var generator: any RandomNumberGenerator & Sendable

    public init(_ generator: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()) {
        self.generator = generator
    }

    /// The next identifier, carrying `time` in its first 48 bits.
    public mutating func next<Entity>(at time: Timestamp) -> Identifier<Entity> {
        .version7(at: time, random: &generator)
    }
}

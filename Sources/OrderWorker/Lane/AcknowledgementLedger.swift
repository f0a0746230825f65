// Which deliveries of a consumer are settled, and how to tell the broker in few words.

/// What the broker is told.
enum Acknowledgement: Sendable, Hashable {
    /// This delivery and all before it.
    case through(UInt64)
    case one(UInt64)
}

/// The deliveries of one consumer that are not acknowledged, in their order.
struct AcknowledgementLedger: Sendable {
    private var outstanding: [UInt64] = []
    private var settled: Set<UInt64> = []

    var isEmpty: Bool { outstanding.isEmpty }

    /// Notes deliveries, which come in the order of their tags.
    mutating func note(_ tags: some Sequence<UInt64>) {
        outstanding += tags
    }

    /// Notes that a delivery is to be acknowledged.
    mutating func settle(_ tag: UInt64) {
        settled.insert(tag)
    }

    /// Forgets a delivery that the broker was told of in another way.
    mutating func forget(_ tag: UInt64) {
        outstanding.removeAll { $0 == tag }
    }

    /// The fewest acknowledgements that say what was settled since the last call.
    mutating func take() -> [Acknowledgement] {
        guard !settled.isEmpty else { return [] }
        let prefix = outstanding.prefix { settled.contains($0) }
        var acknowledgements: [Acknowledgement] = prefix.last.map { [.through($0)] } ?? []
        let rest = outstanding.dropFirst(prefix.count)
        acknowledgements += rest.filter { settled.contains($0) }.map { .one($0) }
        outstanding = rest.filter { !settled.contains($0) }
        settled = []
        return acknowledgements
    }
}

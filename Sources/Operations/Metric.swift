// The metrics themselves: what is counted, held and timed. Cheap to write to from many threads.

internal import CoreMetrics
internal import Synchronization

/// A metric that Prometheus can sample.
protocol Sampled: AnyObject, Sendable {
    func write(_ name: String, _ labels: [MetricLabel], to text: inout MetricText)
}

final class WholeCounter: CounterHandler, Sampled {
    private let value = Atomic<Int64>(0)

    func increment(by amount: Int64) { value.add(amount, ordering: .relaxed) }

    func reset() { value.store(0, ordering: .relaxed) }

    func write(_ name: String, _ labels: [MetricLabel], to text: inout MetricText) {
        text.sample(name, labels, "\(value.load(ordering: .relaxed))")
    }
}

final class FractionalCounter: FloatingPointCounterHandler, Sampled {
    private let value = Mutex<Double>(0)

    func increment(by amount: Double) { value.withLock { $0 += amount } }

    func reset() { value.withLock { $0 = 0 } }

    func write(_ name: String, _ labels: [MetricLabel], to text: inout MetricText) {
        text.sample(name, labels, MetricText.number(value.withLock { $0 }))
    }
}

/// A gauge.
final class Level: RecorderHandler, MeterHandler, Sampled {
    private let value = Mutex<Double>(0)

    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { self.value.withLock { $0 = value } }
    func increment(by amount: Double) { value.withLock { $0 += amount } }
    func decrement(by amount: Double) { value.withLock { $0 -= amount } }

    func write(_ name: String, _ labels: [MetricLabel], to text: inout MetricText) {
        text.sample(name, labels, MetricText.number(value.withLock { $0 }))
    }
}

/// Counts values by size. A timer's values are nanoseconds, its buckets seconds.
final class Histogram: RecorderHandler, TimerHandler, Sampled {
    private struct State {
        /// How many values fell into each bucket and no earlier one; the last has no bound.
        var counts: [UInt64]
        var sum = 0.0
    }

    private let bounds: [Double]
    private let state: Mutex<State>

    /// - Parameter bounds: the buckets' upper bounds, ascending.
    init(bounds: [Double]) {
        self.bounds = bounds
        self.state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { state in
            state.counts[bucket] += 1
            state.sum += value
        }
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

    func write(_ name: String, _ labels: [MetricLabel], to text: inout MetricText) {
        let state = self.state.withLock { $0 }
        var total: UInt64 = 0
        for (index, count) in state.counts.enumerated() {
            total += count
            let bound = index < bounds.count ? MetricText.number(bounds[index]) : "+Inf"
            text.sample("\(name)_bucket", labels + [MetricLabel(name: "le", value: bound)], "\(total)")
        }
        text.sample("\(name)_sum", labels, MetricText.number(state.sum))
        text.sample("\(name)_count", labels, "\(total)")
    }
}

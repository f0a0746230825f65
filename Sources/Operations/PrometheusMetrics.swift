// A metrics factory whose metrics are read by Prometheus.
//
// Written here and not taken from swift-prometheus, because three things are wanted that version 2 doesn't do: a fixed list
// of what there is, shown with HELP and TYPE before anything has happened, so that an alert never names a metric that isn't
// there yet; a bound on a metric's series, so that no label can grow without end; and buckets for each histogram beside its
// name. What is left is two hundred lines, which everything else sees through swift-metrics alone.

public import CoreMetrics
internal import Synchronization

/// Keeps the process's metrics and writes them in Prometheus' text format, version 0.0.4.
///
/// Counters are counters, gauges and meters gauges. Timers are histograms in seconds, recorders histograms; their buckets
/// are those of their definition. A metric is identified by its label and dimensions: asking for it again gives the same
/// one. Characters that Prometheus doesn't allow in a name become underscores. A label that was used for one type of metric
/// can't be used for another, and a metric has no more than ``seriesLimit`` series: what is beyond that isn't shown.
public final class PrometheusMetrics: MetricsFactory {
    /// The upper bounds of a timer's buckets, in seconds.
    public static let timerBuckets: [Double] = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]
    /// The upper bounds of a recorder's buckets.
    public static let recorderBuckets: [Double] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000, 1_000_000,
    ]

    /// How many combinations of labels a metric may have.
    public static let seriesLimit = 5000

    private struct Family {
        let type: SampleType
        var members: [[MetricLabel]: any Sampled] = [:]
    }

    private let definitions: [String: MetricDefinition]
    private let families: Mutex<[String: Family]>

    /// - Parameter definitions: what metrics there are. They are shown with `# HELP` and `# TYPE` from the start.
    public init(_ definitions: [MetricDefinition] = []) {
        self.definitions = Dictionary(definitions.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        families = Mutex(self.definitions.mapValues { Family(type: $0.type.sampleType) })
    }

    // MARK: The factory

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        member(label, dimensions, .counter) { WholeCounter() }
    }

    public func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        member(label, dimensions, .counter) { FractionalCounter() }
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        member(label, dimensions, .gauge) { Level() }
    }

    public func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        if aggregate {
            member(label, dimensions, .histogram) {
                Histogram(bounds: definitions[label]?.buckets ?? Self.recorderBuckets)
            }
        } else {
            member(label, dimensions, .gauge) { Level() }
        }
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        member(label, dimensions, .histogram) { Histogram(bounds: definitions[label]?.buckets ?? Self.timerBuckets) }
    }

    // A metric outlives the handles to it, as Prometheus wants counters that don't start over.
    public func destroyCounter(_ handler: any CounterHandler) {}
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    public func destroyMeter(_ handler: any MeterHandler) {}
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    public func destroyTimer(_ handler: any TimerHandler) {}

    private func member<Metric: Sampled>(
        _ label: String, _ dimensions: [(String, String)], _ type: SampleType, _ make: () -> Metric
    ) -> Metric {
        let name = MetricText.name(label)
        let labels = dimensions.map { MetricLabel(name: MetricText.labelName($0.0), value: $0.1) }
            .sorted { $0.name < $1.name }
        return families.withLock { families in
            var family = families[name] ?? Family(type: type)
            if let metric = family.members[labels] as? Metric { return metric }
            let metric = make()
            if family.type == type && family.members[labels] == nil && family.members.count < Self.seriesLimit {
                family.members[labels] = metric
                families[name] = family
            }
            return metric
        }
    }

    // MARK: The page

    /// All metrics as they are now, sorted by name.
    public func rendered() -> String {
        let families = self.families.withLock { $0 }
        var text = MetricText()
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            text.begin(name, family.type, help: definitions[name]?.help)
            for (labels, metric) in family.members.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                metric.write(name, labels, to: &text)
            }
        }
        return text.text
    }
}

// What a metric is: its name, its type, what it means.

/// A metric that a program has.
public struct MetricDefinition: Sendable, Hashable {
    /// Prometheus' types of metric.
    public enum Kind: String, Sendable, Hashable {
        case counter
        case gauge
        case histogram

        var sampleType: SampleType {
            switch self {
            case .counter: .counter
            case .gauge: .gauge
            case .histogram: .histogram
            }
        }
    }

    public let name: String
    public let type: Kind
    /// A sentence; shown as `# HELP`.
    public let help: String
    /// The upper bounds of a histogram's buckets, ascending; nil for the usual ones.
    public let buckets: [Double]?

    public init(_ name: String, _ type: Kind, _ help: String, buckets: [Double]? = nil) {
        self.name = name
        self.type = type
        self.help = help
        self.buckets = buckets
    }
}

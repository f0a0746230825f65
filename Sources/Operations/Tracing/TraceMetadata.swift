// The current span, for log lines.

public import Logging
internal import Tracing

extension Logger.MetadataProvider {
    /// `trace` and `span` of the current span, where there is one.
    public static let currentSpan = Logger.MetadataProvider {
        guard let identity = ServiceContext.current?.spanIdentity else { return [:] }
        return ["trace": "\(identity.traceID.text)", "span": "\(identity.spanText)"]
    }
}

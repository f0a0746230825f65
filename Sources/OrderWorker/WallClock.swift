// The one place where the worker asks what time it is.

internal import FoundationEssentials
internal import Orders

extension Timestamp {
    /// The time of this machine's clock.
    static var now: Timestamp {
        Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
    }
}

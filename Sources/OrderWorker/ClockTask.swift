// One of the clock's tasks, which fails by itself alone.

internal import AMQP
internal import Logging

/// Repeats work until it is cancelled. What fails is tried again after a while that grows as long as it fails, and stops
/// nothing else.
struct ClockTask {
    /// In words, for the log and for readiness.
    let name: String
    /// The waits after failures.
    let backoff: Backoff
    let board: ClockBoard
    /// The same trouble is said again after this time at the earliest.
    private static let repetition = Duration.seconds(60)
    let logger: Logger

    /// - Parameter work: works on until it fails, and says each time that it has succeeded.
    func run(_ work: (_ succeeded: () -> Void) async throws -> Void) async {
        var backoff = backoff
        var random = SystemRandomNumberGenerator()
        var said: (trouble: String, at: ContinuousClock.Instant)?
        while !Task.isCancelled {
            do {
                try await work {
                    backoff.reset()
                    board.succeeded(name)
                }
            } catch {
                if Task.isCancelled { return }
                board.failed(name, error)
                let delay = backoff.next(using: &random)
                let trouble = "\(error)"
                let isNews = said?.trouble != trouble || (said?.at.duration(to: .now) ?? .zero) > Self.repetition
                if isNews { said = (trouble, .now) }
                logger.log(
                    level: isNews ? .warning : .debug, "\(name) failed",
                    metadata: ["error": "\(trouble)", "in": "\(delay)"])
                try? await Task.sleep(for: delay)
            }
        }
    }
}

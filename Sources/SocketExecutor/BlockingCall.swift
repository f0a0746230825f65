// A call of the C library that blocks and can't be interrupted, made so that nobody has to wait for its end.

internal import Glibc
internal import Synchronization

/// Runs calls that block on threads of their own.
public enum BlockingCall {
    /// Runs `body` on a new thread and waits for what it returns, but no longer than until the deadline, and not at all
    /// once the task is cancelled. The thread is then left to itself: it ends with `body`, and the result is let go of on it.
    ///
    /// - Parameters:
    ///   - label: the thread's name; the kernel shows the first 15 bytes.
    ///   - body: must end by itself some time.
    /// - Returns: `nil` when the deadline passed, the task was cancelled, or no thread was left.
    public nonisolated(nonsending) static func run<Value: Sendable>(
        label: String, until deadline: ContinuousClock.Instant, _ body: @escaping @Sendable () -> Value
    ) async -> Value? {
        let call = PendingCall<Value>()
        return await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // Ends early when the task is cancelled, or the result is there.
                try? await Task.sleep(until: deadline, clock: .continuous)
                call.finish(nil)
            }
            let isStarted = Thread.start(label: label) { call.finish(body()) }
            if !isStarted { call.finish(nil) }
            let value = await call.value()
            group.cancelAll()
            return value
        }
    }
}

/// A result that is awaited once, and given by whoever comes first.
private final class PendingCall<Value: Sendable>: Sendable {
    private enum State {
        case running
        case awaited(CheckedContinuation<Value?, Never>)
        case finished(Value?)
        case over
    }

    private let state = Mutex(State.running)

    func finish(_ value: Value?) {
        let continuation: CheckedContinuation<Value?, Never>? = state.withLock { state in
            switch state {
            case .running:
                state = .finished(value)
                return nil
            case .awaited(let continuation):
                state = .over
                return continuation
            case .finished, .over:
                return nil
            }
        }
        continuation?.resume(returning: value)
    }

    nonisolated(nonsending) func value() async -> Value? {
        await withCheckedContinuation { continuation in
            let finished: Value?? = state.withLock { state in
                if case .finished(let value) = state {
                    state = .over
                    return .some(value)
                }
                state = .awaited(continuation)
                return nil
            }
            if let finished { continuation.resume(returning: finished) }
        }
    }
}

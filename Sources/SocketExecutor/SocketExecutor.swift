// One thread that runs an actor's jobs and polls its socket, so that a C connection is only ever touched by one thread.

internal import Glibc
import Synchronization

/// A serial executor with a thread of its own that can also wait for a socket.
///
/// An actor that owns a C connection returns this as its `unownedExecutor`. Its jobs then all run on one thread, and
/// between jobs that thread sleeps in `poll(2)` over the descriptors that the actor waits for, so a busy connection
/// needs no hop to another thread and an idle one costs nothing.
public final class SocketExecutor: SerialExecutor {
    /// What a descriptor is waited for, or what it became ready for.
    public struct Interest: OptionSet, Sendable, Hashable {
        public let rawValue: Int16
        public init(rawValue: Int16) { self.rawValue = rawValue }

        /// Data, an end of file or an error can be read.
        public static let read = Interest(rawValue: Int16(POLLIN))
        /// Data can be written, or the connection failed.
        public static let write = Interest(rawValue: Int16(POLLOUT))
    }

    private struct Queue {
        var jobs: [UnownedJob] = []
        var isRunning = false
        var isShutDown = false
    }

    private let label: String
    /// A pipe: a byte in it ends the thread's sleep.
    private let wakeUp: (read: Int32, write: Int32)
    private let queue = Mutex(Queue())
    private let waits = WaitList()
    /// The waits whose tasks were cancelled, which the thread has yet to end.
    private let cancelled = Mutex<Set<UInt64>>([])

    /// Creates the executor. Its thread starts with the first job.
    ///
    /// - Parameter label: the thread's name; the kernel shows the first 15 bytes.
    public init(label: String) {
        self.label = label
        var ends: [Int32] = [-1, -1]
        precondition(pipe(&ends) == 0, "no descriptor is left for a connection's wake-up: raise the limit (ulimit -n)")
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        self.wakeUp = (ends[0], ends[1])
    }

    deinit {
        close(wakeUp.read)
        close(wakeUp.write)
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let mustStart = queue.withLock { queue in
            queue.jobs.append(job)
            if queue.isRunning { return false }
            queue.isRunning = true
            return true
        }
        if mustStart {
            startThread()
        } else if !isOnThread {
            signal()
        }
    }

    /// Suspends until `descriptor` is ready, the deadline passes, or ``cancelWaits(on:)`` is called.
    ///
    /// Must be called by an actor that runs on this executor.
    ///
    /// - Returns: what the descriptor is ready for; empty when the deadline passed or the wait was cancelled. An error
    ///   or a hang-up on the descriptor counts as ready for all that was asked.
    public nonisolated(nonsending) func wait(
        for interest: Interest, on descriptor: Int32, until deadline: ContinuousClock.Instant
    ) async -> Interest {
        checkIsOnThread()
        return await withCheckedContinuation { continuation in
            waits.add(.init(descriptor, interest, deadline, continuation))
        }
    }

    /// The same, but ended at once when the task is cancelled, which gives the empty set as well.
    public func waitUnlessCancelled(
        for interest: Interest, on descriptor: Int32, until deadline: ContinuousClock.Instant,
        isolation: isolated (any Actor)? = #isolation
    ) async -> Interest {
        checkIsOnThread()
        let number = waits.nextNumber()
        return await withTaskCancellationHandler {
            // What is done with it by name keeps this closure on the caller's actor.
            await withCheckedContinuation(isolation: isolation) { continuation in
                waits.add(.init(descriptor, interest, deadline, number: number, continuation))
            }
        } onCancel: {
            // The wait has been added by the time that the thread looks: until then it is busy adding it.
            cancelled.withLock { _ = $0.insert(number) }
            signal()
        }
    }

    /// Ends every wait on `descriptor` at once. Must be called by an actor that runs on this executor, and before the
    /// descriptor is closed.
    public func cancelWaits(on descriptor: Int32) {
        checkIsOnThread()
        for wait in waits.remove(where: { $0.descriptor == descriptor }) {
            wait.continuation.resume(returning: [])
        }
    }

    /// Ends the thread as soon as no job and no wait is left. A job that comes later starts it again, so none is lost.
    public func shutdown() {
        queue.withLock { $0.isShutDown = true }
        signal()
    }

    public func isIsolatingCurrentContext() -> Bool? {
        isOnThread
    }

    public func checkIsolated() {
        checkIsOnThread()
    }

    private func checkIsOnThread() {
        precondition(isOnThread, "\(label): a connection was touched off its own thread")
    }

    // MARK: The thread

    private static let currentKey: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key, nil)
        return key
    }()

    private var isOnThread: Bool {
        pthread_getspecific(Self.currentKey) == Unmanaged.passUnretained(self).toOpaque()
    }

    private func startThread() {
        // The thread keeps the executor for as long as it runs.
        let isStarted = Thread.start(label: label) { self.run() }
        precondition(isStarted, "no thread is left for a connection: raise the limit of processes (ulimit -u)")
    }

    private func signal() {
        // A full pipe has woken the thread already.
        var byte: UInt8 = 1
        _ = write(wakeUp.write, &byte, 1)
    }

    private func run() {
        pthread_setspecific(Self.currentKey, Unmanaged.passUnretained(self).toOpaque())
        while true {
            let (jobs, isDone) = queue.withLock { queue in
                let jobs = queue.jobs
                queue.jobs.removeAll(keepingCapacity: true)
                let isDone = jobs.isEmpty && queue.isShutDown && waits.isEmpty
                if isDone { queue.isRunning = false }
                return (jobs, isDone)
            }
            if isDone { return }
            for job in jobs {
                job.runSynchronously(on: asUnownedSerialExecutor())
            }
            poll(sleep: jobs.isEmpty)
        }
    }

    /// Polls the wake-up descriptor and all that is waited for, and resumes what became ready or due.
    private func poll(sleep: Bool) {
        if !sleep && waits.isEmpty { return }
        var descriptors = [pollfd(fd: wakeUp.read, events: Int16(POLLIN), revents: 0)]
        for wait in waits.all {
            descriptors.append(pollfd(fd: wait.descriptor, events: wait.interest.rawValue, revents: 0))
        }
        _ = Glibc.poll(&descriptors, nfds_t(descriptors.count), sleep ? waits.millisecondsUntilNextDeadline : 0)
        if descriptors[0].revents != 0 {
            var bytes = [UInt8](repeating: 0, count: 256)
            _ = read(wakeUp.read, &bytes, bytes.count)
        }
        let cancelled = cancelled.withLock { numbers in
            defer { numbers = [] }
            return numbers
        }
        if !cancelled.isEmpty {
            for wait in waits.remove(where: { $0.number.map(cancelled.contains) ?? false }) {
                wait.continuation.resume(returning: [])
            }
            return
        }
        let failed = Int16(POLLERR) | Int16(POLLHUP) | Int16(POLLNVAL)
        for (wait, ready) in waits.takeFinished(states: descriptors.dropFirst().map(\.revents), failed: failed) {
            wait.continuation.resume(returning: ready)
        }
    }
}

/// The waits of one executor.
///
/// `@unchecked Sendable`: every member is touched on the executor's own thread alone (`checkIsOnThread`, `run`).
private final class WaitList: @unchecked Sendable {
    struct Wait {
        let descriptor: Int32
        let interest: SocketExecutor.Interest
        let deadline: ContinuousClock.Instant
        /// What it is cancelled by, if it can be.
        let number: UInt64?
        let continuation: CheckedContinuation<SocketExecutor.Interest, Never>

        init(
            _ descriptor: Int32, _ interest: SocketExecutor.Interest, _ deadline: ContinuousClock.Instant,
            number: UInt64? = nil, _ continuation: CheckedContinuation<SocketExecutor.Interest, Never>
        ) {
            self.descriptor = descriptor
            self.interest = interest
            self.deadline = deadline
            self.number = number
            self.continuation = continuation
        }
    }

    private(set) var all: [Wait] = []
    private var lastNumber: UInt64 = 0

    func nextNumber() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    var isEmpty: Bool { all.isEmpty }

    func add(_ wait: Wait) { all.append(wait) }

    func remove(where matches: (Wait) -> Bool) -> [Wait] {
        let removed = all.filter(matches)
        all.removeAll(where: matches)
        return removed
    }

    /// How long `poll` may sleep; -1 for as long as it takes.
    var millisecondsUntilNextDeadline: Int32 {
        guard let next = all.lazy.map(\.deadline).min() else { return -1 }
        let left = ContinuousClock.now.duration(to: next)
        let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000 + 1
        return Int32(clamping: max(0, milliseconds))
    }

    /// Takes out the waits that are ready or due. `states` are the polled results, in the order of `all`.
    func takeFinished(states: [Int16], failed: Int16) -> [(Wait, SocketExecutor.Interest)] {
        let now = ContinuousClock.now
        var finished: [(Wait, SocketExecutor.Interest)] = []
        var waiting: [Wait] = []
        for (wait, state) in zip(all, states) {
            if state & failed != 0 {
                finished.append((wait, wait.interest))
            } else if state & wait.interest.rawValue != 0 {
                finished.append((wait, SocketExecutor.Interest(rawValue: state).intersection(wait.interest)))
            } else if wait.deadline <= now {
                finished.append((wait, []))
            } else {
                waiting.append(wait)
            }
        }
        all = waiting
        return finished
    }
}

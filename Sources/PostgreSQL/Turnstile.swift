// First come, first served: lets one caller at a time through, and the others wait with a deadline.

internal import SocketExecutor

/// A FIFO lock inside an actor that runs on a ``SocketExecutor``. An actor alone is no lock: other calls enter whenever
/// one awaits.
final class Turnstile {
    private let executor: SocketExecutor
    private let tickets: Tickets
    private(set) var holder: Int?
    private var waiting: [Int] = []

    /// Numbers the callers; to be shared by the turnstiles of one executor, since a number names a wait of it.
    final class Tickets {
        private var last = 0
        func next() -> Int {
            last += 1
            return last
        }
    }

    init(executor: SocketExecutor, tickets: Tickets) {
        self.executor = executor
        self.tickets = tickets
    }

    /// Waits for the turn. Returns the ticket to ``release(_:)``, or nil when the deadline passed first.
    nonisolated(nonsending) func acquire(until deadline: ContinuousClock.Instant) async -> Int? {
        let ticket = tickets.next()
        if holder == nil {
            holder = ticket
            return ticket
        }
        waiting.append(ticket)
        // poll(2) ignores negative descriptors: this waits for `release` or the deadline, and for nothing else.
        _ = await executor.wait(for: [], on: descriptor(ticket), until: deadline)
        if holder == ticket { return ticket }
        waiting.removeAll { $0 == ticket }
        return nil
    }

    func release(_ ticket: Int) {
        guard holder == ticket else { return }
        if waiting.isEmpty {
            holder = nil
        } else {
            let next = waiting.removeFirst()
            holder = next
            executor.cancelWaits(on: descriptor(next))
        }
    }

    private func descriptor(_ ticket: Int) -> Int32 { -1 - Int32(truncatingIfNeeded: ticket & 0x3FFF_FFFF) }
}

// SIGINT and SIGTERM end a command, as process 1 of a container too.

internal import Dispatch
internal import Glibc

enum TerminationSignals {
    private static let numbers = [SIGINT, SIGTERM]

    /// Has both signals end the process from now on. The kernel ends process 1 by none that it doesn't handle.
    ///
    /// Nothing is cleaned up: a command may be ended at any time. Those that have something to finish trap the signals
    /// themselves later, which replaces this.
    static func endProcess() {
        for number in numbers {
            _ = signal(number) { number in
                // Ended by the signal itself where the kernel lets it, so that a shell sees what happened.
                _ = signal(number, SIG_DFL)
                var unblocked = sigset_t()
                sigemptyset(&unblocked)
                sigaddset(&unblocked, number)
                pthread_sigmask(SIG_UNBLOCK, &unblocked, nil)
                raise(number)
                _exit(128 + number)
            }
        }
    }

    /// Has the process end some time after a signal, whatever hangs: a task that writes to a pipe that nobody reads can't be
    /// cancelled, and may hold the only thread that tasks have.
    ///
    /// - Returns: what must be kept for as long as this shall hold.
    static func endProcess(afterSeconds seconds: Int) -> [any DispatchSourceSignal] {
        let queue = DispatchQueue(label: "termination signals")
        return numbers.map { number in
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                queue.asyncAfter(deadline: .now() + .seconds(seconds)) { _exit(ExitStatus.signal(number)) }
            }
            source.activate()
            return source
        }
    }
}

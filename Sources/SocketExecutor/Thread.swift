// A thread of the process's own, with a name and a stack that is large enough for the C libraries.

internal import Glibc

enum Thread {
    /// Enough for librabbitmq to decode the largest header frame that is let in, which calls itself once for each level
    /// of nesting: 8 MiB at most. The kernel gives memory only to what is used.
    private static let stackSize = 16 << 20

    /// What a new thread is given.
    private final class Start: Sendable {
        let label: String
        let body: @Sendable () -> Void

        init(_ label: String, _ body: @escaping @Sendable () -> Void) {
            self.label = label
            self.body = body
        }
    }

    /// Starts a thread that ends with `body`.
    ///
    /// - Parameter label: its name; the kernel shows the first 15 bytes.
    /// - Returns: false if none is left.
    static func start(label: String, _ body: @escaping @Sendable () -> Void) -> Bool {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, stackSize)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        defer { pthread_attr_destroy(&attributes) }
        var thread = pthread_t()
        let start = Unmanaged.passRetained(Start(label, body))
        let failure = pthread_create(&thread, &attributes, main, start.toOpaque())
        if failure != 0 { start.release() }
        return failure == 0
    }

    /// What a thread begins with.
    private static let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        name(start.label)
        start.body()
        return nil
    }

    private static func name(_ label: String) {
        let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = write(file, Array(label.utf8.prefix(15)), min(15, label.utf8.count))
        close(file)
    }
}

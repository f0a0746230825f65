// How a connection's actor, its link and its pump begin and end together.

internal import SocketExecutor

/// An actor that owns a ``Link`` and the task that drives it.
protocol LinkedConnection: Actor {
    nonisolated var executor: SocketExecutor { get }
    var link: Link { get }
    var pumping: Task<Void, Never>? { get set }
}

extension LinkedConnection {
    /// Connects, starts the pump, opens the channel and sets it up.
    func open(_ prepare: [OutgoingMethod] = []) async throws(AMQPError) {
        do throws(AMQPError) {
            try await link.connect()
            pumping = Task { await self.link.pump() }
            for method in [.openChannel] + prepare { _ = try await link.call(method) }
        } catch {
            await shutDown()
            throw error
        }
    }

    /// Takes leave of the broker, waits for the pump to end, and lets the thread go.
    func shutDown() async {
        await link.close()
        await pumping?.value
        executor.shutdown()
    }
}

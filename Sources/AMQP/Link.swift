// A live connection: moves frames between the broker's socket and the state machine, and wakes who waits.

internal import Logging
internal import SocketExecutor

/// What the three kinds of connection share. It belongs to one actor and runs on that actor's ``SocketExecutor``.
///
/// Everything here is synchronous but ``pump()`` and the waits for an answer. The pump, a task of the owning actor, is
/// the only one to read; who sends tries to do so at once and leaves the rest to the pump. The pump also serves the
/// heartbeats and ends waits at their deadlines. A wait that times out ends the connection, because what its answer
/// would belong to, should it still come, is then unknown.
final class Link {
    typealias Outcome<Success> = Result<Success, AMQPError>

    /// What waits to be sent.
    private enum Outgoing {
        case method(OutgoingMethod)
        case messages([OutgoingMessage])
        case heartbeat
    }

    private struct Command {
        let method: OutgoingMethod
        let deadline: ContinuousClock.Instant
        let continuation: CheckedContinuation<Outcome<Reply>, Never>
    }

    private struct Publish {
        let deadline: ContinuousClock.Instant
        let continuation: CheckedContinuation<Outcome<[PublishOutcome]>, Never>
    }

    private struct Reader {
        let maximum: Int
        let deadline: ContinuousClock.Instant
        let continuation: CheckedContinuation<Outcome<[ConsumerEvent]>, Never>
    }

    /// Where and how far the head of the outbox has been sent.
    private struct Progress {
        var message = 0
        /// How much of the message's body; `nil` before its head.
        var body: Int?
    }

    private let executor: SocketExecutor
    private let logger: Logger
    private let configuration: ConnectionConfiguration
    private var operation = "connecting"
    /// Whether the loss of the channel is the failure of one command, or of the connection.
    private let survivesChannel: Bool

    /// `nil` before the connection is made, and once it has ended; then ``failure`` says why.
    private var socket: BrokerSocket?
    private(set) var failure: AMQPError?
    private var machine: ConnectionStateMachine
    private var isChannelOpen = false
    /// Fetched messages that are neither acknowledged nor rejected. Their tags die with the channel.
    private var unsettledFetches = 0

    private var outbox = FIFO<Outgoing>()
    private var progress = Progress()
    private var commands = FIFO<Command>()
    private var publishes: [UInt64: Publish] = [:]
    private var events = FIFO<ConsumerEvent>()
    /// The footprint of all in ``events``.
    private(set) var buffered = 0
    private var reader: Reader?
    private var isWakeRequested = false
    /// The delivery whose headers can't be read, after which nothing more is.
    private(set) var unreadable: UInt64?

    private var lastSent = ContinuousClock.now
    /// When the broker was last known to be alive. The kernel knows better, and is asked when this is long ago.
    private var lastHeard = ContinuousClock.now
    /// What the pump sleeps for; `nil` while it is awake.
    private var sleep: (interest: SocketExecutor.Interest, deadline: ContinuousClock.Instant)?

    init(configuration: ConnectionConfiguration, executor: SocketExecutor, survivesChannel: Bool, logger: Logger) {
        self.configuration = configuration
        self.executor = executor
        self.logger = logger
        self.survivesChannel = survivesChannel
        machine = ConnectionStateMachine(
            operation: operation, rejectsUnreadable: configuration.rejectsUnreadable,
            keepsUnreadable: configuration.keepsUnreadable)
    }

    /// Connects to the first address that answers. Ends at once when the task is cancelled.
    nonisolated(nonsending) func connect() async throws(AMQPError) {
        var failures: [AMQPError] = []
        for address in configuration.addresses {
            do throws(AMQPError) {
                socket = try await open(address)
                operation = "using the connection to \(address)"
                machine = ConnectionStateMachine(
                    operation: operation, rejectsUnreadable: configuration.rejectsUnreadable,
                    keepsUnreadable: configuration.keepsUnreadable)
                lastSent = .now
                lastHeard = .now
                logger.debug("connected to the broker", metadata: ["address": "\(address)"])
                return
            } catch {
                logger.debug("broker not reached", metadata: ["address": "\(address)", "cause": "\(error.cause)"])
                failures.append(error)
                if Task.isCancelled { break }
            }
        }
        guard let last = failures.last else {
            throw AMQPError(.invalidArgument, during: "connecting", cause: "no address was configured")
        }
        if failures.count == 1 { throw last }
        let cause = failures.map { "\($0.during): \($0.cause)" }.joined(separator: "; ")
        throw AMQPError(last.code, brokerCode: last.brokerCode, during: "connecting to any broker", cause: cause)
    }

    /// A socket on its way from the thread that opened it to the executor's.
    ///
    /// `@unchecked Sendable`: the thread that opened it is done with it when it hands it over.
    private struct Handover: @unchecked Sendable {
        let socket: BrokerSocket
    }

    /// Connects to one of the addresses of the host and logs in.
    private nonisolated(nonsending) func open(_ address: BrokerAddress) async throws(AMQPError) -> BrokerSocket {
        let operation = "connecting to \(address)"
        let configuration = configuration
        let deadline = ContinuousClock.now + configuration.connectTimeout
        let hosts: HostAddresses
        do {
            hosts = try await HostAddresses.resolve(address.host, until: deadline, lookUp: configuration.lookUp)
        } catch {
            throw AMQPError(.connectionFailed, during: operation, cause: error.cause)
        }
        var causes: [String] = []
        for (index, host) in hosts.numeric.enumerated() {
            let share = hosts.deadline(ofAddress: index, within: deadline)
            let limit = max(.milliseconds(1), ContinuousClock.now.duration(to: share))
            // It takes that for connecting and again for logging in, and ends by itself a moment before this.
            let end = ContinuousClock.now + limit * 2 + .seconds(1)
            let opened = await BlockingCall.run(label: "amqp connect", until: end) {
                () -> Result<Handover, AMQPError> in
                do throws(AMQPError) {
                    let socket = try BrokerSocket(
                        address: address, host: host, within: limit, configuration: configuration)
                    return .success(Handover(socket: socket))
                } catch {
                    return .failure(error)
                }
            }
            switch opened {
            case .success(let handover):
                return handover.socket
            case .failure(let error) where error.code == .connectionFailed:
                causes.append(hosts.numeric.count == 1 ? error.cause : "\(host): \(error.cause)")
            case .failure(let error):
                // The broker has answered, and would say the same at its other addresses.
                throw error
            case nil:
                causes.append(Task.isCancelled ? "given up, as was asked for" : "no answer in time")
            }
            if Task.isCancelled { break }
        }
        throw AMQPError(.connectionFailed, during: operation, cause: causes.joined(separator: "; "))
    }

    /// Why the broker accepts no messages for now; `nil` while it does.
    var blockedReason: String? { machine.blockedReason }

    // MARK: For the owning actor

    /// Sends a command and waits for its answer.
    nonisolated(nonsending) func call(_ method: OutgoingMethod) async throws(AMQPError) -> Reply {
        if method == .openChannel {
            // Set before the wait: what another caller sends meanwhile follows the opening on the wire.
            isChannelOpen = true
        } else if !isChannelOpen, failure == nil, method != .closeConnection {
            _ = try await call(.openChannel)
        }
        let socket = try usable(for: method.purpose)
        try Self.check(method.reasonNotToSend(frameMaximum: socket.frameMaximum), during: method.purpose)
        guard let reply = method.reply else {
            throw AMQPError(.invalidArgument, during: method.purpose, cause: "the broker doesn't answer this")
        }
        // Whoever closes doesn't care for the answer as much as for getting done.
        let patience: Duration = method == .closeConnection ? .seconds(3) : configuration.operationTimeout
        let deadline = ContinuousClock.now + min(patience, configuration.operationTimeout)
        let outcome = await withCheckedContinuation { continuation in
            // In the order in which they are sent, which is the order of the answers.
            commands.append(Command(method: method, deadline: deadline, continuation: continuation))
            machine.expect(reply)
            send(.method(method))
        }
        return try outcome.get()
    }

    /// Sends what the broker doesn't answer.
    func tell(_ methods: OutgoingMethod...) throws(AMQPError) {
        try tell(methods)
    }

    /// Sends what the broker doesn't answer, in one go.
    func tell(_ methods: [OutgoingMethod]) throws(AMQPError) {
        guard let last = methods.last else { return }
        _ = try usable(for: last.purpose)
        if !isChannelOpen {
            throw AMQPError(.invalidArgument, during: last.purpose, cause: "no delivery awaits that on this channel")
        }
        unsettledFetches = max(0, unsettledFetches - methods.count)
        for method in methods { outbox.append(.method(method)) }
        flush()
        wakePumpIfNeeded()
        if let failure { throw failure.during(last.purpose) }
    }

    /// Publishes messages and waits until the broker has settled each.
    nonisolated(nonsending) func publish(_ messages: [OutgoingMessage]) async throws(AMQPError) -> [PublishOutcome] {
        if messages.isEmpty { return [] }
        let purpose = "publishing to the exchange \(messages[0].exchange)"
        let socket = try usable(for: purpose)
        for message in messages {
            try Self.check(message.reasonNotToSend(frameMaximum: socket.frameMaximum), during: purpose)
        }
        let deadline = ContinuousClock.now + configuration.operationTimeout
        let outcome = await withCheckedContinuation { continuation in
            publishes[machine.publish(messages)] = Publish(deadline: deadline, continuation: continuation)
            send(.messages(messages))
        }
        do {
            return try outcome.get()
        } catch {
            throw error.during(purpose)
        }
    }

    /// Waits for events until there is at least one.
    nonisolated(nonsending) func nextEvents(
        maximum: Int, until deadline: ContinuousClock.Instant
    ) async throws(AMQPError) -> [ConsumerEvent] {
        let purpose = "waiting for deliveries"
        _ = try usable(for: purpose)
        if maximum < 1 { throw AMQPError(.invalidArgument, during: purpose, cause: "a batch needs room for one") }
        if reader != nil { throw AMQPError(.invalidArgument, during: purpose, cause: "someone waits already") }
        if !events.isEmpty {
            defer { wakePumpIfNeeded() }
            return takeEvents(maximum)
        }
        if isWakeRequested || unreadable != nil {
            isWakeRequested = false
            return []
        }
        let outcome = await withCheckedContinuation { continuation in
            reader = Reader(maximum: maximum, deadline: deadline, continuation: continuation)
            wakePumpIfNeeded()
        }
        return try outcome.get()
    }

    /// Ends a wait for events at once; without one, the next wait.
    func wake() {
        guard let reader = reader.take() else {
            isWakeRequested = true
            return
        }
        reader.continuation.resume(returning: .success([]))
    }

    /// Takes leave of the broker, within a bound. Does nothing on a connection that has ended.
    nonisolated(nonsending) func close() async {
        if failure != nil { return }
        if unreadable != nil {
            // Its answer couldn't be read.
            flush()
            try? socket?.leave()
            return fail(AMQPError(.connectionClosed, during: operation, cause: "it was closed by this side"))
        }
        do throws(AMQPError) {
            // A broker that blocks the connection doesn't read, so it wouldn't answer.
            if socket != nil, blockedReason == nil { _ = try await call(.closeConnection) }
        } catch {
            logger.debug("closed without the broker's leave", metadata: ["cause": "\(error.cause)"])
        }
        fail(AMQPError(.connectionClosed, during: operation, cause: "it was closed by this side"))
    }

    /// Reads, sends, serves heartbeats and ends overdue waits until the connection ends.
    nonisolated(nonsending) func pump() async {
        while true {
            receive()
            flush()
            expire()
            serveHeartbeat()
            guard let descriptor = socket?.descriptor else { return }
            var interest: SocketExecutor.Interest = mayRead ? .read : []
            if !outbox.isEmpty { interest.insert(.write) }
            let deadline = nextDeadline
            sleep = (interest, deadline)
            _ = await executor.wait(for: interest, on: descriptor, until: deadline)
            sleep = nil
            // A wait for nothing ends at once, again and again, when the connection breaks.
            if interest.isEmpty, socket?.isBroken ?? false {
                fail(AMQPError(.connectionClosed, during: operation, cause: "the broker hung up"))
            }
        }
    }

    private static func check(_ reason: String?, during operation: String) throws(AMQPError) {
        if let reason { throw AMQPError(.invalidArgument, during: operation, cause: reason) }
    }

    private func usable(for purpose: String) throws(AMQPError) -> BrokerSocket {
        if let socket { return socket }
        throw failure?.during(purpose) ?? AMQPError(.connectionClosed, during: purpose, cause: "it has ended")
    }

    // MARK: Sending

    private func send(_ item: Outgoing) {
        outbox.append(item)
        flush()
        wakePumpIfNeeded()
    }

    /// Sends what the socket takes without blocking.
    private func flush() {
        guard let socket, !outbox.isEmpty else { return }
        do throws(AMQPError) {
            if outbox.count == 1, case .method(let method)? = outbox.first {
                guard socket.isWritable else { return }
                try socket.send(method)
                _ = outbox.popFirst()
            } else {
                try socket.gathering { () throws(AMQPError) in try drainOutbox(to: socket) }
            }
            lastSent = .now
        } catch {
            // The broker may have said why before it hung up.
            receive()
            fail(error)
        }
    }

    private func drainOutbox(to socket: BrokerSocket) throws(AMQPError) {
        var room = 0
        while let item = outbox.first {
            switch item {
            case .method(let method):
                guard reserve(&room, 256, on: socket) else { return }
                try socket.send(method)
            case .heartbeat:
                guard reserve(&room, 8, on: socket) else { return }
                try socket.sendHeartbeat()
            case .messages(let messages):
                while progress.message < messages.count {
                    guard try sendPart(of: messages[progress.message], to: socket, room: &room) else { return }
                }
                progress.message = 0
            }
            _ = outbox.popFirst()
        }
    }

    /// Sends the message's head and then its body, as far as there is room.
    ///
    /// - Returns: false when the socket takes no more for now.
    private func sendPart(
        of outgoing: OutgoingMessage, to socket: BrokerSocket, room: inout Int
    ) throws(AMQPError) -> Bool {
        if progress.body == nil {
            guard reserve(&room, 512, on: socket) else { return false }
            try socket.sendHead(of: outgoing)
            progress.body = 0
        }
        let body = outgoing.message.body
        while let offset = progress.body, offset < body.count {
            guard reserve(&room, min(body.count - offset, socket.frameMaximum), on: socket) else { return false }
            progress.body = try offset + socket.sendBody(body, from: offset)
        }
        progress = Progress(message: progress.message + 1)
        return true
    }

    private func reserve(_ room: inout Int, _ bytes: Int, on socket: BrokerSocket) -> Bool {
        if room <= 0 {
            guard socket.isWritable else { return false }
            room = BrokerSocket.burst
        }
        room -= bytes
        return true
    }

    // MARK: Receiving

    /// Whether the consumer has room for more. An answer that is awaited comes after what it has no room for.
    private var mayRead: Bool {
        unreadable == nil && (buffered < configuration.bufferLimit || !commands.isEmpty || !publishes.isEmpty)
    }

    /// Reads all that has arrived, as far as there is room.
    private func receive() {
        while mayRead, let socket {
            do throws(AMQPError) {
                guard let frame = try socket.nextFrame() else { break }
                let action = machine.receive(frame)
                socket.release()
                perform(action)
            } catch {
                fail(error)
            }
        }
        if let reader, !events.isEmpty || unreadable != nil {
            self.reader = nil
            reader.continuation.resume(returning: .success(takeEvents(reader.maximum)))
        }
    }

    private func perform(_ action: ConnectionStateMachine.Action) {
        switch action {
        case .nothing:
            break
        case .emit(let event):
            events.append(event)
            buffered += event.footprint
        case .answer(let reply):
            if case .fetched(.some) = reply { unsettledFetches += 1 }
            commands.popFirst()?.continuation.resume(returning: .success(reply))
        case .complete(let settled):
            for batch in settled {
                publishes.removeValue(forKey: batch.first)?.continuation.resume(returning: .success(batch.outcomes))
            }
        case .noteBlocked(let reason):
            if let reason {
                logger.warning("the broker accepts no messages", metadata: ["reason": "\(reason)"])
            } else {
                logger.notice("the broker accepts messages again")
            }
        case .acknowledgeChannelClosed(let error):
            isChannelOpen = false
            for command in commands.takeAll() {
                command.continuation.resume(returning: .failure(error.during(command.method.purpose)))
            }
            send(.method(.closeChannelAcknowledged))
            if !survivesChannel || unsettledFetches > 0 { fail(error) }
        case .acknowledgeConnectionClosed(let error):
            send(.method(.closeConnectionAcknowledged))
            fail(error)
        case .fail(let error):
            fail(error)
        case .park(let tag):
            unreadable = tag
        case .refuse(let tag, let error):
            do throws(AMQPError) {
                try socket?.leave(after: .reject(tag: tag, requeue: false))
            } catch let failure {
                logger.debug("a message wasn't rejected", metadata: ["cause": "\(failure.cause)"])
            }
            fail(error)
        }
    }

    private func takeEvents(_ maximum: Int) -> [ConsumerEvent] {
        var taken: [ConsumerEvent] = []
        var size = 0
        while taken.count < maximum, size < configuration.bufferLimit, let event = events.popFirst() {
            taken.append(event)
            size += event.footprint
        }
        buffered -= size
        return taken
    }

    // MARK: Time

    private var nextDeadline: ContinuousClock.Instant {
        var deadline = ContinuousClock.now + .seconds(3600)
        if let heartbeat = socket?.heartbeat {
            deadline = min(deadline, lastSent + heartbeat / 2, lastHeard + heartbeat * 2)
        }
        if let reader { deadline = min(deadline, reader.deadline) }
        if let command = commands.minimum(of: \.deadline) { deadline = min(deadline, command) }
        for publish in publishes.values { deadline = min(deadline, publish.deadline) }
        return deadline
    }

    private func wakePumpIfNeeded() {
        guard let sleep, let socket else { return }
        let mustSend = !outbox.isEmpty && !sleep.interest.contains(.write)
        let mustRead = mayRead && !sleep.interest.contains(.read)
        if mustSend || mustRead || nextDeadline < sleep.deadline {
            executor.cancelWaits(on: socket.descriptor)
        }
    }

    /// Ends the waits whose deadline has passed.
    private func expire() {
        let now = ContinuousClock.now
        if let reader, reader.deadline <= now { wake() }
        let overdue = [commands.minimum(of: \.deadline), publishes.values.map(\.deadline).min()]
        if overdue.contains(where: { $0.map { $0 <= now } ?? false }) {
            if let reason = machine.blockedReason {
                fail(AMQPError(.blocked, during: operation, cause: "the broker accepts no messages: \(reason)"))
            } else {
                let cause = "no answer within \(configuration.operationTimeout)"
                fail(AMQPError(.timedOut, during: operation, cause: cause))
            }
        }
    }

    private func serveHeartbeat() {
        guard let socket, let heartbeat = socket.heartbeat else { return }
        let now = ContinuousClock.now
        // From whom nothing is read, nothing may come.
        if !mayRead { lastHeard = now }
        if lastHeard + heartbeat * 2 <= now, let silence = socket.silence { lastHeard = now - silence }
        if lastHeard + heartbeat * 2 <= now {
            fail(AMQPError(.connectionClosed, during: operation, cause: "no sign of life within \(heartbeat * 2)"))
        } else if lastSent + heartbeat / 2 <= now {
            // While other frames wait for room, one more sign of life wouldn't get through.
            if outbox.isEmpty { send(.heartbeat) }
            lastSent = now
        }
    }

    // MARK: The end

    /// Ends the connection and fails all that wait. The first reason counts.
    private func fail(_ error: AMQPError) {
        guard failure == nil else { return }
        failure = error
        logger.debug("connection to the broker ended", metadata: ["cause": "\(error.cause)"])
        if let socket { executor.cancelWaits(on: socket.descriptor) }
        socket = nil
        outbox = FIFO()
        events = FIFO()
        buffered = 0
        for command in commands.takeAll() {
            if command.method == .closeConnection, error.code == .connectionClosed {
                command.continuation.resume(returning: .success(.connectionClosed))
            } else {
                command.continuation.resume(returning: .failure(error.during(command.method.purpose)))
            }
        }
        for publish in publishes.values { publish.continuation.resume(returning: .failure(error)) }
        publishes = [:]
        reader.take()?.continuation.resume(returning: .failure(error.during("waiting for deliveries")))
    }
}

// What each frame means, told without a socket.

import Testing

@testable import AMQP

struct ConnectionStateMachineTests {
    private typealias Action = ConnectionStateMachine.Action

    private func machine() -> ConnectionStateMachine { ConnectionStateMachine(operation: "testing") }

    private let envelope = Delivery.Envelope(
        tag: 7, consumerTag: "c", isRedelivered: true, exchange: "e", routingKey: "k")
    private let properties = MessageProperties(messageID: "m", headers: ["h": 1])

    private func body(_ bytes: [UInt8], to machine: inout ConnectionStateMachine) -> Action {
        bytes.withUnsafeBytes { machine.receive(.body($0)) }
    }

    private func isViolation(_ action: Action) -> Bool {
        if case .fail(let error) = action { error.code == .protocol } else { false }
    }

    @Test(
        "A delivery is put together from its parts", arguments: [[], [[1, 2, 3]], [[1], [2, 3]], [[], [1, 2, 3]]])
    func delivery(fragments: [[UInt8]]) {
        var machine = machine()
        let whole = Array(fragments.joined())
        var actions = [
            machine.receive(.deliver(envelope)),
            machine.receive(.header(bodySize: UInt64(whole.count), properties)),
        ]
        for fragment in fragments { actions.append(body(fragment, to: &machine)) }
        let expected = Delivery(
            tag: 7, consumerTag: "c", isRedelivered: true, exchange: "e", routingKey: "k",
            message: Message(properties: properties, body: whole))
        #expect(actions.last == .emit(.delivery(expected)))
        #expect(actions.dropLast().allSatisfy { $0 == .nothing })
    }

    @Test("A message that another interrupts, or that has too much body, breaks the protocol")
    func brokenContent() {
        var interrupted = machine()
        _ = interrupted.receive(.deliver(envelope))
        #expect(isViolation(interrupted.receive(.deliver(envelope))))

        var excessive = machine()
        _ = excessive.receive(.deliver(envelope))
        _ = excessive.receive(.header(bodySize: 2, properties))
        #expect(isViolation(body([1, 2, 3], to: &excessive)))

        var headless = machine()
        #expect(isViolation(headless.receive(.header(bodySize: 2, properties))))
        #expect(isViolation(body([1], to: &headless)))

        var immense = machine()
        _ = immense.receive(.deliver(envelope))
        #expect(isViolation(immense.receive(.header(bodySize: .max, properties))))
    }

    @Test("A delivery whose headers can't be decoded is refused where asked for; else it ends the connection")
    func undecodable() {
        var delivering = ConnectionStateMachine(operation: "testing", rejectsUnreadable: true)
        _ = delivering.receive(.deliver(envelope))
        guard case .refuse(let tag, let error) = delivering.receive(.undecodable) else {
            return #expect(Bool(false), "the delivery wasn't refused")
        }
        #expect(tag == 7 && error.code == .connectionClosed && error.isRetriable)

        var keeping = machine()
        _ = keeping.receive(.deliver(envelope))
        #expect(isViolation(keeping.receive(.undecodable)))

        var idle = machine()
        #expect(isViolation(idle.receive(.undecodable)))

        var amid = machine()
        _ = amid.receive(.deliver(envelope))
        _ = amid.receive(.header(bodySize: 2, properties))
        #expect(isViolation(amid.receive(.undecodable)))

        var fetching = machine()
        fetching.expect(.fetched)
        _ = fetching.receive(.fetched(envelope, remaining: 0))
        #expect(isViolation(fetching.receive(.undecodable)))
    }

    @Test("Answers must come in the order of the commands")
    func answers() {
        var machine = machine()
        machine.expect(.prefetchSet)
        machine.expect(.consuming)
        #expect(machine.receive(.reply(.prefetchSet)) == .answer(.prefetchSet))
        #expect(machine.receive(.reply(.consuming(consumerTag: "c"))) == .answer(.consuming(consumerTag: "c")))
        #expect(isViolation(machine.receive(.reply(.queueBound))))
        machine.expect(.queueBound)
        #expect(isViolation(machine.receive(.reply(.queueUnbound))))
    }

    @Test("Deliveries may come between a command and its answer")
    func deliveryBeforeAnswer() {
        var machine = machine()
        machine.expect(.cancelled)
        _ = machine.receive(.deliver(envelope))
        guard case .emit(.delivery) = machine.receive(.header(bodySize: 0, properties)) else {
            Issue.record("the delivery was lost")
            return
        }
        #expect(machine.receive(.reply(.cancelled(consumerTag: "c"))) == .answer(.cancelled(consumerTag: "c")))
    }

    @Test("A fetched message is the answer to get, once it is complete")
    func fetched() {
        var machine = machine()
        machine.expect(.fetched)
        #expect(machine.receive(.fetched(envelope, remaining: 4)) == .nothing)
        #expect(machine.receive(.header(bodySize: 1, properties)) == .nothing)
        let delivery = Delivery(envelope, message: Message(properties: properties, body: [9]))
        #expect(
            body([9], to: &machine) == .answer(.fetched(FetchedMessage(delivery: delivery, remaining: 4))))
        machine.expect(.fetched)
        #expect(machine.receive(.reply(.fetched(nil))) == .answer(.fetched(nil)))
    }

    @Test("Publishes are complete with their confirms, refusals and returns")
    func confirms() {
        var machine = machine()
        let message = Message(properties: properties, body: [1])
        let outgoing = OutgoingMessage(exchange: "e", routingKey: "k", isMandatory: true, message: message)
        #expect(machine.publish([outgoing]) == 1)
        #expect(machine.publish([outgoing, outgoing]) == 2)
        #expect(
            machine.receive(.refused(tag: 1, multiple: false)) == .complete([.init(first: 1, outcomes: [.rejected])]))
        let back = ReturnedEnvelope(code: 312, text: "NO_ROUTE", exchange: "e", routingKey: "k")
        _ = machine.receive(.returned(back))
        _ = machine.receive(.header(bodySize: 1, properties))
        #expect(body([1], to: &machine) == .nothing)
        #expect(
            machine.receive(.acknowledged(tag: 3, multiple: true))
                == .complete([.init(first: 2, outcomes: [.returned(code: 312, text: "NO_ROUTE"), .confirmed])]))
        #expect(isViolation(machine.receive(.acknowledged(tag: 4, multiple: false))))
    }

    @Test("A return that nobody waits for breaks the protocol, lest a lost message count as confirmed")
    func strangeReturn() {
        var machine = machine()
        _ = machine.receive(.returned(.init(code: 312, text: "NO_ROUTE", exchange: "e", routingKey: "k")))
        #expect(isViolation(machine.receive(.header(bodySize: 0, properties))))
    }

    @Test("The broker's cancelling is an event among the deliveries")
    func brokerCancel() {
        var machine = machine()
        #expect(machine.receive(.consumerCancelled(consumerTag: "c")) == .emit(.cancelled(consumerTag: "c")))
    }

    @Test("Blocking is remembered until the broker unblocks")
    func blocking() {
        var machine = machine()
        #expect(machine.receive(.blocked(reason: "low on memory")) == .noteBlocked(reason: "low on memory"))
        #expect(machine.blockedReason == "low on memory")
        #expect(machine.receive(.unblocked) == .noteBlocked(reason: nil))
        #expect(machine.blockedReason == nil)
    }

    @Test(
        "The broker's reasons to close become errors that say whether trying again can help",
        arguments: [
            (404, .notFound, false), (403, .accessRefused, false), (405, .resourceLocked, true),
            (406, .preconditionFailed, false), (320, .channelClosed, true), (541, .brokerFailed, true),
            (503, .commandInvalid, false), (530, .notAllowed, false), (540, .notImplemented, false),
            (501, .protocol, false), (311, .contentTooLarge, false), (506, .brokerFailed, true),
        ] as [(Int, AMQPError.Code, Bool)])
    func closing(number: Int, code: AMQPError.Code, isRetriable: Bool) throws {
        var machine = machine()
        guard case .acknowledgeChannelClosed(let error) = machine.receive(.channelClosed(code: number, text: "why"))
        else {
            Issue.record("the closing wasn't noticed")
            return
        }
        #expect(error.code == code)
        #expect(error.brokerCode == number)
        #expect(error.isRetriable == isRetriable)
        #expect(error.description.contains("why") && error.description.contains(error.advice))
    }

    @Test(
        "What has the same number is told apart by the broker's words",
        arguments: [
            (403, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use", .resourceLocked),
            (
                404, "NOT_FOUND - home node 'a@b' of durable queue 'q' in vhost '/' is down or inaccessible",
                .brokerFailed
            ),
            (406, "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value", .timedOut),
            (406, "PRECONDITION_FAILED - unknown exchange type 'x-consistent-hash'", .commandInvalid),
        ] as [(Int, String, AMQPError.Code)])
    func brokersWords(number: Int, text: String, code: AMQPError.Code) {
        var machine = machine()
        let action = machine.receive(.channelClosed(code: number, text: text))
        let error = AMQPError(code, brokerCode: number, during: "testing", cause: text)
        #expect(action == .acknowledgeChannelClosed(error))
        #expect(error.isRetriable == (code != .commandInvalid))
    }

    @Test("After the channel was closed, answers are matched anew")
    func closedChannelForgetsCommands() {
        var machine = machine()
        machine.expect(.queueDeclared)
        _ = machine.receive(.channelClosed(code: 404, text: "none"))
        machine.expect(.channelOpened)
        #expect(machine.receive(.reply(.channelOpened)) == .answer(.channelOpened))
    }

    @Test("The closing of the connection is told apart from that of the channel")
    func connectionClosed() {
        var machine = machine()
        let error = AMQPError(.connectionClosed, brokerCode: 320, during: "testing", cause: "forced")
        #expect(
            machine.receive(.connectionClosed(code: 320, text: "forced")) == .acknowledgeConnectionClosed(error))
    }
}

// Which message a confirm, or a return, is for.

import Testing

@testable import AMQP

struct ConfirmLedgerTests {
    private func message(_ key: String, id: String? = nil, isMandatory: Bool = false) -> OutgoingMessage {
        OutgoingMessage(
            exchange: "e", routingKey: key, isMandatory: isMandatory,
            message: Message(properties: MessageProperties(messageID: id)))
    }

    private func returned(_ key: String) -> ReturnedEnvelope {
        ReturnedEnvelope(code: 312, text: "NO_ROUTE", exchange: "e", routingKey: key)
    }

    @Test("Messages are numbered from 1 across batches")
    func numbering() {
        var ledger = ConfirmLedger()
        #expect(ledger.enter([message("a"), message("b")]) == 1)
        #expect(ledger.enter([message("c")]) == 3)
        #expect(ledger.enter([message("d")]) == 4)
    }

    @Test("A batch is complete when each of its messages is settled, in any order")
    func outOfOrder() {
        var ledger = ConfirmLedger()
        _ = ledger.enter([message("a"), message("b"), message("c")])
        #expect(ledger.settle(3, multiple: false, isRejected: false) == [])
        #expect(ledger.settle(1, multiple: false, isRejected: true) == [])
        #expect(
            ledger.settle(2, multiple: false, isRejected: false) == [
                .init(first: 1, outcomes: [.rejected, .confirmed, .confirmed])
            ])
        #expect(ledger.isEmpty)
    }

    @Test("A confirm of several settles all up to it in every batch, and none twice")
    func multiple() {
        var ledger = ConfirmLedger()
        _ = ledger.enter([message("a"), message("b")])
        _ = ledger.enter([message("c"), message("d")])
        #expect(ledger.settle(2, multiple: false, isRejected: true) == [])
        #expect(
            ledger.settle(3, multiple: true, isRejected: false) == [
                .init(first: 1, outcomes: [.confirmed, .rejected])
            ])
        #expect(
            ledger.settle(4, multiple: true, isRejected: true) == [.init(first: 3, outcomes: [.confirmed, .rejected])])
    }

    @Test("A later batch may be complete before an earlier one")
    func laterFirst() {
        var ledger = ConfirmLedger()
        _ = ledger.enter([message("a")])
        _ = ledger.enter([message("b")])
        #expect(ledger.settle(2, multiple: false, isRejected: false) == [.init(first: 2, outcomes: [.confirmed])])
        #expect(ledger.settle(1, multiple: false, isRejected: false) == [.init(first: 1, outcomes: [.confirmed])])
    }

    @Test("The number 0 with multiple means all so far")
    func allSoFar() {
        var ledger = ConfirmLedger()
        _ = ledger.enter([message("a"), message("b")])
        #expect(
            ledger.settle(0, multiple: true, isRejected: false) == [
                .init(first: 1, outcomes: [.confirmed, .confirmed])
            ])
    }

    @Test(
        "A number that was never given is an error", arguments: [(0, false), (3, false), (3, true)] as [(UInt64, Bool)])
    func unknownNumber(tag: UInt64, multiple: Bool) {
        var ledger = ConfirmLedger()
        _ = ledger.enter([message("a"), message("b")])
        #expect(ledger.settle(tag, multiple: multiple, isRejected: false) == nil)
    }

    @Test("A return goes to the message with its key and id, and shows when that is confirmed")
    func returns() {
        var ledger = ConfirmLedger()
        let messages = [
            message("a", id: "1"), message("a", id: "1", isMandatory: true), message("a", id: "2", isMandatory: true),
            message("b", id: "2", isMandatory: true),
        ]
        _ = ledger.enter(messages)
        let isNoted = ledger.noteReturn(returned("a"), message: messages[2].message)
        #expect(isNoted)
        #expect(
            ledger.settle(4, multiple: true, isRejected: false) == [
                .init(
                    first: 1,
                    outcomes: [.confirmed, .confirmed, .returned(code: 312, text: "NO_ROUTE"), .confirmed])
            ])
    }

    @Test("Messages that are alike take their returns one each")
    func alike() {
        var ledger = ConfirmLedger()
        let messages = Array(repeating: message("a", isMandatory: true), count: 3)
        _ = ledger.enter(messages)
        let areNoted = (0..<2).map { _ in ledger.noteReturn(returned("a"), message: messages[0].message) }
        #expect(areNoted == [true, true])
        let settled = ledger.settle(3, multiple: true, isRejected: false)
        #expect(settled?.first?.outcomes.count { $0 == .returned(code: 312, text: "NO_ROUTE") } == 2)
    }

    @Test("A return that nobody waits for is reported")
    func strangeReturn() {
        var ledger = ConfirmLedger()
        let optional = message("a")
        _ = ledger.enter([optional])
        let isNoted = ledger.noteReturn(returned("a"), message: optional.message)
        #expect(!isNoted)
    }
}

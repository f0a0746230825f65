// The worker's own settlements and the time that they count as of.

import AMQP
import OrderStore
import Orders
import Testing

@testable import OrderWorker

@Suite("Settlements")
struct SettlementTimeTests {
    private let due = DueCustomer(
        id: CustomerID(high: 1, low: 2), partnerID: "acme", since: Timestamp(microseconds: 1_000_000), isMonth: false)
    private let now = Timestamp(microseconds: 1_800_000_000_000_000)
    private let later = Timestamp(microseconds: 1_800_000_060_000_000)
    private let earlier = Timestamp(microseconds: 1_799_999_999_000_000)

    @Test("A clock that is ahead settles nothing early; only an operator lets time run ahead")
    func effectiveTime() {
        func time(_ through: Timestamp, isAhead: Bool) -> Timestamp {
            let message = SettleCommand.message(due, through: through, isAhead: isAhead, user: "worker").message
            return SettleCommand.effectiveTime(of: message, time: through, now: now)
        }
        #expect(time(later, isAhead: false) == now)
        #expect(time(later, isAhead: true) == later)
        #expect(time(earlier, isAhead: false) == earlier)
        #expect(time(earlier, isAhead: true) == earlier)
    }

    @Test("The same settlement asked for twice is one command, one that goes further another")
    func identity() {
        func id(_ through: Timestamp) -> String? {
            SettleCommand.message(due, through: through, isAhead: true, user: "worker").message.properties.messageID
        }
        #expect(id(now) == id(now))
        #expect(id(now) != id(later))
        let over = SettleCommand.message(due, through: now, isAhead: true, dayIsOver: true, user: "worker").message
        #expect(over.properties.messageID != id(now))
    }

    @Test("What was asked for isn't asked for again until it falls due anew or a while has passed")
    func memory() {
        var memory = AskedMemory()
        let at = ContinuousClock.now
        #expect(!memory.remembers(due, at: at))
        memory.add([due], through: now, at: at)
        #expect(memory.remembers(due, at: at + .seconds(299)))
        #expect(!memory.remembers(due, at: at + .seconds(301)))
        let anew = DueCustomer(id: due.id, partnerID: "acme", since: later, isMonth: false)
        #expect(!memory.remembers(anew, at: at))
    }

    @Test("A clock that is far off, an inbox without months and a failure that lasts are reasons not to be ready")
    func reasons() {
        let board = ClockBoard()
        #expect(board.status.reasons().isEmpty)
        board.update { status in
            status.skew = ClockSkew(asked: 11_000_000, answered: 11_000_000, answer: 0)
            status.inboxAhead = .seconds(20 * 86_400)
        }
        struct Broken: Error {}
        board.failed("settling what is due", Broken())
        #expect(board.status.reasons().count == 2)
        #expect(board.status.reasons(at: .now + .seconds(61)).count == 3)
        board.succeeded("settling what is due")
        #expect(board.status.reasons(at: .now + .seconds(61)).count == 2)
    }
}

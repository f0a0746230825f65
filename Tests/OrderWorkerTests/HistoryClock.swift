// A clock that ticks through a history, as the worker's own would have.

import AMQP
import OrderStore
import Orders
import PostgreSQL

@testable import OrderWorker
@testable import OrdersSimulation

/// Plays a script of commands and asks for settlements at every tick.
struct HistoryClock {
    /// Seconds between two ticks; nil for a clock that ticks only once, after the end.
    let interval: Int64?
    let due: DueCustomers
    /// How many settlements were asked for.
    private(set) var asked = 0

    init(interval: Int64?, connection: Connection) {
        self.interval = interval
        self.due = DueCustomers(connection: connection)
    }

    /// Plays commands in their order, in batches cut at random, at ticks, at a day's length, and before a refund of
    /// something that isn't booked yet; then settles all that falls due within forty days.
    mutating func play(_ script: [CommandEnvelope], with player: inout HistoryPlayer) async throws {
        var batch: [CommandEnvelope] = []
        var size = 1
        for envelope in script {
            let isTick = batch.last.map { number($0.effectiveAt) != number(envelope.effectiveAt) } ?? true
            let isKnown = player.bookings.asked(envelope.command) == envelope.command
            // A command that waits for more than a day counts as of a later time than its own.
            let isLong = batch.first.map { $0.effectiveAt.adding(.seconds(86400)) < envelope.effectiveAt } ?? false
            if isTick || !isKnown || isLong || batch.count >= size {
                try await Self.play(&batch, with: &player)
                size = Int.random(in: 1...12, using: &player.random)
            }
            if isTick { try await settle(until: envelope.effectiveAt, with: &player) }
            batch.append(envelope)
        }
        try await Self.play(&batch, with: &player)
        guard let end = script.last?.effectiveAt.adding(.seconds(40 * 86400)) else { return }
        try await settle(until: end, with: &player)
        try await settle(at: end, with: &player)
    }

    private static func play(_ batch: inout [CommandEnvelope], with player: inout HistoryPlayer) async throws {
        guard let last = batch.last else { return }
        try await player.play(batch, now: last.effectiveAt)
        batch = []
    }

    /// How many ticks came before.
    private func number(_ time: Timestamp) -> Int64 {
        interval.map { time.microseconds / ($0 * 1_000_000) } ?? 0
    }

    /// Ticks through to `time`, passing over the ticks at which nothing is due.
    private mutating func settle(until time: Timestamp, with player: inout HistoryPlayer) async throws {
        guard let interval else { return }
        let last = Timestamp(microseconds: number(time) * interval * 1_000_000)
        while let first = try await due.find(dueBy: last, limit: 1).customers.first {
            let tick = number(first.since.adding(.microseconds(interval * 1_000_000 - 1)))
            try await settle(at: Timestamp(microseconds: tick * interval * 1_000_000), with: &player)
        }
    }

    /// What the clock does at a tick.
    private mutating func settle(at tick: Timestamp, with player: inout HistoryPlayer) async throws {
        var found: [DueCustomer] = []
        var position: DuePage.Position?
        repeat {
            let page = try await due.find(dueBy: tick, from: position, limit: 100)
            found += page.customers.filter { customer in !found.contains { $0.id == customer.id } }
            position = page.end
        } while position != nil
        let sendings = found.map { customer in
            HistoryPlayer.Sending(
                envelope: CommandEnvelope(
                    key: CommandKey(source: "", id: ""), publisher: .worker, effectiveAt: tick,
                    command: .settle(customer.id)),
                message: SettleCommand.message(customer, through: tick, isAhead: true, user: HistoryPlayer.workerUser)
                    .message)
        }
        asked += found.count
        if !sendings.isEmpty { try await player.play(sendings, now: tick, mishap: nil) }
    }
}

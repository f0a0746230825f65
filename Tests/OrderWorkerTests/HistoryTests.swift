// Long random histories through the database, in batches cut at random, compared with the model step by step.

import Foundation
import OrderStore
import Orders
import PostgreSQL
import Testing

@testable import OrderWorker
@testable import OrdersSimulation

@Suite(.serialized) struct HistoryTests {
    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    private static let isFull = ProcessInfo.processInfo.environment["ORDER_WORKER_TEST_FULL"] == "1"
    /// ORDER_WORKER_HISTORY_COMMANDS: how many commands are played.
    private static let commands = Int(number("ORDER_WORKER_HISTORY_COMMANDS") ?? (isFull ? 100_000 : 3000))
    /// ORDER_WORKER_HISTORY_SEED: the history to play; another one each time where it isn't set.
    private static let seed = number("ORDER_WORKER_HISTORY_SEED") ?? UInt64.random(in: 1...999_999)

    @Test(
        "A random history gives the outcomes and the books that the model gives and that simulate gives, and a clean audit"
    )
    func agreesWithModel() async throws {
        try await play(commands: Self.commands, mishapPercent: 0)
    }

    @Test("A lane that fails again and again, at any moment, ends with the books that the model has")
    func survivesMishaps() async throws {
        try await play(commands: max(1000, Self.commands / 10), mishapPercent: 40)
    }

    private func play(commands: Int, mishapPercent: Int) async throws {
        print("history: ORDER_WORKER_HISTORY_SEED=\(Self.seed) ORDER_WORKER_HISTORY_COMMANDS=\(Self.commands)")
        try await TestDatabase.withDatabase(catalog: History.catalogFile()) { connect in
            let began = ContinuousClock.now
            try await Self.makeInboxMonths(connect)
            // Some six hundred commands for each customer, so that each has a history however many there are.
            var history = History(seed: Self.seed, customers: max(6, commands / 600))
            var player = try await HistoryPlayer(connect, seed: Self.seed)
            var played = 0
            while played < commands {
                if history.changeCatalog() { try await player.change(to: history.catalog, history.prices) }
                let size =
                    Int.random(in: 0..<20, using: &history.random) == 0
                    ? Int.random(in: 13...300, using: &history.random)
                    : Int.random(in: 1...12, using: &history.random)
                var sendings = try (0..<size).map { _ in try Self.next(&history, player) }
                // Some commands come twice in the same batch.
                for (place, sending) in sendings.filter({ $0.kind == .first }).enumerated()
                where Int.random(in: 0..<100, using: &player.random) < 3 {
                    var again = sending
                    again.kind = .again(player.sent.count + place)
                    sendings.append(again)
                }
                let isUnlucky = Int.random(in: 0..<100, using: &player.random) < mishapPercent
                let mishap = isUnlucky ? Mishap.allCases.randomElement(using: &player.random) : nil
                try await player.play(sendings, now: history.now, mishap: mishap)
                played += sendings.count
            }
            #expect(try await player.differences() == [])
            if commands >= 2000 { #expect(player.types == Set(EventType.allCases)) }
            #expect(mishapPercent == 0 || player.mishaps > 0)
            await player.close()
            // No clock runs in this history, so that much is overdue at its end.
            try await Self.audit(connect, now: .at("2025-01-01T00:00:00Z"))
            print(
                "history: \(played) commands for \(player.model.accounts.count) customers until \(history.now),",
                "\(player.batches) batches, \(player.mishaps) mishaps,",
                "\(player.model.accounts.values.map(\.entries.count).reduce(0, +)) transactions,",
                "\(player.model.accounts.values.map(\.invoices.count).reduce(0, +)) invoices;",
                "\(began.duration(to: .now)), no difference, audit clean")
        }
    }

    /// The next command: most often a new one, sometimes one that was sent before, or another one under its id.
    private static func next(_ history: inout History, _ player: HistoryPlayer) throws -> HistoryPlayer.Sending {
        let chance = Int.random(in: 0..<100, using: &history.random)
        let place = Int.random(in: 0..<max(1, player.sent.count), using: &history.random)
        guard chance < 8, player.sent.indices.contains(place) else {
            return try player.first(history.next { player.bookings.count($0) })
        }
        var sending = player.sent[place]
        if chance < 6 || !sending.envelope.command.isReadable || sending.envelope.publisher == .worker {
            sending.kind = .again(place)
            return sending
        }
        let other = CommandEnvelope(
            key: sending.envelope.key, publisher: sending.envelope.publisher, effectiveAt: history.now,
            command: .updateCustomer(
                UpdateCustomer(
                    customerID: sending.envelope.command.customerID, companyName: "Other \(player.sent.count)",
                    address: nil, reseller: .keep)))
        return HistoryPlayer.Sending(kind: .reused, envelope: other, message: try other.message())
    }

    // MARK: The clock

    @Test("The books are the same whether the clock ran every minute, every day, every month or only at the end")
    func clockMakesNoDifference() async throws {
        let commands = Self.isFull ? 5000 : 400
        print("history: ORDER_WORKER_HISTORY_SEED=\(Self.seed), \(commands) commands under four clocks")
        // In time order: a command that comes late finds what was settled meanwhile, whoever settled it. Few enough
        // commands for each customer that there are subscriptions left at the end.
        var history = History(seed: Self.seed, customers: max(3, commands / 300), latePercent: 0)
        var model = Model(catalog: History.catalog, prices: History.prices)
        var script: [CommandEnvelope] = []
        while script.count < commands {
            let envelope = history.next { model.accounts[$0]?.entries.count ?? 0 }
            guard envelope.publisher != .worker, envelope.command.isReadable, !Self.dependsOnTheClock(envelope, model)
            else { continue }
            _ = model.decide(envelope, now: envelope.effectiveAt)
            script.append(envelope)
        }
        var dumps: [[String]] = []
        for interval in [60, 86400, 31 * 86400, nil] as [Int64?] {
            let name = interval.map { "clock every \($0) s" } ?? "clock only at the end"
            try await TestDatabase.withDatabase(catalog: History.catalogFile()) { connect in
                let connection = try await connect()
                var player = try await HistoryPlayer(connect, seed: Self.seed)
                var clock = HistoryClock(interval: interval, connection: connection)
                try await clock.play(script, with: &player)
                #expect(try await player.differences() == [], "\(name)")
                let replayed = try await Replay(connection: connection).run(limit: 5)
                #expect(replayed.differences.map(\.description) == [], "\(name)")
                #expect(replayed.customers == player.model.accounts.count && replayed.skipped == 0)
                dumps.append(try await Books.dump(connection))
                await player.close()
                await connection.close()
                try await Self.audit(connect, now: try #require(script.last).effectiveAt.adding(.seconds(40 * 86400)))
                print("history: \(name): \(player.batches) batches, \(clock.asked) settlements")
            }
        }
        let expected = Set(try #require(dumps.last))
        for (dump, name) in zip(dumps, ["minute", "day", "month"]) {
            let others = Set(dump).symmetricDifference(expected).sorted()
            #expect(dump.count == dumps.last?.count && others.isEmpty, "every \(name): \(others.prefix(4))")
        }
    }

    /// Whether a command asks to refund a renewal more than thirty days after its date: that can be done where the renewal
    /// was settled late, because its last day counts from the day on which it was booked.
    private static func dependsOnTheClock(_ envelope: CommandEnvelope, _ model: Model) -> Bool {
        guard case .processRefund(let refund) = envelope.command, let account = model.accounts[refund.customerID]
        else { return false }
        let latest = Model.day(envelope.effectiveAt, in: account.partner.zone.name)
        return refund.refunds.contains { item in
            let position = Int(item.transactionID.low)
            guard account.entries.indices.contains(position) else { return false }
            let entry = account.entries[position]
            return entry.type == .renewal
                && Model.days(entry.date, latest) > account.partner.refundWindowDays
        }
    }

    // MARK: The database

    /// Months for the inbox as they would have been made when the history happened.
    private static func makeInboxMonths(_ connect: () async throws -> Connection) async throws {
        let connection = try await connect()
        try await connection.execute(
            script: """
                DO $$
                DECLARE month date;
                BEGIN
                    FOR month IN SELECT generate_series('2025-01-01', '2030-01-01', interval '1 month') LOOP
                        CONTINUE WHEN to_regclass('inbox_' || to_char(month, 'YYYY_MM')) IS NOT NULL;
                        EXECUTE format('CREATE TABLE %I PARTITION OF inbox FOR VALUES FROM (%L) TO (%L)',
                            'inbox_' || to_char(month, 'YYYY_MM'), month::timestamp AT TIME ZONE 'UTC',
                            (month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
                        EXECUTE format('CREATE UNIQUE INDEX ON %I (sender, source, id)',
                            'inbox_' || to_char(month, 'YYYY_MM'));
                    END LOOP;
                END $$
                """)
        await connection.close()
    }

    private static func audit(_ connect: () async throws -> Connection, now: Timestamp) async throws {
        let connection = try await connect()
        let findings = try await Audit(connection: connection).run(limit: 5, now: now)
        for finding in findings {
            #expect(finding.breaches == 0, "\(finding.check.name): \(finding.examples)")
        }
        await connection.close()
    }
}

// Reports say what the books hold, in each of their forms.

import OrderStore
import Orders
import PostgreSQL
import Testing

@Suite struct ReportTests {
    @Test("A table pads and cuts, aligns numbers, shows decimals, and lets no name move the cursor")
    func table() {
        let columns = ReportKind.transactions.columns.filter { ["customerName", "quantity"].contains($0.name) }
        var writer = ReportWriter(.table, columns: columns)
        let text =
            writer.beginning() + writer.row([.text("A\u{1B}[2J\nname that is too long for it"), .integer(12)])
            + writer.row([.text("Øster"), .money(Money(amount: -5, currency: Self.usd))])
            + writer.row([.absent, .absent])
            + writer.end()
        #expect(
            String(decoding: text, as: UTF8.self) == """
                customer                  quantity
                A\\u{1b}[2J\\u{a}name tha…         12
                Øster                     -0.05 USD

                3 rows

                """)
    }

    @Test("CSV quotes what has commas, quotes or line breaks, and nothing else")
    func csv() {
        let columns = Array(ReportKind.subscriptions.columns.prefix(6))
        var writer = ReportWriter(.csv, columns: columns)
        let text =
            writer.beginning()
            + writer.row([
                .text("a,b"), .text("say \"hi\""), .text("two\nlines"), .text(" plain; 'text'"), .bool(true), .absent,
            ])
            + writer.row([
                .integer(-3), .money(Money(amount: 1234, currency: Self.usd)), .text(""), .absent, .absent, .absent,
            ])
            + writer.end()
        #expect(
            String(decoding: text, as: UTF8.self) == """
                partnerId,customerId,customerName,resellerId,resellerName,subscriptionId
                "a,b","say ""hi""\","two
                lines", plain; 'text',true,
                -3,1234,,,,

                """)
    }

    @Test("JSON is one array whose absent members are left out", arguments: [0, 1, 2])
    func json(rows: Int) {
        var writer = ReportWriter(.json, columns: Array(ReportKind.subscriptions.columns.prefix(3)))
        var text = writer.beginning()
        for _ in 0..<rows {
            text += writer.row([.text("a\"b"), .absent, .money(Money(amount: 1234, currency: Self.usd))])
        }
        text += writer.end()
        let row = #"{"partnerId":"a\"b","customerName":1234}"#
        let lines = Array(repeating: row, count: rows).joined(separator: ",\n")
        #expect(String(decoding: text, as: UTF8.self) == (rows == 0 ? "[\n]\n" : "[\n\(lines)\n]\n"))
    }

    @Test("The transactions are told with who, what and for how much, the earliest first")
    func transactions() async throws {
        try await withBooks { connection in
            let filter = ReportFilter(customer: Books.customer(1), to: CalendarDate("2060-03-12"))
            let rows = try await Self.rows(.transactions, filter, on: connection)
            let shown = ["date", "action", "certificateType", "quantity", "unitPrice", "cost", "resellerName", "who"]
            #expect(
                rows.map { row in shown.map { row[$0] ?? "-" }.joined(separator: " ") } == [
                    "2060-03-10 order ev 3 49900 149700 East, \"the\" reseller acme-user",
                    "2060-03-10 order ov 10 19900 199000 East, \"the\" reseller acme-user",
                    "2060-03-11 inventoryAddition ov 3 19900 59536 East, \"the\" reseller acme-user",
                    "2060-03-11 renewalInventoryChange ev 0 - 0 East, \"the\" reseller acme-user",
                    "2060-03-11 renewalInventoryChange ov 20 - 0 East, \"the\" reseller acme-user",
                    "2060-03-11 refund ov 3 19900 -59700 East, \"the\" reseller acme-user",
                    "2060-03-12 refund ov 4 19900 -79600 East, \"the\" reseller acme-user",
                    "2060-03-12 refund ov 3 19900 -59700 East, \"the\" reseller acme-user",
                ])
            let charge = rows[1]["transactionId"]
            #expect(rows.filter { $0["action"] == "refund" }.allSatisfy { $0["reverses"] == charge })
            #expect(rows.allSatisfy { $0["customerName"] == "Example 1" && $0["commandSource"] == "shop" })
            #expect(rows.first?["time"] == "2060-03-10T23:00:00Z")
            // What the command came to, beside the line's own cost.
            #expect(rows[..<2].allSatisfy { $0["total"] == "348700" })
            #expect(rows.allSatisfy { $0["bookedOn"] == $0["date"] && $0["productName"] == "PKI" })
        }
    }

    @Test("A filter restricts every report by customer, reseller, partner and dates")
    func filters() async throws {
        try await withBooks { connection in
            func count(_ kind: ReportKind, _ filter: ReportFilter) async throws -> Int {
                try await Self.rows(kind, filter, on: connection).count
            }
            for kind in ReportKind.allCases {
                let all = try await count(kind, ReportFilter())
                let acme = try await count(kind, ReportFilter(partner: "acme"))
                let nordwind = try await count(kind, ReportFilter(partner: "nordwind"))
                #expect(acme > 0 && acme + nordwind == all, "\(kind)")
                let customers = [1, 2, 3].map { ReportFilter(customer: Books.customer($0)) }
                var sum = 0
                for filter in customers { sum += try await count(kind, filter) }
                #expect(sum == acme, "\(kind)")
                #expect(try await count(kind, ReportFilter(from: CalendarDate("2070-01-01"))) == 0, "\(kind)")
                #expect(try await count(kind, ReportFilter(to: CalendarDate("2060-02-28"))) == 0, "\(kind)")
            }
            // The reseller managed the customer for its first day and a half, and does no more; what was sold then is its
            // own to refund.
            #expect(try await count(.transactions, ReportFilter(reseller: "east")) == 8)
            #expect(try await count(.subscriptions, ReportFilter(reseller: "east")) == 0)
        }
    }

    @Test("An invoice is told with its number and total, and the subscriptions with what they hold and will hold")
    func invoicesAndSubscriptions() async throws {
        try await withBooks { connection in
            let invoices = try await Self.rows(.invoices, ReportFilter(customer: Books.customer(5)), on: connection)
            #expect(invoices.map { $0["state"] } == ["closed", "open"])
            let first = try #require(invoices.first)
            #expect(
                ["periodStart", "closingDate", "kind", "series", "number", "lines", "total", "currency"]
                    .map { first[$0] ?? "-" }
                    == ["2060-03-01", "2060-04-01", "invoice", "2060-03", "1", "1", "75600", "EUR"])
            let held = try await Self.rows(.subscriptions, ReportFilter(customer: Books.customer(1)), on: connection)
            #expect(
                held.map { row in
                    [
                        "term", "state", "orderDate", "periodEnd", "autoRenewal", "items", "inventory",
                        "renewalInventory", "cost", "lastModifiedBy", "lastAction",
                    ]
                    .map { row[$0] ?? "-" }.joined(separator: " ")
                } == [
                    "P1Y active 2060-03-10 2062-03-10 true 13 13 ov 9 ov 258700 acme-user renewalInventoryChange",
                    "P1Y active 2061-03-16 2062-03-16 false 2 2 ov - 39800 acme-user order",
                ])
        }
    }

    @Test("Upcoming is what is booked on the open invoice and what will renew, at the prices then in force")
    func upcoming() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                let books = try await Books(connection)
                try await books.apply(
                    day: 0,
                    [
                        Books.create(1), Books.create(2), try Books.order(1, 1, term: "P1M", renews: true, ["ov": 2]),
                        try Books.order(2, 2, term: "P1M", ["ov": 1]),
                    ])
                try await books.apply(day: 1, [Books.setRenewal(1, 1, ["ov": 5])])
                let file = try TestCatalog.file(
                    prices: """
                        , {"partner": "acme", "product": "pki", "certificateType": "ov", "term": "P1M", "currency": "USD",
                        "unitPrice": 2500, "effectiveFrom": "2060-05-01"}
                        """)
                _ = try await CatalogStore(connection: connection).apply(file, dryRun: false)
                func lines(_ to: String?) async throws -> [String] {
                    let filter = ReportFilter(to: to.flatMap { CalendarDate($0) })
                    return try await Self.rows(.upcoming, filter, on: connection).map { row in
                        ["date", "invoiceMonth", "state", "customerName", "action", "quantity", "unitPrice", "cost"]
                            .map { row[$0] ?? "-" }.joined(separator: " ")
                    }
                }
                let booked = [
                    "2060-03-10 2060-03 booked Example 1 order 2 1999 3998",
                    "2060-03-10 2060-03 booked Example 2 order 1 1999 1999",
                ]
                #expect(try await lines(nil) == booked)
                #expect(
                    try await lines("2060-05-10") == [
                        booked[0], "2060-04-10 2060-04 expected Example 1 renewal 5 1999 9995",
                        "2060-05-10 2060-05 expected Example 1 renewal 5 2500 12500", booked[1],
                        "2060-04-10 - expires Example 2 expiry - - -",
                    ])
                #expect(try await lines("2060-05-09").count == 4)
                let states = try await connection.query(Statement("SELECT DISTINCT period_index FROM subscriptions"))
                #expect(try states.map { try $0.int64(0) } == [0], "asking renews nothing")
            }
        }
    }

    @Test("Upcoming shows what stays suspended past its end until it is enabled, and nothing that ends later")
    func upcomingSuspended() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                let books = try await Books(connection)
                try await books.apply(
                    day: 0,
                    [
                        Books.create(1), try Books.order(1, 1, term: "P1M", renews: true, ["ov": 2]),
                        try Books.order(1, 2, term: "P1M", renews: true, ["ov": 1]),
                    ])
                try await books.apply(
                    day: 1,
                    [
                        .suspendSubscription(
                            SuspendSubscription(
                                customerID: Books.customer(1), subscriptionID: Books.subscription(1), reason: nil))
                    ])
                func rows(_ to: String) async throws -> [String] {
                    let filter = ReportFilter(from: CalendarDate("2060-04-01"), to: CalendarDate(to))
                    return try await Self.rows(.upcoming, filter, on: connection).map { row in
                        ["date", "state", "action", "cost", "reason"].map { row[$0] ?? "-" }.joined(separator: " ")
                    }
                }
                #expect(try await rows("2060-04-09") == [])
                #expect(
                    try await rows("2060-04-10") == [
                        "2060-04-10 expected renewal 1999 -",
                        "2060-04-10 waits enablement - It is suspended: enabling it begins a new period that day, at that "
                            + "day's prices.",
                    ])
                // Past its end it still waits.
                try await books.apply(day: 60, by: .worker, [.settle(Books.customer(1))])
                #expect(try await rows("2060-05-31").contains { $0.hasPrefix("2060-04-10 waits") })
            }
        }
    }

    @Test("Invoices go by the resellers of their lines, whoever manages the customer now; an open one has a kind")
    func invoicesOfResellers() async throws {
        try await withBooks { connection in
            let own = try await Self.rows(.invoices, ReportFilter(reseller: "east"), on: connection)
            #expect(!own.isEmpty && own.allSatisfy { $0["resellerId"] == "east" })
            let all = try await Self.rows(.invoices, ReportFilter(), on: connection)
            #expect(all.allSatisfy { $0["kind"] == "invoice" || $0["kind"] == "creditNote" })
            #expect(all.contains { $0["state"] == "open" })
            for invoice in own {
                let lines = try await connection.query(
                    Statement(
                        """
                        SELECT count(*), sum(amount)::bigint FROM transactions
                        WHERE invoice_id = $1::text::uuid AND reseller_id = 'east'
                        """, .text(invoice["invoiceId"])))
                let line = try #require(lines.first)
                #expect(try invoice["lines"] == "\(line.int64(0))" && invoice["amount"] == "\(line.int64(1))")
                let whole = all.first { $0["invoiceId"] == invoice["invoiceId"] }
                #expect(whole?["total"] == invoice["total"] && whole?["amount"] == whole?["total"])
            }
        }
    }

    @Test("Upcoming says what a renewal will drop and what will expire, with why")
    func upcomingDropsAndExpiries() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                let books = try await Books(connection)
                try await books.apply(
                    day: 0,
                    [
                        Books.create(1),
                        try Books.order(1, 1, term: "P1Y", renews: true, ["ov": 100, "ev": 5]),
                        try Books.order(1, 2, term: "P1M", ["ov": 1]),
                        try Books.order(1, 3, term: "P1Y", renews: true, ["ev": 2]),
                    ])
                _ = try await CatalogStore(connection: connection).apply(
                    TestCatalog.file(types: #""ov", {"certificateType": "ev", "until": "2061-03-10"}"#), dryRun: false)
                let filter = ReportFilter(from: CalendarDate("2060-04-01"), to: CalendarDate("2061-03-10"))
                let rows = try await Self.rows(.upcoming, filter, on: connection).map { row in
                    ["date", "invoiceMonth", "state", "action", "certificateType", "quantity", "cost", "reason"]
                        .map { row[$0] ?? "-" }.joined(separator: " ")
                }
                #expect(
                    rows == [
                        "2060-04-10 - expires expiry - - - Auto-renewal is off.",
                        "2061-03-10 2061-03 expected renewal ov 100 1990000 -",
                        "2061-03-10 - dropped renewal ev 5 - The certificate type is no longer sold.",
                        "2061-03-10 - expires expiry - - - No certificates were left to renew.",
                        "2061-03-10 - dropped renewal ev 2 - The certificate type is no longer sold.",
                    ])
            }
        }
    }

    @Test("Transactions can be asked for by the day on which they were booked")
    func byBooking() async throws {
        try await withBooks { connection in
            let day = CalendarDate("2060-03-11")
            let booked = try await Self.rows(
                .transactions, ReportFilter(from: day, to: day, isByBooking: true), on: connection)
            let count = try await connection.query(
                Statement("SELECT count(*) FROM transactions WHERE booked_on = '2060-03-11'"))
            #expect(try Int64(booked.count) == count.first?.int64(0) && !booked.isEmpty)
            #expect(booked.allSatisfy { $0["bookedOn"] == "2060-03-11" })
        }
    }

    @Test("A partner, a reseller and a customer that there isn't are named")
    func unknownNames() async throws {
        try await withBooks { connection async throws in
            func unknown(_ filter: ReportFilter) async throws -> [String] {
                try await Report(.invoices, filter).unknownNames(on: connection)
            }
            #expect(try await unknown(ReportFilter()).isEmpty)
            let known = ReportFilter(customer: Books.customer(1), reseller: "east", partner: "acme")
            #expect(try await unknown(known).isEmpty)
            let strange = ReportFilter(customer: CustomerID(high: 1, low: 2), reseller: "nosuch", partner: "nosuch")
            #expect(
                try await unknown(strange) == [
                    "There is no customer 00000000-0000-0001-0000-000000000002.",
                    "There is no reseller 'nosuch' of the partner 'nosuch'.", "There is no partner 'nosuch'.",
                ])
            #expect(
                try await unknown(ReportFilter(reseller: "east", partner: "nordwind")) == [
                    "There is no reseller 'east' of the partner 'nordwind'."
                ])
        }
    }

    @Test("A report hands its rows on in chunks of the size asked for", arguments: [1, 7, 1000])
    func streaming(chunk: Int) async throws {
        try await withBooks { connection in
            var sizes: [Int] = []
            var all: [[ReportValue]] = []
            try await Report(.transactions).read(on: connection, now: Books.beginning, chunk: chunk) { rows in
                sizes.append(rows.count)
                all += rows
            }
            let count = try await connection.query(Statement("SELECT count(*) FROM transactions"))
            #expect(try Int64(all.count) == count.first?.int64(0))
            #expect(Set(all).count == all.count)
            #expect(sizes.dropLast().allSatisfy { $0 == chunk })
            #expect(all.allSatisfy { $0.count == ReportKind.transactions.columns.count })
        }
    }

    // MARK: Rows

    private static let usd: Currency = {
        guard let currency = Currency("USD") else { preconditionFailure("USD is a currency") }
        return currency
    }()

    private func withBooks(_ body: (Connection) async throws -> Void) async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                try await Books(connection).writeHistory()
                try await body(connection)
            }
        }
    }

    /// A report's rows as programs get them, by column; absent values have no member.
    private static func rows(
        _ kind: ReportKind, _ filter: ReportFilter, on connection: Connection
    ) async throws -> [[String: String]] {
        var all: [[String: String]] = []
        try await Report(kind, filter).read(on: connection, now: Books.time(day: 0)) { rows in
            for values in rows {
                #expect(values.count == kind.columns.count)
                var row: [String: String] = [:]
                for (column, value) in zip(kind.columns, values) {
                    switch value {
                    case .absent: break
                    case .text(let text): row[column.name] = text
                    case .integer(let number): row[column.name] = String(number)
                    case .bool(let bool): row[column.name] = String(bool)
                    case .money(let money): row[column.name] = String(money.amount)
                    }
                }
                all.append(row)
            }
        }
        return all
    }
}

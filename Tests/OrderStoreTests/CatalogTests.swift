// Applying a catalog file: what has passed never changes, what is to come can.

import Foundation
import OrderStore
import Orders
import PostgreSQL
import Testing

@Suite("Applying a catalog") struct CatalogTests {
    /// A file with the partner acme and the product pki.
    struct File {
        var zone = "UTC"
        /// More partners, as JSON.
        var partners: [String] = []
        var types = [#""ov""#, #""ev""#]
        var terms = [#""P1Y""#, #""P1M""#]
        var prices = [price("ov", 100, "2020-01-01"), price("ev", 500, "2020-01-01")]

        static func price(_ type: String, _ amount: Int, _ from: String, until: String? = nil, partner: String? = nil)
            -> String
        {
            """
            {"product": "pki", "certificateType": "\(type)", "term": "P1M", "currency": "USD", "unitPrice": \(amount),
             "effectiveFrom": "\(from)"\(until.map { #", "until": "\#($0)""# } ?? "")\
            \(partner.map { #", "partner": "\#($0)""# } ?? "")}
            """
        }

        func parsed() throws -> CatalogFile {
            try CatalogFile(
                json: Data(
                    """
                    {"partners": [{"id": "acme", "name": "Acme", "currency": "USD", "billingZone": "\(zone)",
                                   "publishers": ["acme-user"]}\(partners.map { ", \($0)" }.joined())],
                     "products": [{"id": "pki", "name": "PKI", "certificateTypes": [\(types.joined(separator: ", "))],
                                   "terms": [\(terms.joined(separator: ", "))]}],
                     "prices": [\(prices.joined(separator: ", "))]}
                    """.utf8))
        }
    }

    /// A database with the schema and the catalog of a file.
    struct Stored {
        let connection: Connection
        let now: Timestamp
        /// By the database's clock, in UTC.
        let today: CalendarDate

        @discardableResult
        func apply(_ file: File, dryRun: Bool = false) async throws -> [String] {
            let application = try await CatalogStore(connection: connection).apply(file.parsed(), dryRun: dryRun)
            return application.changes.map(\.description) + application.affectedRenewals.map { "! \($0)" }
        }

        func refusal(_ file: File) async throws -> String? {
            do {
                try await apply(file)
                return nil
            } catch let error as StoreError where error.code == .invalidCatalog {
                return error.description
            }
        }

        func load() async throws -> Catalog { try await CatalogStore(connection: connection).load() }

        func day(_ offset: Int) -> String { today.adding(days: offset).description }
    }

    private func withStored(_ file: File? = File(), _ body: (Stored) async throws -> Void) async throws {
        try await TestDatabase.withEmpty { database in
            try await database.withConnection { connection in
                _ = try await Migrator(migrations: OrderMigrations.all).apply(on: connection)
                let now = try #require(try await connection.query(Statement("SELECT now()")).first?.timestamptz(0))
                let today = try #require(BillingZone("UTC")).date(of: Timestamp(microseconds: now))
                let stored = Stored(connection: connection, now: Timestamp(microseconds: now), today: today)
                if let file { try await stored.apply(file) }
                try await body(stored)
            }
        }
    }

    @Test("The first file holds as it is written, since ever and for good; again it changes nothing")
    func firstApply() async throws {
        try await withStored(nil) { stored in
            var file = File()
            file.types = [#""ov""#, #"{"certificateType": "ev", "from": "2021-05-01", "until": "2022-05-01"}"#]
            #expect(try await !stored.apply(file, dryRun: true).isEmpty)
            #expect(try await stored.load().products.isEmpty, "a dry run changes nothing")
            #expect(
                try await stored.apply(file) == [
                    "+ partner acme (Acme, USD, UTC)", "+ publisher acme-user for partner acme", "+ product pki (PKI)",
                    "+ certificate type ev of pki: sold from 2021-05-01 until 2022-05-01",
                    "+ certificate type ov of pki",
                    "+ term P1M of pki", "+ term P1Y of pki",
                    "+ price 100 of pki ov P1M in USD for everyone from 2020-01-01",
                    "+ price 500 of pki ev P1M in USD for everyone from 2020-01-01",
                ])
            let product = try #require(try await stored.load().products["pki"])
            #expect(product.certificateTypes["ov"] == [.always])
            #expect(product.certificateTypes["ev"]?.map(\.until) == [CalendarDate("2022-05-01")])
            #expect(try await stored.apply(file) == [])
        }
    }

    @Test("A type that the file no longer names is sold to the end of today, and can be sold again")
    func typeTakenOut() async throws {
        try await withStored { stored in
            var file = File()
            file.types.removeLast()
            file.prices.removeLast()
            #expect(
                try await stored.apply(file) == [
                    "- certificate type ev of pki: sold until \(stored.day(1))",
                    "- price 500 of pki ev P1M in USD for everyone from 2020-01-01: in force until \(stored.day(1))",
                ])
            #expect(try await stored.apply(file) == [], "again it changes nothing")
            var product = try #require(try await stored.load().products["pki"])
            #expect(product.sells("ev", on: stored.today) && !product.sells("ev", on: stored.today.adding(days: 1)))
            file.types = File().types
            #expect(try await stored.apply(file) == ["~ certificate type ev of pki"])
            product = try #require(try await stored.load().products["pki"])
            #expect(product.certificateTypes["ev"] == [.always])
        }
    }

    @Test("A price that the file no longer names is in force to the end of today; one still to come is withdrawn")
    func priceTakenOut() async throws {
        try await withStored { stored in
            var file = File()
            file.prices.append(File.price("ov", 120, stored.day(30)))
            try await stored.apply(file)
            file.prices.removeFirst()
            file.prices.removeLast()
            #expect(
                try await stored.apply(file) == [
                    "- price 120 of pki ov P1M in USD for everyone from \(stored.day(30)): withdrawn",
                    "- price 100 of pki ov P1M in USD for everyone from 2020-01-01: in force until \(stored.day(1))",
                ])
            #expect(try await stored.apply(file) == [])
            let catalog = try await stored.load()
            let partner = try #require(catalog.partners["acme"])
            let term = try #require(Term("P1M"))
            let prices = [0, 1, 30].map { days in
                catalog.unitPrice(
                    partner: partner, product: "pki", certificateType: "ov", term: term,
                    on: stored.today.adding(days: days))
            }
            #expect(prices == [100, nil, nil])
        }
    }

    @Test("What is still to come can be corrected: a price's amount and end, a type's end")
    func corrections() async throws {
        try await withStored { stored in
            var file = File()
            let coming = stored.day(30)
            file.prices.append(File.price("ov", 120, coming))
            file.types[1] = #"{"certificateType": "ev", "until": "\#(coming)"}"#
            var changes = try await stored.apply(file)
            #expect(
                changes == [
                    "- certificate type ev of pki: sold until \(coming)",
                    "+ price 120 of pki ov P1M in USD for everyone from \(coming)",
                ])
            file.prices[2] = File.price("ov", 125, coming, until: stored.day(60))
            file.types[1] = #"{"certificateType": "ev", "until": "\#(stored.day(40))"}"#
            changes = try await stored.apply(file)
            #expect(
                changes == [
                    "- certificate type ev of pki: sold until \(stored.day(40))",
                    "~ price 125 of pki ov P1M in USD for everyone from \(coming) until \(stored.day(60))",
                ])
            #expect(try await stored.apply(file) == [])
        }
    }

    @Test("What would change a day that has passed is refused, in the zone of any partner concerned")
    func past() async throws {
        try await withStored { stored in
            var refused: [File] = []
            for price in [
                File.price("ov", 90, stored.day(-1)), File.price("ov", 90, "2020-01-02", until: stored.day(5)),
                File.price("ov", 90, stored.day(-1), partner: "acme"),
            ] {
                refused.append(File())
                refused[refused.count - 1].prices.append(price)
            }
            // What is in force is neither edited nor ended in the past.
            for price in [
                File.price("ov", 90, "2020-01-01"), File.price("ov", 100, "2020-01-01", until: stored.day(-1)),
            ] {
                refused.append(File())
                refused[refused.count - 1].prices[0] = price
            }
            for dates in [#""from": "2024-01-01""#, #""until": "\#(stored.day(-1))""#] {
                refused.append(File())
                refused[refused.count - 1].types[1] = #"{"certificateType": "ev", \#(dates)}"#
                refused.append(File())
                refused[refused.count - 1].terms[1] = #"{"term": "P1M", \#(dates)}"#
            }
            for file in refused {
                let refusal = try await stored.refusal(file)
                #expect(refusal != nil, "\(file)")
                #expect(try await stored.apply(File()) == [], "nothing was changed")
            }
            // Today is allowed.
            var file = File()
            file.prices.append(File.price("ov", 90, stored.day(0)))
            file.types[1] = #"{"certificateType": "ev", "until": "\#(stored.day(0))"}"#
            #expect(try await stored.refusal(file) == nil)
        }
    }

    @Test("Today is each partner's own: what has begun in the east is refused, and the west doesn't wait for it")
    func zones() async throws {
        // It is never the same day in these two.
        for zone in ["Pacific/Kiritimati", "Pacific/Niue"] {
            try await withStored { stored in
                var file = File(zone: zone)
                try await stored.connection.execute(script: "UPDATE partners SET billing_zone = '\(zone)'")
                let local = try #require(BillingZone(zone)).date(of: stored.now)
                file.prices.append(File.price("ov", 90, local.description))
                #expect(try await stored.refusal(file) == nil, "\(zone)")
                file.prices.append(File.price("ov", 95, local.adding(days: -1).description))
                #expect(try await stored.refusal(file) != nil, "\(zone)")
            }
        }
    }

    @Test("The database itself refuses to change what has passed, whoever asks")
    func guards() async throws {
        try await withStored { stored in
            for statement in [
                "UPDATE prices SET unit_price = 1", "DELETE FROM prices",
                "UPDATE prices SET effective_until = '2021-01-01'", "UPDATE prices SET effective_from = '2019-01-01'",
                "DELETE FROM certificate_type_sales",
                "UPDATE certificate_type_sales SET effective_until = '2021-01-01'",
                "DELETE FROM term_sales", "UPDATE term_sales SET effective_from = '2021-01-01'",
            ] {
                await #expect(throws: PostgreSQLError.self, "\(statement)") {
                    _ = try await stored.connection.query(Statement(statement))
                }
            }
        }
    }

    @Test("The plan names the subscriptions that won't renew as they are: how many, of whom, and why")
    func affectedRenewals() async throws {
        try await withStored { stored in
            let books = try await Books(stored.connection)
            try await books.apply(
                day: 0,
                [
                    Books.create(1), Books.create(2), Books.create(3),
                    try Books.order(1, 1, term: "P1M", renews: true, ["ov": 2, "ev": 1]),
                    try Books.order(2, 2, term: "P1M", renews: true, ["ev": 1]),
                    try Books.order(2, 3, term: "P1M", renews: true, ["ov": 1]),
                    try Books.order(3, 4, term: "P1M", ["ev": 1]),
                ])
            var file = File()
            let end = try #require(CalendarDate("2060-04-10"))
            file.types[1] = #"{"certificateType": "ev", "until": "\#(end)"}"#
            let lines = try await stored.apply(file, dryRun: true)
            #expect(
                lines.last == """
                    ! 2 subscriptions of acme won't renew as they are on \(end), since ev of pki isn't sold: 2 customers \
                    \(Books.customer(1)), \(Books.customer(2))
                    """)
            file.types[1] = #"{"certificateType": "ev", "until": "\#(end.adding(days: 1))"}"#
            #expect(try await stored.apply(file).count == 1, "it is still sold on the day of the renewal")
            file.prices[0] = File.price("ov", 100, "2020-01-01", until: end.description)
            #expect(
                try await stored.apply(file).last?.hasPrefix(
                    "! 2 subscriptions of acme won't renew as they are on \(end), since ov of pki has no price") == true
            )
        }
    }

    @Test("The catalog that a file makes is the one that workers load once it is applied")
    func catalogOfFile() async throws {
        let file = try CatalogFile(
            json: Data(
                contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                    .appendingPathComponent("../../deploy/sample/catalog.json")))
        let dated = try TestCatalog.file(
            types: #""ov", {"certificateType": "ev", "from": "2030-01-01", "until": "2031-01-01"}, "#
                + #"{"certificateType": "ev", "from": "2031-01-01"}"#)
        for file in [file, dated] {
            try await TestDatabase.withEmpty { database in
                try await database.withConnection { connection in
                    _ = try await Migrator(migrations: OrderMigrations.all).apply(on: connection)
                    let store = CatalogStore(connection: connection)
                    _ = try await store.apply(file, dryRun: false)
                    let loaded = try await store.load()
                    let made = file.catalog
                    #expect(
                        made.products.mapValues(\.certificateTypes) == loaded.products.mapValues(\.certificateTypes))
                    #expect(made.products.mapValues(\.terms) == loaded.products.mapValues(\.terms))
                    #expect(made.partners.mapValues(\.publishers) == loaded.partners.mapValues(\.publishers))
                    #expect(made.partners.mapValues(\.resellers) == loaded.partners.mapValues(\.resellers))
                    #expect(made.partners.mapValues(\.zone.name) == loaded.partners.mapValues(\.zone.name))
                    for partner in loaded.partners.values {
                        for (product, type, term) in file.prices.map({ ($0.product, $0.certificateType, $0.term) }) {
                            for day in ["2019-12-31", "2024-01-01", "2031-06-01"].compactMap({ CalendarDate($0) }) {
                                func price(_ catalog: Catalog) -> Int64? {
                                    Term(term).flatMap {
                                        catalog.unitPrice(
                                            partner: partner, product: product, certificateType: type, term: $0, on: day
                                        )
                                    }
                                }
                                #expect(price(made) == price(loaded))
                            }
                        }
                    }
                }
            }
        }
    }

    @Test("A database of the release before keeps what is sold and what isn't")
    func migration() async throws {
        try await TestDatabase.withEmpty { database in
            try await database.withConnection { connection in
                _ = try await Migrator(migrations: Array(OrderMigrations.all.prefix(4))).apply(on: connection)
                try await connection.execute(
                    script: """
                        INSERT INTO partners VALUES ('acme', 'Acme', 'USD', 'UTC', 30);
                        INSERT INTO invoice_sequences VALUES ('acme');
                        INSERT INTO publishers VALUES ('acme-user', 'acme');
                        INSERT INTO products VALUES ('pki', 'PKI');
                        INSERT INTO product_certificate_types VALUES ('pki', 'ov', true), ('pki', 'ev', true), ('pki', 'old', false);
                        INSERT INTO product_terms VALUES ('pki', 'P1M', true), ('pki', 'P1Y', true), ('pki', 'P2Y', false);
                        INSERT INTO prices VALUES (NULL, 'pki', 'ov', 'P1M', 'USD', '2020-01-01', 100),
                                                  (NULL, 'pki', 'ev', 'P1M', 'USD', '2020-01-01', 500),
                                                  (NULL, 'pki', 'old', 'P2Y', 'USD', '2020-01-01', 900);
                        """)
                _ = try await Migrator(migrations: OrderMigrations.all).apply(on: connection)
                let store = CatalogStore(connection: connection)
                let product = try #require(try await store.load().products["pki"])
                #expect(product.certificateTypes == ["ov": [.always], "ev": [.always], "old": []])
                #expect(Set(product.terms.filter { !$0.value.isEmpty }.keys.map(\.description)) == ["P1M", "P1Y"])
                // The price of what is no longer sold had no end; the file doesn't name it.
                let changes = try await store.apply(File().parsed(), dryRun: true).changes
                #expect(changes.map(\.kind) == [.remove] && changes[0].subject.hasPrefix("price 900 of pki old"))
            }
        }
    }

    @Test("A partner whose zone this machine doesn't know keeps nobody else from being loaded or changed")
    func unknownZone() async throws {
        try await withStored { stored in
            let second =
                #"{"id": "bravo", "name": "Bravo", "currency": "USD", "billingZone": "Europe/Kiev", "publishers": ["b"]}"#
            try await stored.connection.execute(
                script: """
                    INSERT INTO partners VALUES ('bravo', 'Bravo', 'USD', 'Atlantis/Capital', 30);
                    INSERT INTO publishers VALUES ('b', 'bravo')
                    """)
            let catalog = try await stored.load()
            #expect(catalog.partners.keys.sorted() == ["acme"] && catalog.unusablePartners.keys.sorted() == ["bravo"])
            #expect(catalog.unusable("bravo")?.contains("Atlantis/Capital") == true)
            // The rest of a file is applied; the plan says what is wrong.
            var file = File()
            file.partners = [second.replacing("Europe/Kiev", with: "Atlantis/Capital")]
            file.prices.append(File.price("ov", 120, stored.day(30)))
            let store = CatalogStore(connection: stored.connection)
            let application = try await store.apply(file.parsed(), dryRun: false)
            #expect(application.changes.map(\.kind) == [.add])
            #expect(application.warnings.count == 1 && application.warnings[0].contains("bravo"))
            #expect(try file.parsed().unusablePartners.count == 1)
            // A new partner isn't taken with a zone that nobody could serve it by.
            file.partners.append(
                second.replacing("bravo", with: "cobalt").replacing(#"["b"]"#, with: #"["c"]"#).replacing(
                    "Europe/Kiev", with: "Mars/Base"))
            #expect(try await stored.refusal(file)?.contains("Mars/Base") == true)
        }
    }

    @Test("A zone can be renamed to one with the same rules, and to no other")
    func renamedZone() async throws {
        try await withStored(File(zone: "Europe/Kiev")) { stored in
            let changes = try await stored.apply(File(zone: "Europe/Kyiv"))
            #expect(
                changes == [
                    "~ partner acme: billing zone Europe/Kyiv, which has the rules of Europe/Kiev"
                ])
            #expect(try await stored.load().partners["acme"]?.zone.name == "Europe/Kyiv")
            #expect(try await stored.refusal(File(zone: "Europe/Berlin")) != nil)
        }
    }

    @Test("A partner or reseller that the file no longer names stays, and the plan says so")
    func stays() async throws {
        try await withStored { stored in
            try await stored.connection.execute(
                script: """
                    INSERT INTO partners VALUES ('bravo', 'Bravo', 'EUR', 'UTC', 30);
                    INSERT INTO resellers VALUES ('acme', 'east', 'East')
                    """)
            let application = try await CatalogStore(connection: stored.connection).apply(
                File().parsed(), dryRun: false)
            #expect(application.changes == [])
            #expect(application.warnings.count == 2)
            #expect(application.warnings.map { $0.prefix(13) } == ["partner bravo", "reseller east"])
        }
    }
}

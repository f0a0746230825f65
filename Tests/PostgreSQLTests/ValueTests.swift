// Every type goes to the server and back unchanged, and what can't be read is an error.

import PostgreSQL
import Testing

@Suite struct ValueTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        let parameter: Parameter
        /// The value as the server must have understood it.
        let sql: String
        let check: @Sendable (Row) throws -> Bool
        var testDescription: String { sql }

        init(_ parameter: Parameter, _ sql: String, _ check: @escaping @Sendable (Row) throws -> Bool) {
            self.parameter = parameter
            self.sql = sql
            self.check = check
        }
    }

    static let scalars = [
        Vector(.bool(true), "true") { try $0.bool(0) },
        Vector(.bool(false), "false") { try !$0.bool(0) },
        Vector(.int2(-32_768), "int2 '-32768'") { try $0.int32(0) == -32_768 },
        Vector(.int4(-2_147_483_648), "int4 '-2147483648'") { try $0.int32(0) == .min },
        Vector(.int4(77), "77") { try $0.int64(0) == 77 },
        Vector(.int8(.min), "int8 '-9223372036854775808'") { try $0.int64(0) == .min },
        Vector(.int8(.max), "int8 '9223372036854775807'") { try $0.int64(0) == .max },
        Vector(.double(-0.1), "float8 '-0.1'") { try $0.double(0) == -0.1 },
        Vector(.double(.infinity), "float8 'infinity'") { try $0.double(0) == .infinity },
        Vector(.text(""), "text ''") { try $0.text(0) == "" },
        Vector(.text("Zürich 🦉"), "text 'Zürich 🦉'") { try $0.text(0) == "Zürich 🦉" },
        Vector(.bytea([0, 1, 255]), "bytea '\\x0001ff'") { try $0.bytes(0) == [0, 1, 255] },
        Vector(.bytea([]), "bytea ''") { try $0.bytes(0) == [] },
        Vector(
            .uuid(high: 0x018f_4c2e_6a1c_7c3e, low: 0x9d55_0a4f_7f2f_9b10),
            "uuid '018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10'"
        ) { try $0.uuid(0) == (0x018f_4c2e_6a1c_7c3e, 0x9d55_0a4f_7f2f_9b10) },
        Vector(.date(0), "date '1970-01-01'") { try $0.date(0) == 0 },
        Vector(.date(19_782), "date '2024-02-29'") { try $0.date(0) == 19_782 },
        Vector(.date(-1), "date '1969-12-31'") { try $0.date(0) == -1 },
        Vector(.date(.max), "date 'infinity'") { try $0.date(0) == .max },
        Vector(.date(.min), "date '-infinity'") { try $0.date(0) == .min },
        Vector(.timestamptz(0), "timestamptz '1970-01-01 00:00Z'") { try $0.timestamptz(0) == 0 },
        Vector(.timestamptz(1_709_164_800_000_001), "timestamptz '2024-02-29 00:00:00.000001Z'") {
            try $0.timestamptz(0) == 1_709_164_800_000_001
        },
        Vector(.timestamptz(.max), "timestamptz 'infinity'") { try $0.timestamptz(0) == .max },
        Vector(.timestamptz(.min), "timestamptz '-infinity'") { try $0.timestamptz(0) == .min },
        Vector(.jsonb(#"{"a": [1, "é"]}"#), #"jsonb '{"a":[1,"é"]}'"#) { try $0.text(0) == #"{"a": [1, "é"]}"# },
    ]

    static let arrays = [
        Vector(.boolArray([true, nil]), "ARRAY[true, NULL]") { try !$0.isNull(0) },
        Vector(.int2Array([1, -1]), "ARRAY[1, -1]::int2[]") { try $0.int64Array(0) == [1, -1] },
        Vector(.int2Array([nil, 5]), "ARRAY[NULL, 5]::int2[]") { try $0.optionalInt64Array(0) == [nil, 5] },
        Vector(.int4Array([7]), "ARRAY[7]") { try $0.int64Array(0) == [7] },
        Vector(.int4Array([nil]), "ARRAY[NULL]::int4[]") { try $0.optionalInt64Array(0) == [nil] },
        Vector(.int8Array([.min, .max]), "ARRAY[-9223372036854775808, 9223372036854775807]::int8[]") {
            try $0.int64Array(0) == [.min, .max]
        },
        Vector(.int8Array([1, nil, 3]), "ARRAY[1, NULL, 3]::int8[]") {
            try $0.optionalInt64Array(0) == [1, nil, 3]
        },
        Vector(.int8Array([Int64]()), "'{}'::int8[]") { try $0.int64Array(0) == [] },
        Vector(.doubleArray([0.5, nil]), "ARRAY[0.5, NULL]::float8[]") { try !$0.isNull(0) },
        Vector(.doubleArray([0.25]), "ARRAY[0.25]::float8[]") { try !$0.isNull(0) },
        Vector(.textArray(["a", "", "Zürich"]), "ARRAY['a', '', 'Zürich']") {
            try $0.textArray(0) == ["a", "", "Zürich"]
        },
        Vector(.textArray(["NULL", nil, "{\",\\"]), #"ARRAY['NULL', NULL, '{",\']"#) {
            try $0.optionalTextArray(0) == ["NULL", nil, "{\",\\"]
        },
        Vector(.textArray([String]()), "'{}'::text[]") { try $0.textArray(0) == [] },
        Vector(.byteaArray([[], [255]]), #"ARRAY['', '\xff']::bytea[]"#) { try !$0.isNull(0) },
        Vector(.byteaArray([nil, [1]]), #"ARRAY[NULL, '\x01']::bytea[]"#) { try !$0.isNull(0) },
        Vector(.uuidArray([(1, 2)]), "ARRAY['00000000-0000-0001-0000-000000000002']::uuid[]") {
            try $0.uuidArray(0).elementsEqual([(1, 2)], by: ==)
        },
        Vector(.uuidArray([nil, (0, .max)]), "ARRAY[NULL, '00000000-0000-0000-ffff-ffffffffffff']::uuid[]") {
            let values = try $0.optionalUUIDArray(0) ?? []
            return values.count == 2 && values[0] == nil && values[1].map { $0 == (0, .max) } == true
        },
        Vector(.dateArray([0, 19_782]), "ARRAY['1970-01-01', '2024-02-29']::date[]") { try !$0.isNull(0) },
        Vector(.dateArray([nil, -1]), "ARRAY[NULL, '1969-12-31']::date[]") { try !$0.isNull(0) },
        Vector(.timestamptzArray([1]), "ARRAY['1970-01-01 00:00:00.000001Z']::timestamptz[]") { try !$0.isNull(0) },
        Vector(.timestamptzArray([nil, 0]), "ARRAY[NULL, '1970-01-01 00:00Z']::timestamptz[]") { try !$0.isNull(0) },
        Vector(.jsonbArray([#"{"a":1}"#]), #"ARRAY['{"a":1}']::jsonb[]"#) {
            try $0.textArray(0) == [#"{"a": 1}"#]
        },
        Vector(.jsonbArray([nil, "2"]), "ARRAY[NULL, '2']::jsonb[]") { try $0.optionalTextArray(0) == [nil, "2"] },
    ]

    @Test("The server understands a value as it was meant, and the value comes back", arguments: scalars + arrays)
    func roundTrip(_ vector: Vector) async throws {
        try await TestDatabase.withConnection { connection in
            let rows = try await connection.query(
                Statement("SELECT $1, $1 IS NOT DISTINCT FROM \(vector.sql) AS same", vector.parameter))
            let row = try #require(rows.first)
            #expect(try row.bool("same"))
            #expect(try vector.check(row))
        }
    }

    @Test("JSON text is kept as it was written, in an array too")
    func json() async throws {
        try await TestDatabase.withConnection { connection in
            let text = #"{"b":1,  "a":null}"#
            let rows = try await connection.query(
                Statement("SELECT $1, $2, $3", .json(text), .jsonArray([text, "[]"]), .jsonArray([nil, text])))
            let row = try #require(rows.first)
            #expect(try row.text(0) == text)
            #expect(try row.textArray(1) == [text, "[]"])
            #expect(try row.optionalTextArray(2) == [nil, text])
        }
    }

    static let nulls: [Parameter] = [
        .bool(nil), .int2(nil), .int4(nil), .int8(nil), .double(nil), .text(nil), .bytea(nil), .uuid(nil), .date(nil),
        .timestamptz(nil), .json(nil), .jsonb(nil),
    ]

    @Test("A null of each type is null, and reading it as a value is an error")
    func nulls() async throws {
        try await TestDatabase.withConnection { connection in
            for parameter in Self.nulls {
                let rows = try await connection.query(Statement("SELECT $1", parameter))
                let row = try #require(rows.first)
                #expect(try row.isNull(0))
                #expect(try row.optionalInt64(0) == nil)
                #expect(throws: PostgreSQLError.self) { try row.int64(0) }
            }
            let untyped = try await connection.query(Statement("SELECT $1::int8 IS NULL", .null))
            #expect(try untyped[0].bool(0))
        }
    }

    @Test(
        "Reading a column as what it isn't names the column and traps never",
        arguments: [
            { try _ = $0.int32("big") }, { try _ = $0.int64("word") }, { try _ = $0.text("big") },
            { try _ = $0.uuid("word") }, { try _ = $0.date("big") }, { try _ = $0.double("big") },
            { try _ = $0.bool("big") }, { try _ = $0.bytes("word") }, { try _ = $0.timestamptz("big") },
            { try _ = $0.int64Array("big") }, { try _ = $0.int64Array("square") }, { try _ = $0.textArray("holes") },
            { try _ = $0.int64("money") }, { try _ = $0.int64("missing") }, { try _ = $0.int64(99) },
            { try _ = $0.int64(.index(-1)) }, { try _ = $0.uuidArray("holes") },
        ] as [@Sendable (Row) throws -> Void])
    func mismatch(_ read: @Sendable (Row) throws -> Void) async throws {
        try await TestDatabase.withConnection { connection in
            let rows = try await connection.query(
                Statement(
                    """
                    SELECT 1::int8 AS big, 'w' AS word, ARRAY[[1,2],[3,4]] AS square, ARRAY['a', NULL] AS holes,
                           1.5 AS money
                    """
                ))
            let row = try #require(rows.first)
            let error = #expect(throws: PostgreSQLError.self) { try read(row) }
            #expect(error?.code == .decoding)
            #expect(error?.column != nil)
        }
    }

    @Test("Rows outlive their connection, and tell the count of what a command affected")
    func rows() async throws {
        var kept: Rows?
        try await TestDatabase.withSchema { connection, _ in
            try await connection.execute(script: "CREATE TABLE t (id int8)")
            let inserted = try await connection.query(
                Statement("INSERT INTO t SELECT unnest($1)", .int8Array(Array(1...1500))))
            #expect(inserted.affectedRows == 1500)
            #expect(inserted.commandTag == "INSERT 0 1500")
            #expect(inserted.isEmpty)
            kept = try await connection.query(Statement("SELECT id, 'x' AS mark FROM t ORDER BY id"))
        }
        let rows = try #require(kept)
        #expect(rows.columnNames == ["id", "mark"])
        #expect(try rows.map { row throws(PostgreSQLError) in try row.int64("id") } == Array(1...1500))
        let column = try rows.column("id")
        #expect(try rows[1499].int64(column) == 1500)
    }

    @Test("A timestamp too early for PostgreSQL is refused, not wrapped round")
    func timestampRange() async throws {
        try await TestDatabase.withConnection { connection in
            let error = try await databaseError {
                _ = try await connection.query(Statement("SELECT $1", .timestamptz(.min + 1)))
            }
            #expect(error.sqlState == "22008")
            #expect(error.isConnectionUsable && !error.isRetriable)
        }
    }
}

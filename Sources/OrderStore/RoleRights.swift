// What a database role may do with the tables, compared with what it needs.

public import PostgreSQL

/// What a database role is for.
public enum RolePurpose: String, Sendable, CaseIterable {
    /// It runs workers: it reads and writes rows of the books, and can neither change the tables nor take back what was
    /// booked. The catalog it only reads.
    case worker
    /// It reports, audits and looks: it reads everything and changes nothing.
    case reader
}

/// A right that a role lacks, or one that is wider than what it is for.
public struct RightsFault: Sendable, Hashable {
    public enum Kind: Sendable {
        case missing, tooWide
        /// It owns the tables or is a superuser, so that no right of its own limits it.
        case unlimited
    }

    public let kind: Kind
    /// What is wrong, in words that continue "the role".
    public let text: String
    /// The statement that mends it.
    public let mend: String
    /// Whether it is a right on the role itself, which ``RoleGrants`` gives or takes.
    let isOwn: Bool
}

/// The rights of roles.
public enum RoleRights {
    private static let written: [(table: String, privileges: [String])] = [
        ("customers", ["INSERT", "UPDATE"]), ("subscriptions", ["INSERT", "UPDATE"]),
        ("inventory", ["INSERT", "UPDATE"]), ("periods", ["INSERT"]), ("invoices", ["INSERT", "UPDATE"]),
        ("invoice_series", ["INSERT", "UPDATE"]), ("transactions", ["INSERT"]), ("inbox", ["INSERT"]),
        ("outbox", ["INSERT", "DELETE"]), ("quarantine", ["INSERT", "UPDATE", "DELETE"]),
        ("parked", ["INSERT", "UPDATE", "DELETE"]), ("topology", ["INSERT", "UPDATE"]), ("audits", ["INSERT"]),
        ("barriers", ["INSERT", "UPDATE"]), ("fences", ["INSERT", "DELETE"]), ("pauses", ["INSERT", "DELETE"]),
    ]
    private static let read = [
        "catalog_versions", "partners", "publishers", "resellers", "products", "product_certificate_types",
        "product_terms", "certificate_type_sales", "term_sales", "prices", "inbox_default", "granted_roles",
        "schema_migrations",
    ]
    private static let sequences = [
        "outbox_position_seq", "quarantine_position_seq", "parked_position_seq", "audits_audit_id_seq",
    ]
    /// What runs with the rights of the tables' owner. Everybody may call them at first, and they ask who does.
    private static let functions: [RolePurpose: [String]] = [
        .worker: [
            "missing_inbox_months(integer)", "make_inbox_month(date)", "drop_inbox_months(timestamptz)",
            "inbox_months_until()",
        ],
        .reader: ["inbox_months_until()"],
    ]

    /// Every table of the schema, but for the inbox's months: those are reached through the inbox.
    static let tables = written.map(\.table) + read

    private static func wanted(_ purpose: RolePurpose) -> [(table: String, privilege: String)] {
        tables.map { ($0, "SELECT") }
            + (purpose == .worker ? written.flatMap { entry in entry.privileges.map { (entry.table, $0) } } : [])
    }

    /// What a role lacks for its purpose, and what it may do beyond it.
    ///
    /// - Parameter role: a role that exists.
    /// - Throws: ``StoreError`` when the database can't be asked.
    public nonisolated(nonsending) static func faults(
        of role: String, as purpose: RolePurpose, on connection: Connection
    ) async throws(StoreError) -> [RightsFault] {
        let wanted = wanted(purpose)
        let statements = [
            Statement(name: "role", roleQuery, [.text(role), .textArray(tables)]),
            Statement(
                name: "rights on tables", tableQuery,
                [
                    .text(role), .textArray(tables + sequences), .textArray(wanted.map(\.table)),
                    .textArray(wanted.map(\.privilege)),
                ]),
            Statement(name: "rights beside tables", otherQuery, [.text(role), .textArray(functions[purpose] ?? [])]),
        ]
        return try await connection.run(statements, during: "looking at the rights of the role \(role)") { results in
            let general = try results[0].flatMap(readRole)
            if general.contains(where: { $0.kind == .unlimited }) { return general }
            return try general + results[2].map(readRight) + results[1].map(readRight)
        }
    }

    // MARK: Reading

    private static func readRole(_ row: Row) throws(PostgreSQLError) -> [RightsFault] {
        var column = ColumnReader(row)
        let (name, isSuperuser) = (try column.text(), try column.bool())
        let (owner, database) = (try column.optionalText(), try column.optionalText())
        let (attributes, memberships) = (try column.textArray(), try column.textArray())
        let ownRole =
            "give it a role of its own: CREATE ROLE … LOGIN PASSWORD '…', then order-worker migrate --grant-worker …"
        var faults: [RightsFault] = []
        func add(_ kind: RightsFault.Kind, _ text: String, _ mend: String) {
            faults.append(RightsFault(kind: kind, text: text, mend: mend, isOwn: false))
        }
        if isSuperuser { add(.unlimited, "is a superuser, whom nothing limits", ownRole) }
        if let owner {
            add(
                .unlimited,
                owner == name
                    ? "owns the tables: it may alter and drop them" : "may act as \(owner), who owns the tables",
                owner == name ? ownRole : "REVOKE \(owner) FROM \(name)")
        }
        guard faults.isEmpty else { return faults }
        if let database { add(.tooWide, "owns the database", "ALTER DATABASE \(database) OWNER TO …") }
        for attribute in attributes { add(.tooWide, "has \(attribute)", "ALTER ROLE \(name) NO\(attribute)") }
        for other in memberships { add(.tooWide, "is a member of \(other)", "REVOKE \(other) FROM \(name)") }
        return faults
    }

    private static func readRight(_ row: Row) throws(PostgreSQLError) -> RightsFault {
        var column = ColumnReader(row)
        let (name, isMissing, privileges) = (try column.text(), try column.bool(), try column.text())
        let (objects, kind, source) = (try column.text(), try column.text(), try column.text())
        let object = kind == "TABLE" ? objects : "the \(kind.lowercased()) \(objects)"
        if isMissing {
            return RightsFault(
                kind: .missing, text: "lacks \(privileges) on \(object)",
                mend: "GRANT \(privileges) ON \(kind) \(objects) TO \(name)", isOwn: true)
        }
        return RightsFault(
            kind: .tooWide,
            text: "has \(privileges) on \(object)\(source == name ? "" : " by way of \(source)")",
            mend: "REVOKE \(privileges) ON \(kind) \(objects) FROM \(source)", isOwn: source == name)
    }

    // MARK: Asking

    private static let roleQuery = """
        SELECT quote_ident(r.rolname), r.rolsuper,
               (SELECT quote_ident(pg_get_userbyid(c.relowner)) FROM pg_class AS c
                WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($2)
                  AND pg_has_role(r.oid, c.relowner, 'MEMBER')
                ORDER BY c.relowner <> r.oid LIMIT 1),
               (SELECT quote_ident(d.datname) FROM pg_database AS d
                WHERE d.datname = current_database() AND pg_has_role(r.oid, d.datdba, 'MEMBER')),
               array_remove(ARRAY[
                   CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
                   CASE WHEN r.rolreplication THEN 'REPLICATION' END,
                   CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END], NULL),
               ARRAY(SELECT p.rolname::text FROM pg_roles AS p
                     WHERE p.rolname IN ('pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
                                         'pg_execute_server_program', 'pg_maintain')
                       AND pg_has_role(r.oid, p.oid, 'MEMBER') ORDER BY 1)
        FROM pg_roles AS r WHERE r.rolname = $1
        """

    /// A row for all tables with the same fault: the role, whether the rights are missing, which, on what, and who has them
    /// by whom the role does. Of the inbox's months nothing is needed, and to read them does no harm.
    private static let tableQuery = """
        WITH tables AS (
            SELECT c.oid, c.relname::text AS name, c.relacl, c.relowner, i.inhrelid IS NOT NULL AS is_month,
                   CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
            FROM pg_class AS c
            LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid AND i.inhparent = to_regclass('public.inbox')
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'S')
              AND (c.relname = ANY ($2) OR i.inhrelid IS NOT NULL)),
        differences AS (
            SELECT r.oid AS role, r.rolname, t.*, p.privilege, p.place, w.relname IS NOT NULL AS is_missing
            FROM pg_roles AS r CROSS JOIN tables AS t
            CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
                WITH ORDINALITY AS p (privilege, place)
            LEFT JOIN unnest($3::text[], $4::text[]) AS w (relname, privilege)
                ON w.relname = t.name AND w.privilege = p.privilege
            WHERE r.rolname = $1 AND (w.relname IS NOT NULL) <> has_table_privilege(r.oid, t.oid, p.privilege)
              AND CASE t.kind WHEN 'SEQUENCE' THEN p.privilege = 'UPDATE'
                       ELSE NOT (t.is_month AND p.privilege = 'SELECT' AND w.relname IS NULL) END),
        by_source AS (
            SELECT d.name, d.kind, d.rolname, d.is_missing, g.grantee,
                   string_agg(d.privilege, ', ' ORDER BY d.place) AS privileges
            FROM differences AS d
            CROSS JOIN LATERAL (
                SELECT d.role AS grantee WHERE d.is_missing
                UNION
                SELECT a.grantee FROM aclexplode(d.relacl) AS a
                WHERE NOT d.is_missing AND a.privilege_type = d.privilege
                  AND (a.grantee = 0 OR pg_has_role(d.role, a.grantee, 'USAGE'))) AS g
            GROUP BY d.name, d.kind, d.rolname, d.is_missing, g.grantee)
        SELECT quote_ident(rolname), is_missing, privileges, string_agg(quote_ident(name), ', ' ORDER BY name), kind,
               CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
        FROM by_source
        GROUP BY rolname, is_missing, privileges, kind, grantee
        ORDER BY is_missing DESC, min(name)
        """

    private static let otherQuery = """
        SELECT quote_ident(r.rolname), o.is_missing, o.privilege, o.object, o.kind,
               CASE o.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o.grantee)) END
        FROM pg_roles AS r
        CROSS JOIN LATERAL (
            SELECT true, 'CONNECT', quote_ident(current_database()), 'DATABASE', r.oid
            WHERE NOT has_database_privilege(r.oid, current_database(), 'CONNECT')
            UNION ALL
            SELECT true, 'USAGE', 'public', 'SCHEMA', r.oid WHERE NOT has_schema_privilege(r.oid, 'public', 'USAGE')
            UNION ALL
            SELECT true, 'EXECUTE', f, 'FUNCTION', r.oid FROM unnest($2::text[]) AS f
            WHERE NOT has_function_privilege(r.oid, 'public.' || f, 'EXECUTE')
            UNION ALL
            SELECT false, 'CREATE', quote_ident(d.datname), 'DATABASE', a.grantee
            FROM pg_database AS d CROSS JOIN aclexplode(d.datacl) AS a
            WHERE d.datname = current_database() AND a.privilege_type = 'CREATE'
              AND (a.grantee = 0 OR pg_has_role(r.oid, a.grantee, 'USAGE'))
            UNION ALL
            SELECT false, 'CREATE', 'public', 'SCHEMA', a.grantee
            FROM pg_namespace AS n CROSS JOIN aclexplode(n.nspacl) AS a
            WHERE n.nspname = 'public' AND a.privilege_type = 'CREATE'
              AND (a.grantee = 0 OR pg_has_role(r.oid, a.grantee, 'USAGE'))
        ) AS o (is_missing, privilege, object, kind, grantee)
        WHERE r.rolname = $1
        ORDER BY o.is_missing DESC, o.kind, o.object
        """
}

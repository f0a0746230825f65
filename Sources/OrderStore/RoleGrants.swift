// Gives roles the rights that they are for, and remembers which.

public import PostgreSQL

/// The roles that have got a worker's or a reader's rights, in the table `granted_roles`.
public struct RoleGrants: Sendable {
    /// A role, and what was done about its rights.
    public struct Granted: Sendable {
        public let role: String
        public let purpose: RolePurpose
        /// How many rights were given or taken.
        public let changes: Int
        /// What is wider than the role's purpose and can't be taken from the role itself.
        public let remaining: [RightsFault]
    }

    private let connection: Connection

    public init(connection: Connection) {
        self.connection = connection
    }

    /// The connection's own role, and what it was given the rights for; nil where it was given none.
    ///
    /// - Throws: ``StoreError`` when the database can't be asked.
    public func ownRole() async throws(StoreError) -> (name: String, purpose: RolePurpose?) {
        let statement = Statement(
            """
            SELECT current_user::text, (SELECT purpose FROM granted_roles WHERE role_name = current_user)
            """)
        return try await connection.run([statement], during: "looking up the connection's role") { results in
            guard let row = results[0].first else { return ("", nil) }
            return (try row.text(0), try row.optionalText(1).flatMap(RolePurpose.init))
        }
    }

    /// Gives each of these roles, and each that was given them before, exactly the rights of its purpose. A role that
    /// doesn't exist any more is forgotten. All or nothing.
    ///
    /// - Throws: ``StoreError`` with the code `unsuitableRole` for a role that doesn't exist, or that nothing limits; any
    ///   other where the caller may not give rights.
    public func grant(_ roles: [(role: String, purpose: RolePurpose)]) async throws -> [Granted] {
        do {
            return try await connection.transaction { connection in
                try await grant(roles, on: connection)
            }
        } catch TransactionError.body(let refusal as StoreError, rollback: nil) {
            throw refusal
        }
    }

    private func grant(
        _ roles: [(role: String, purpose: RolePurpose)], on connection: Connection
    ) async throws -> [Granted] {
        let key = Int64(bitPattern: 0x6f77_2d72_6f6c_6573)  // "ow-roles"
        _ = try await connection.query(Statement("SELECT pg_advisory_xact_lock($1)", .int8(key)))
        // Who isn't the owner has nothing to give; where nothing was asked for, that is no fault.
        let mayGrant = try await connection.query(
            Statement("SELECT has_table_privilege('granted_roles', 'INSERT, DELETE')"))
        if roles.isEmpty, try mayGrant.first?.bool(0) != true { return [] }
        for (role, purpose) in roles {
            _ = try await connection.query(
                Statement(
                    """
                    INSERT INTO granted_roles (role_name, purpose) VALUES ($1, $2)
                    ON CONFLICT (role_name) DO UPDATE SET purpose = excluded.purpose
                    """, .text(role), .text(purpose.rawValue)))
        }
        let named = roles.map(\.role)
        _ = try await connection.query(
            Statement(
                """
                DELETE FROM granted_roles
                WHERE role_name <> ALL ($1) AND role_name NOT IN (SELECT rolname FROM pg_roles)
                """, .textArray(named)))
        let rows = try await connection.query(
            Statement(
                """
                SELECT role_name, purpose, role_name IN (SELECT rolname FROM pg_roles) FROM granted_roles
                ORDER BY purpose DESC, role_name
                """))
        var granted: [Granted] = []
        for row in rows {
            let role = try row.text(0)
            guard let purpose = RolePurpose(rawValue: try row.text(1)) else { continue }
            guard try row.bool(2) else {
                throw StoreError(
                    .unsuitableRole, during: "granting rights", detail: "there is no role '\(role)'",
                    advice: "Create it first, as one who may: CREATE ROLE … LOGIN PASSWORD '…'")
            }
            granted.append(try await grant(role, purpose, on: connection))
        }
        return granted
    }

    private func grant(
        _ role: String, _ purpose: RolePurpose, on connection: Connection
    ) async throws -> Granted {
        let faults = try await RoleRights.faults(of: role, as: purpose, on: connection)
        if let fault = faults.first(where: { $0.kind == .unlimited }) {
            throw StoreError(
                .unsuitableRole, during: "granting rights", detail: "the role '\(role)' \(fault.text)",
                advice: "Create another role for the \(purpose.rawValue), one that is nobody's member.")
        }
        let own = faults.filter(\.isOwn)
        for fault in own { try await connection.execute(script: fault.mend) }
        return Granted(
            role: role, purpose: purpose, changes: own.count, remaining: faults.filter { !$0.isOwn })
    }
}

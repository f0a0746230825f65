// The versions of the database schema, in their order.

public import PostgreSQL

/// The schema's migrations. A migration that was released is never edited: a change is a new one.
///
/// Each says which programs go on working with it (`oldestProgram`), so that workers can be replaced one by one: a change in
/// two steps, first what the old ones don't mind, later the rest, needs no standstill. Without it, only programs that have
/// the migration work with it, and older ones end in words.
public enum OrderMigrations {
    public static let all: [Migration] = [
        Migration(version: 1, name: "catalog", sql: text(PackageResources.m1_catalog_sql)),
        Migration(version: 2, name: "customers", sql: text(PackageResources.m2_customers_sql)),
        Migration(version: 3, name: "inbox and outbox", sql: text(PackageResources.m3_inbox_outbox_sql)),
        Migration(version: 4, name: "guards", sql: text(PackageResources.m4_guards_sql)),
        Migration(version: 5, name: "topology", sql: text(PackageResources.m5_topology_sql)),
        Migration(version: 6, name: "bookings", sql: text(PackageResources.m6_bookings_sql)),
        Migration(version: 7, name: "dated catalog", sql: text(PackageResources.m7_dated_catalog_sql)),
        Migration(version: 8, name: "inbox months", sql: text(PackageResources.m8_inbox_months_sql)),
        Migration(version: 9, name: "suspension", sql: text(PackageResources.m9_suspension_sql)),
        Migration(version: 10, name: "addresses", sql: text(PackageResources.m10_addresses_sql)),
        Migration(version: 11, name: "lanes", sql: text(PackageResources.m11_lanes_sql)),
        Migration(version: 12, name: "set guards", sql: text(PackageResources.m12_set_guards_sql)),
        Migration(version: 13, name: "barriers", sql: text(PackageResources.m13_barriers_sql)),
        Migration(version: 14, name: "audits", sql: text(PackageResources.m14_audits_sql)),
        Migration(version: 15, name: "operations", sql: text(PackageResources.m15_operations_sql)),
        Migration(version: 16, name: "roles", sql: text(PackageResources.m16_roles_sql), oldestProgram: 15),
        Migration(version: 17, name: "collation", sql: text(PackageResources.m17_collation_sql), oldestProgram: 15),
    ]

    /// The program's own: the schema's version that it was written for.
    static let program = all.map(\.version).max() ?? 0

    /// The latest migration that came with other business rules: what was decided before it was applied was decided by
    /// an earlier release's.
    static let rules = 10

    private static func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self)
    }
}

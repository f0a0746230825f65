// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "order-worker",
    products: [
        .executable(name: "order-worker", targets: ["order-worker"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(
            url: "https://github.com/apple/swift-configuration", from: "1.4.0",
            traits: []),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.5.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(
            name: "CRabbitMQ", pkgConfig: "librabbitmq", providers: [.apt(["librabbitmq-dev"])]),
        .target(name: "SocketExecutor", swiftSettings: settings),
        .target(
            name: "AMQP",
            dependencies: ["CRabbitMQ", "SocketExecutor", .product(name: "Logging", package: "swift-log")],
            swiftSettings: settings),
        .target(
            name: "PostgreSQL",
            dependencies: ["CLibPQ", "SocketExecutor", .product(name: "Logging", package: "swift-log")],
            swiftSettings: settings),
        .target(name: "Orders", swiftSettings: settings),
        .target(name: "OrderContract", dependencies: ["AMQP", "Orders"], swiftSettings: settings),
        .target(
            name: "OrderStore", dependencies: ["AMQP", "PostgreSQL", "Orders", "OrderContract"],
            resources: [
                .embedInCode("Migrations/m1_catalog.sql"),
                .embedInCode("Migrations/m2_customers.sql"),
                .embedInCode("Migrations/m3_inbox_outbox.sql"),
                .embedInCode("Migrations/m4_guards.sql"),
                .embedInCode("Migrations/m5_topology.sql"),
                .embedInCode("Migrations/m6_bookings.sql"),
                .embedInCode("Migrations/m7_dated_catalog.sql"),
                .embedInCode("Migrations/m8_inbox_months.sql"),
                .embedInCode("Migrations/m9_suspension.sql"),
                .embedInCode("Migrations/m10_addresses.sql"),
                .embedInCode("Migrations/m11_lanes.sql"),
                .embedInCode("Migrations/m12_set_guards.sql"),
                .embedInCode("Migrations/m13_barriers.sql"),
                .embedInCode("Migrations/m14_audits.sql"),
                .embedInCode("Migrations/m15_operations.sql"),
                .embedInCode("Migrations/m16_roles.sql"),
                .embedInCode("Migrations/m17_collation.sql"),
            ],
            swiftSettings: settings),
        .target(
            name: "OrderWorker",
            dependencies: [
                "AMQP", "PostgreSQL", "Orders", "OrderContract", "OrderStore",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: settings),
        .target(
            name: "Operations",
            dependencies: [
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "order-worker",
            dependencies: [
                "AMQP", "PostgreSQL", "Orders", "OrderContract", "OrderStore", "OrderWorker", "Operations",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "AMQPTests",
            dependencies: ["AMQP", "SocketExecutor", .product(name: "Logging", package: "swift-log")],
            swiftSettings: settings),
        .testTarget(
            name: "PostgreSQLTests",
            dependencies: ["PostgreSQL", "SocketExecutor", .product(name: "Logging", package: "swift-log")],
            swiftSettings: settings),
        // The executable model and the random histories that several tests play.
        .target(
            name: "OrdersSimulation", dependencies: ["Orders"], path: "Tests/OrdersSimulation", swiftSettings: settings),
        .testTarget(name: "OrdersTests", dependencies: ["Orders", "OrdersSimulation"], swiftSettings: settings),
        // What the decoder promises for any bytes, for its fuzzers and for the test that replays what they found.
        .target(
            name: "Promises", dependencies: ["CRabbitMQ", "AMQP", "Orders", "OrderContract"],
            path: "Tests/Fuzzing/Promises", swiftSettings: settings),
        .testTarget(
            name: "OrderContractTests", dependencies: ["OrderContract", "OrdersSimulation", "Promises"],
            exclude: ["Released"],
            swiftSettings: settings),
        .testTarget(
            name: "OrderStoreTests",
            dependencies: [
                "PostgreSQL", "Orders", "OrderContract", "OrderStore", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "OrderWorkerTests",
            dependencies: [
                "AMQP", "PostgreSQL", "Orders", "OrdersSimulation", "OrderContract", "OrderStore", "OrderWorker",
                .product(name: "Logging", package: "swift-log"),
            ],
            exclude: ["EarlierRelease"],
            swiftSettings: settings),
        .testTarget(
            name: "OperationsTests",
            dependencies: [
                "Operations",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "CommandLineTests",
            dependencies: [
                "order-worker", "AMQP", "Operations", "OrderContract", "OrderWorker",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
    ]
)

// The fuzzers have no main function but libFuzzer's, so they are built by deploy/fuzz/run alone.
if Context.environment["ORDER_WORKER_FUZZING"] != nil {
    package.targets += ["Body", "Properties"].map { input in
        .executableTarget(
            name: "fuzz-\(input.lowercased())", dependencies: ["Promises"], path: "Tests/Fuzzing/\(input)",
            swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])])
    }
}

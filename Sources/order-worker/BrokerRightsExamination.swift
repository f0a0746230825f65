// What the doctor looks at of the broker's accounts.

internal import AMQP
internal import OrderWorker

/// Compares what the broker's accounts may do with what they need.
struct BrokerRightsExamination {
    let virtualHost: String
    /// Whom this process connects as.
    let user: String
    /// What that account is for.
    let account: BrokerAccount
    /// The accounts that the catalog names as publishers.
    let publishers: Set<String>
    private static let powerfulTags: Set<String> = ["administrator", "policymaker", "impersonator"]

    /// - Parameter management: nil where the settings don't say where it is.
    func run(
        _ connection: TopologyConnection, _ management: BrokerManagement?, _ examination: inout Examination
    ) async {
        do {
            if let management, let accounts = try await management.accounts() {
                examine(accounts, &examination)
                return
            }
        } catch {
            examination.note("accounts", .remark("couldn't be seen: \(Failure(error).message)"))
        }
        await probe(connection, &examination)
    }

    /// By what the management API shows to an administrator.
    private func examine(_ accounts: [BrokerManagement.Account], _ examination: inout Examination) {
        var isFine = true
        for known in accounts {
            let name = known.permission.user
            let purpose: BrokerAccount =
                name == user ? account : (publishers.contains(name) ? .publisher : .other)
            // An administrator of the broker may do all of it anyway, and is one on purpose unless it works here.
            if purpose == .other, known.tags.contains("administrator") { continue }
            var excesses = known.permission.excesses(of: purpose)
            let tags = known.tags.intersection(Self.powerfulTags).sorted().joined(separator: ", ")
            if !tags.isEmpty, purpose != .other { excesses.append("is \(tags) of the broker") }
            let needed = BrokerPermission.needed(by: purpose, user: name)
            for excess in excesses {
                let text = "the account \(name) \(excess)"
                let mend =
                    tags.isEmpty || !excess.hasPrefix("is ") ? command(needed) : "rabbitmqctl set_user_tags \(name)"
                if purpose == .other {
                    // What it is for isn't known here.
                    examination.note("accounts", .remark("\(text); for a consumer: \(mend)"))
                } else {
                    isFine = false
                    examination.note("accounts", .wrong(text, mend: mend))
                }
            }
        }
        if isFine { examination.note("accounts", .fine("none of the worker's and the publishers' may do too much")) }
    }

    /// Commands about a queue that nobody has, which change nothing, but for which the broker checks the permissions.
    private func probe(_ connection: TopologyConnection, _ examination: inout Examination) async {
        let queue = BrokerPermission.nobodys
        var allowed: [String] = []
        func attempt(_ deed: String, _ command: () async throws(AMQPError) -> Void) async {
            do throws(AMQPError) {
                try await command()
            } catch {
                // What is allowed fails so, as the queue doesn't exist.
                if error.code != .notFound { return }
            }
            allowed.append(deed)
        }
        await attempt("configure") { () async throws(AMQPError) in _ = try await connection.deleteQueue(queue) }
        await attempt("write") { () async throws(AMQPError) in
            try await connection.unbind(exchange: queue, from: Topology.commands, routingKey: queue)
        }
        await attempt("read") { () async throws(AMQPError) in _ = try await connection.get(queue: queue) }
        for deed in allowed {
            examination.note(
                "accounts",
                .wrong(
                    "the account \(user) may \(deed) anybody's queue",
                    mend: command(BrokerPermission.needed(by: account, user: user))))
        }
        if allowed.isEmpty {
            examination.note(
                "accounts",
                .fine(
                    "\(user) may do nothing with others' queues; the other accounts only an administrator sees"
                        + " (RABBITMQ_MANAGEMENT_URL)"))
        }
    }

    private func command(_ permission: BrokerPermission) -> String {
        "rabbitmqctl set_permissions -p \(virtualHost) \(permission.user) "
            + "'\(permission.configure)' '\(permission.write)' '\(permission.read)'"
    }
}

// The rules of customer.create and customer.update.

import Orders
import Testing

@testable import OrdersSimulation

@Suite struct CustomerRulesTests {
    @Test("A partner-administered customer is created without domain pre-validation")
    func partnerAdministered() throws {
        var world = World()
        let event = world.send(.create(reseller: "north"), at: "2026-11-22T12:00:00Z")
        #expect(event.type == .customerCreated && event.sequence == 1)
        guard case .customer(let customer) = event.data else { throw Unexpected() }
        #expect(customer == world.customer)
        #expect(!customer.domainPrevalidation && customer.administratorEmail == nil)
        #expect(customer.partnerID == "acme" && customer.resellerID == "north" && customer.sequence == 1)
        #expect(customer.createdAt == .at("2026-11-22T12:00:00Z"))
    }

    @Test("A customer-administered customer is created with its first administrator")
    func customerAdministered() throws {
        var world = World()
        let event = world.send(
            .create(responsibility: .customerAdministered, email: "admin@example.com"), at: "2026-11-22T12:00:00Z")
        guard case .customer(let customer) = event.data else { throw Unexpected() }
        #expect(customer.domainPrevalidation && customer.administratorEmail == "admin@example.com")
    }

    @Test("A customer-administered customer without an admin e-mail is rejected")
    func emailRequired() {
        var world = World()
        let event = world.send(.create(responsibility: .customerAdministered), at: "2026-11-22T12:00:00Z")
        #expect(event.violations == ["customer_admin_email_required /customerAdminEmail"])
        #expect(event.sequence == 0 && world.customer == nil)
    }

    @Test("A partner-administered customer with an admin e-mail is rejected, not silently trimmed")
    func emailNotAllowed() {
        var world = World()
        let event = world.send(.create(email: "admin@example.com"), at: "2026-11-22T12:00:00Z")
        #expect(event.violations == ["customer_admin_email_not_allowed /customerAdminEmail"])
        #expect(world.customer == nil)
    }

    @Test("A customer is created once, and every violation of a command is listed")
    func allViolations() {
        var world = World.withCustomer()
        let event = world.send(.create(reseller: "east", email: "a@example.com"), at: "2026-11-22T12:00:00Z")
        #expect(
            event.violations == [
                "customer_exists /customerId", "reseller_unknown /resellerId",
                "customer_admin_email_not_allowed /customerAdminEmail",
            ])
        guard case .rejected(let rejection, let command, let type) = event.data else { return }
        #expect(rejection.code == .customerExists)
        #expect(type == "customer.create" && command.source == "test")
        #expect(rejection.violations.allSatisfy { !$0.message.contains("@") })
    }

    @Test("An update changes what it names and keeps the rest")
    func update() {
        var world = World()
        world.send(.create(reseller: "north"), at: "2026-11-22T12:00:00Z")
        let moved = Address(
            line1: "2 Side Street", line2: "Floor 3", line3: nil, city: "Bern", postalCode: "3000",
            stateOrProvince: "BE", country: "CH")
        func update(_ name: String?, _ address: Address?, _ reseller: UpdateCustomer.ResellerChange) -> Event {
            world.send(
                .updateCustomer(
                    UpdateCustomer(customerID: .first, companyName: name, address: address, reseller: reseller)),
                at: "2026-11-23T12:00:00Z")
        }
        #expect(update("Renamed", nil, .keep).type == .customerUpdated)
        #expect(world.customer?.companyName == "Renamed" && world.customer?.address == .sample)
        #expect(world.customer?.resellerID == "north")
        #expect(update(nil, moved, .set("south")).sequence == 3)
        #expect(world.customer?.companyName == "Renamed" && world.customer?.address == moved)
        #expect(world.customer?.resellerID == "south")
        #expect(update(nil, nil, .set("east")).violations == ["reseller_unknown /resellerId"])
        #expect(world.customer?.resellerID == "south")
        #expect(update(nil, nil, .clear).type == .customerUpdated)
        #expect(world.customer?.resellerID == nil)
    }

    @Test("An update corrects the administrator's e-mail address, and the event tells it")
    func administratorEmail() {
        var world = World()
        world.send(
            .create(responsibility: .customerAdministered, email: "admni@example.com"), at: "2026-11-22T12:00:00Z")
        let update = UpdateCustomer(
            customerID: .first, companyName: nil, address: nil, reseller: .keep, customerAdminEmail: "admin@example.com"
        )
        let event = world.send(.updateCustomer(update), at: "2026-11-23T12:00:00Z")
        guard case .customer(let told) = event.data else {
            Issue.record("\(event)")
            return
        }
        #expect(told.administratorEmail == "admin@example.com" && world.customer == told)
        var other = World.withCustomer()
        #expect(
            other.send(.updateCustomer(update), at: "2026-11-23T12:00:00Z").violations
                == ["customer_admin_email_not_allowed /customerAdminEmail"])
        #expect(other.customer?.administratorEmail == nil)
    }

    @Test("An address without what its country needs is refused, at creation and at each change; what was there stays")
    func addressByCountry() {
        func address(_ country: String, _ code: String?, _ state: String?) -> Address {
            Address(
                line1: "1", line2: nil, line3: nil, city: "C", postalCode: code, stateOrProvince: state,
                country: country)
        }
        let cases: [(Address, [String])] = [
            (address("IE", nil, nil), []), (address("XK", nil, nil), []), (address("HK", nil, "Kowloon"), []),
            (address("AE", nil, "Dubai"), []), (address("SG", "238880", nil), []), (address("DE", "10115", nil), []),
            (address("US", nil, nil), ["postal_code_required", "state_or_province_required"]),
            (address("DE", nil, "Berlin"), ["postal_code_required"]),
            (address("AE", "0", nil), ["state_or_province_required"]),
            (address("HK", "000000", "HK"), []),
        ]
        for (address, codes) in cases {
            let violations = codes.map {
                $0 == "postal_code_required" ? "\($0) /address/postalCode" : "\($0) /address/stateOrProvince"
            }
            var world = World()
            let create = CreateCustomer(
                customerID: .first, companyName: "E", address: address, resellerID: nil,
                administrativeResponsibility: .partnerAdministered, customerAdminEmail: nil)
            #expect(world.send(.createCustomer(create), at: "2026-11-22T12:00:00Z").violations == violations)
            world = .withCustomer()
            let update = UpdateCustomer(customerID: .first, companyName: nil, address: address, reseller: .keep)
            #expect(world.send(.updateCustomer(update), at: "2026-11-22T12:00:00Z").violations == violations)
            #expect(world.customer?.address == (codes.isEmpty ? address : .sample))
        }
    }

    @Test("Administrative responsibility never changes after creation, and nothing else of that command is done")
    func responsibilityImmutable() {
        var world = World.withCustomer()
        let event = world.send(
            .updateCustomer(
                UpdateCustomer(
                    customerID: .first, companyName: "Renamed", address: nil, reseller: .set("nobody"),
                    administrativeResponsibility: .customerAdministered)), at: "2026-11-23T12:00:00Z")
        #expect(
            event.violations == [
                "administrative_responsibility_immutable /administrativeResponsibility",
                "reseller_unknown /resellerId",
            ])
        #expect(world.customer?.companyName == "Example")
        #expect(world.customer?.administrativeResponsibility == .partnerAdministered)
    }

    @Test("A customer that doesn't exist or is another partner's is unknown alike, and its events don't count")
    func customerUnknown() {
        var world = World.withCustomer()
        let before = world.customer
        for (publisher, customer) in [("acme-app", CustomerID.second), ("bravo-app", .first)] {
            let event = world.send(
                .order(customer: customer), at: "2026-11-22T12:00:00Z", by: .user(publisher))
            #expect(event.violations == ["customer_unknown /customerId"])
            #expect(event.sequence == 0)
        }
        #expect(
            world.send(.create(), at: "2026-11-22T12:00:00Z", by: .user("bravo-app")).violations
                == ["customer_exists /customerId"])
        #expect(world.customer == before)
    }

    @Test(
        "Only a partner's publishers may publish for it",
        arguments: [
            Publisher.user("mallory"), .anonymous, .worker, .trusted(partner: "nobody"), .trusted(partner: nil),
        ])
    func publisherUnknown(_ publisher: Publisher) {
        var world = World.withCustomer()
        let event = world.send(.create(.second), at: "2026-11-22T12:00:00Z", by: publisher)
        #expect(event.violations == ["publisher_unknown "])
        #expect(world.send(.create(.second), at: "2026-11-22T12:00:00Z", by: .trusted(partner: "acme")).sequence == 1)
    }

    @Test("Only the worker itself may settle a customer")
    func settleIsTheWorkers() {
        var world = World.withCustomer()
        #expect(world.send(.settle(.first), at: "2026-11-22T12:00:00Z").violations == ["publisher_unknown "])
        #expect(
            world.send(.settle(.first), at: "2026-11-22T12:00:00Z", by: .worker).type == .customerSettled)
    }

    @Test("A customer's events are numbered from 1 without gaps, rejections included")
    func sequence() {
        var world = World.withCustomer()
        world.send(.order(), at: "2026-11-22T12:00:00Z")
        world.send(.order(), at: "2026-11-22T12:00:00Z")
        world.send(.suspend(), at: "2026-11-22T12:00:00Z")
        #expect(world.events.map(\.sequence) == Array(1...Int64(world.events.count)))
        #expect(Set(world.events.map(\.id)).count == world.events.count)
        #expect(world.customer?.sequence == Int64(world.events.count))
    }
}

/// An event of another kind than the test is about.
struct Unexpected: Error {}

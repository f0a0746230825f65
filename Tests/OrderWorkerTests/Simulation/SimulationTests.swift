// Lanes in a simulated world: nothing is lost, doubled or out of order, whatever fails, and everything moves again.

import Foundation
import Testing

@Suite struct SimulationTests {
    /// ORDER_WORKER_SIMULATION=SEEDS:COMMANDS plays another number; ORDER_WORKER_TEST_SEED another first seed.
    private static var size: (seeds: Int, commands: Int) {
        let parts = (ProcessInfo.processInfo.environment["ORDER_WORKER_SIMULATION"] ?? "").split(separator: ":")
        guard parts.count == 2, let seeds = Int(parts[0]), let commands = Int(parts[1]) else { return (1000, 100) }
        return (seeds, commands)
    }

    private static var firstSeed: UInt64 {
        ProcessInfo.processInfo.environment["ORDER_WORKER_TEST_SEED"].flatMap { UInt64($0) } ?? 1
    }

    /// ORDER_WORKER_SIMULATION_TRACE prints what happens, to look at one seed.
    private static var trace: ((String) -> Void)? {
        ProcessInfo.processInfo.environment["ORDER_WORKER_SIMULATION_TRACE"] == nil ? nil : { print($0) }
    }

    @Test("A thousand worlds of faults: nothing lost, nothing doubled, order kept, no healthy command dead-lettered")
    func worlds() async throws {
        let (seeds, commands) = Self.size
        let first = Self.firstSeed
        let began = ContinuousClock.now
        // In strands, as many as there are cores.
        let steps = try await withThrowingTaskGroup(of: Int.self) { group in
            let strands = max(1, ProcessInfo.processInfo.activeProcessorCount)
            for strand in 0..<strands {
                group.addTask {
                    var steps = 0
                    for index in stride(from: strand, to: seeds, by: strands) {
                        steps += try SimRun(seed: first + UInt64(index), commands: commands).play(trace: Self.trace)
                    }
                    return steps
                }
            }
            return try await group.reduce(0, +)
        }
        print("\(seeds) seeds of \(commands) commands, \(steps) steps, \(began.duration(to: .now))")
    }

    @Test("One seed is one run: it takes the same steps each time")
    func repeats() throws {
        let run = SimRun(seed: 42, commands: 100)
        #expect(try run.play() == run.play())
    }

    @Test("A world without faults needs one delivery for each command")
    func quiet() throws {
        var run = SimRun(seed: 7, commands: 200)
        run.faults = []
        _ = try run.play()
    }
}

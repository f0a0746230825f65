// The partitions are shared evenly, without a coordinator.

import OrderStore
import Testing

@testable import OrderWorker

@Suite struct FairShareTests {
    @Test(
        "Workers that follow their shares end with the same number of partitions, or one more",
        arguments: [1, 2, 3, 5, 8, 16, 31], [[2], [2, 2], [2, 2, 2], [1, 3], [4, 4, 4, 4]])
    func converges(partitions: Int, lanesOfWorkers: [Int]) throws {
        var random = SystemRandomNumberGenerator()
        let keys = lanesOfWorkers.map { count in
            (0..<count).map { FairShare.rankKey(lane: $0, random: &random) }
        }
        let lanes = keys.flatMap { $0 }.sorted()
        // All partitions begin in the hands of one lane, as after a deployment.
        var owner = [Int32?](repeating: lanes[0], count: partitions)
        for _ in 0..<3 {
            for lane in lanes.shuffled() {
                let view = OwnershipView(
                    lanes: lanes, owned: Set(owner.indices.filter { owner[$0] != nil }),
                    ownedHere: Set(owner.indices.filter { owner[$0] == lane }))
                let share = FairShare(rankKey: lane, partitions: partitions, view: view)
                for partition in share.release { owner[partition] = nil }
                for partition in share.take { owner[partition] = lane }
            }
        }
        #expect(owner.allSatisfy { $0 != nil })
        let perLane = lanes.map { lane in owner.count { $0 == lane } }
        #expect((perLane.max() ?? 0) - (perLane.min() ?? 0) <= 1)
        if Set(lanesOfWorkers).count == 1 {
            let perWorker = keys.map { keys in owner.count { owner in keys.contains { $0 == owner } } }
            #expect((perWorker.max() ?? 0) - (perWorker.min() ?? 0) <= 1)
        }
    }

    @Test("A lane that isn't seen by the server leaves everything as it is")
    func unseenLane() {
        let view = OwnershipView(lanes: [1, 2], owned: [0], ownedHere: [])
        let share = FairShare(rankKey: 3, partitions: 4, view: view)
        #expect(share.take.isEmpty && share.release.isEmpty)
    }

    @Test("Partitions beyond the configured number are handed back")
    func surplusPartitions() {
        let view = OwnershipView(lanes: [1], owned: [0, 1, 2, 3], ownedHere: [0, 1, 2, 3])
        #expect(FairShare(rankKey: 1, partitions: 2, view: view).release == [2, 3])
    }
}

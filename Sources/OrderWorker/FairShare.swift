// How many partitions a lane should own, so that all lanes have the same number or one more.

internal import OrderStore

/// What a lane should do about its partitions.
struct FairShare: Equatable {
    /// Free partitions to try to take, in this order.
    let take: [Int]
    /// Owned partitions to hand over.
    let release: [Int]

    /// Every lane computes the same shares from the same view, so that no lane has to tell another what to do: lanes are
    /// ranked by their keys, each gets the same number, and the first ones get one more where it doesn't come out even.
    ///
    /// - Parameters:
    ///   - rankKey: this lane's key.
    ///   - partitions: how many there are, numbered from 0.
    init(rankKey: Int32, partitions: Int, view: OwnershipView) {
        guard let rank = view.lanes.firstIndex(of: rankKey) else {
            take = []
            release = []
            return
        }
        let (even, rest) = partitions.quotientAndRemainder(dividingBy: view.lanes.count)
        let share = even + (rank < rest ? 1 : 0)
        let owned = view.ownedHere.sorted()
        // Partitions beyond the configured number are left over from a larger set-up: let go of them.
        let surplus = owned.filter { $0 >= partitions }
        let rightful = owned.filter { $0 < partitions }
        release = surplus + rightful.dropFirst(share)
        let free = (0..<partitions).filter { !view.owned.contains($0) }
        // Each lane begins at another place, so that two of them rarely reach for the same one.
        let start = free.isEmpty ? 0 : rank * free.count / view.lanes.count
        take = Array((free[start...] + free[..<start]).prefix(max(0, share - rightful.count)))
    }

    /// A rank key for a lane: the lanes' numbers come first in the order, so that where the shares don't come out even
    /// it is different workers that have one more, not one worker twice.
    static func rankKey(lane: Int, random: inout some RandomNumberGenerator) -> Int32 {
        Int32(truncatingIfNeeded: min(lane, 127) << 24) | Int32.random(in: 0..<(1 << 24), using: &random)
    }
}

// The queue behind what waits to be sent and answered.

import Testing

@testable import AMQP

struct FIFOTests {
    @Test("Whatever is appended and taken, it behaves as an array does", arguments: 1...5)
    func behavesAsArray(seed: Int) {
        var state = UInt64(seed)
        var queue = FIFO<Int>()
        var model: [Int] = []
        for step in 0..<5000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            // Phases of growth and of shrinking, so that it is both long and empty at times.
            let grows = (state >> 33) % 10 < (step / 500 % 2 == 0 ? 7 : 3)
            if grows {
                queue.append(step)
                model.append(step)
            } else {
                let taken = queue.popFirst()
                #expect(taken == (model.isEmpty ? nil : model.removeFirst()), "seed \(seed), step \(step)")
            }
            #expect(queue.count == model.count && queue.first == model.first && queue.isEmpty == model.isEmpty)
            #expect(queue.minimum { $0 } == model.min())
        }
        #expect(queue.takeAll() == model)
        #expect(queue.isEmpty && queue.popFirst() == nil)
    }
}

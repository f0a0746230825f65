// libFuzzer's entry point for the body of messages.

import Promises

/// Called by libFuzzer with one input after the other. Stops the process at one that breaks a promise.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzBody(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: start, count: count)
    if let promise = DecoderPromises.broken(byBody: input) { fatalError(promise) }
    return 0
}

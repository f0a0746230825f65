// The first half of a batch's database transaction: begin it, load what the batch touches, decide.

internal import OrderStore
internal import Orders

/// Opens a batch's transaction and decides the batch in it. To commit it or to roll it back is left to the caller.
struct BatchTransaction: Sendable {
    let store: BatchStore
    let admission: Admission
    /// How many partitions there are; nil where that isn't known.
    var partitionCount: Int?

    /// Begins the transaction, loads what the batch touches and decides it.
    ///
    /// - Parameters:
    ///   - catalog: the latest that is known.
    ///   - identifiers: where the ids of what is made come from.
    /// - Returns: what was decided, and by which catalog: a later one than `catalog` where that was replaced meanwhile.
    /// - Throws: what the database refused, or ``StoreError/stateMissing(_:)``; the transaction may still be open.
    func decide(
        _ batch: Batch, catalog: Catalog, now: Timestamp, identifiers: IdentifierSource = IdentifierSource()
    ) async throws(StoreError) -> (decided: DecidedBatch, catalog: Catalog) {
        var catalog = catalog
        let horizon = admission.horizon(of: batch, now: now)
        var needed = MissingState()
        while true {
            let request = batch.request(admission, catalog: catalog, dueBy: horizon)
            let loading = ContinuousClock.now
            let loaded = try await store.begin(request, with: needed)
            LaneMetrics.stage(.load, since: loading)
            if loaded.catalogVersion != catalog.version {
                try await store.rollback()
                do {
                    catalog = try await CatalogStore(connection: store.connection).load()
                } catch {
                    // No command's fault, so none may be refused for it.
                    throw error.losingSession()
                }
                continue
            }
            let deciding = ContinuousClock.now
            let decided = batch.decide(
                loaded, admission, catalog: catalog, now: now, partitionCount: partitionCount, identifiers: identifiers)
            LaneMetrics.stage(.decide, since: deciding)
            let missing = decided.changes.missing
            if missing.isEmpty { return (decided, catalog) }
            // An invoice is opened and closed within the batch, as when renewals catch up over a month's end: the series
            // of its number has to be locked before, and the lines of one that didn't seem due have to be loaded.
            guard !missing.isSubset(of: needed) else { throw .stateMissing(missing) }
            needed.formUnion(missing)
            try await store.rollback()
        }
    }
}

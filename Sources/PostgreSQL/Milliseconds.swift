// Durations as PostgreSQL's settings take them.

extension Duration {
    /// Whole milliseconds from 1 to the largest that a setting holds (24 days), since 0 would mean no limit.
    var settingMilliseconds: Int64 {
        let seconds = min(components.seconds, 2_000_000)
        return max(1, seconds * 1000 + components.attoseconds / 1_000_000_000_000_000)
    }
}

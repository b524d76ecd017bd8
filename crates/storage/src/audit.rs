//! Level 1. What a check of stored data tells to whoever asked for it.

/// Takes findings and progress. Checks go on after a finding wherever they can.
pub trait Audit: Send {
    /// Something is wrong: a sentence that names the place.
    fn found(&mut self, finding: String);
    /// So many more records, rows, versions or entries were looked at.
    fn looked_at(&mut self, count: u64);
}

/// Keeps the first finding; for those who only ask whether there is one.
#[derive(Default)]
pub struct FirstFinding(pub Option<String>);

impl Audit for FirstFinding {
    fn found(&mut self, finding: String) {
        self.0.get_or_insert(finding);
    }
    fn looked_at(&mut self, _count: u64) {}
}

//! A client that does not read. Alone in its process, because it looks at the process's memory.

mod support;

use std::time::{Duration, Instant};
use support::raw::{Raw, query};
use support::{Node, connect, run, value};

#[test]
fn a_client_that_does_not_read_takes_no_memory() {
    let node = Node::start(&[]);
    let mut slow = Raw::login(node.port());
    slow.send(&[query("SELECT repeat('x', 1000) FROM generate_series(1, 100000000)")]);
    run(async {
        let client = connect(&node.config()).await;
        let before = resident_bytes();
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            assert_eq!(value(&client, "SELECT 1").await, "1", "others are served");
        }
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes for a client that does not read");
    });
    // It gets its rows when it reads, and ends when it leaves.
    assert_eq!(slow.next().map(|m| m.0), Some('T'));
    assert_eq!(slow.next().map(|m| m.1.len()), Some(2 + 4 + 1000));
}

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4096
}

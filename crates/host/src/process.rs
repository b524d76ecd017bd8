//! What the operating system allows this process: open files, memory, huge pages.

use std::path::Path;

/// Raises the soft limit of open files to the hard one; the limit that now holds.
pub fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is valid for both calls; a failed call changes nothing.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return 0;
        }
        let before = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if libc::setrlimit(libc::RLIMIT_NOFILE, &limit) != 0 {
            return before;
        }
    }
    limit.rlim_cur
}

/// Transparent huge pages off for this process: they turn mostly empty arenas of the allocator into resident memory.
pub fn disable_huge_pages() {
    // SAFETY: takes plain numbers. A kernel that does not know it says so, and nothing is lost.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
}

/// Bytes of memory this process may use: the machine's, or its control group's if that is less. None where the system
/// does not tell.
pub fn memory_bytes() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| parse_meminfo(&text));
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(Path::new(path)).ok())
        .find_map(|text| text.trim().parse::<u64>().ok());
    match (machine, group) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (machine, group) => machine.or(group),
    }
}

fn parse_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

/// Cores that this process may run on.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn the_machines_memory_is_read() {
    assert_eq!(parse_meminfo("MemTotal:       24683520 kB\nMemFree: 1 kB\n"), Some(24_683_520 << 10));
    assert_eq!(parse_meminfo("nothing"), None);
}

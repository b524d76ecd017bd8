//! Level 8. A disk in memory, with what a power cut keeps of it.
//!
//! ```text
//! what the process sees      every write, every name
//! durable                    what was written before the last sync of the file; names before the last sync of the folder
//! after a power cut          durable, and of what came later any sectors of the writes, and the first few name changes
//! ```
//!
//! I1  A sync that answered Ok made durable what was written before it. One that failed has lost it, whatever later ones
//!     say (`traps.md`: fsync_failed_then_ok), although it can still be read.
//! I2  Without power nothing changes.

use crate::dice::Dice;
use crate::power::Power;
use crate::trace::{Trace, digest};
use host::files::FileLock;
use host::{File, Files};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Written and synced behind what is to rot.
const SYNCS_BEHIND_ROT: usize = 8;
/// What a disk writes as one.
const SECTOR: usize = 512;

/// Faults that can be set while the node runs.
#[derive(Clone, Debug, Default)]
pub struct DiskFaults {
    /// Bytes that all files together may take.
    pub capacity: Option<u64>,
    /// The sync and the write, counted from now, that fail.
    pub sync_fails_in: Option<u64>,
    pub write_fails_in: Option<u64>,
    /// One of these has failed.
    pub has_struck: bool,
    /// Bounds of what a write and sync takes.
    pub latency: (Duration, Duration),
}

#[derive(Clone)]
pub struct Disk {
    state: Arc<Mutex<State>>,
    power: Power,
    trace: Trace,
}

struct State {
    files: BTreeMap<u64, Content>,
    next: u64,
    folders: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names that no folder sync has made durable, in order.
    changes: Vec<(PathBuf, Change)>,
    faults: DiskFaults,
    dice: Dice,
}

enum Change {
    Link(PathBuf, u64),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Default)]
struct Content {
    /// As the process sees it.
    bytes: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
    /// Where each sync so far had written: what is to rot is old.
    synced: Vec<Vec<(usize, usize)>>,
}

/// A flipped bit.
#[derive(Clone, Debug)]
pub struct Rot {
    path: PathBuf,
    file: u64,
    offset: usize,
    bit: u8,
}

fn apply(names: &mut BTreeMap<PathBuf, u64>, change: &Change) {
    match change {
        Change::Link(path, file) => _ = names.insert(path.clone(), *file),
        Change::Unlink(path) => _ = names.remove(path),
        Change::Rename(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(written);
}

impl fmt::Display for Rot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bit {:#x} of byte {} of {}", self.bit, self.offset, self.path.display())
    }
}

impl Content {
    /// The power is gone: some sectors of what was under way are there.
    fn crash(&mut self, dice: &mut Dice) {
        // All, none, or any.
        let share = dice.pick(&[0, 100, 50, 50, 90, 10]).copied().unwrap_or(50);
        for (offset, written) in self.unsynced.drain(..) {
            let mut at = 0;
            while at < written.len() {
                let end = ((offset + at) / SECTOR * SECTOR + SECTOR - offset).min(written.len());
                if dice.percent(share) {
                    put(&mut self.durable, offset + at, &written[at..end]);
                }
                at = end;
            }
        }
        self.bytes = self.durable.clone();
    }

    fn sync(&mut self) {
        let mut places = Vec::new();
        for (offset, written) in self.unsynced.drain(..) {
            put(&mut self.durable, offset, &written);
            places.push((offset, written.len()));
        }
        if !places.is_empty() {
            self.synced.push(places);
        }
    }
}

impl Disk {
    pub fn new(dice: Dice, power: Power, trace: Trace) -> Disk {
        let state = State {
            files: BTreeMap::new(),
            next: 1,
            folders: BTreeSet::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            faults: DiskFaults::default(),
            dice,
        };
        Disk { state: Arc::new(Mutex::new(state)), power, trace }
    }

    /// Changes the faults in force.
    pub fn set_faults(&self, change: impl FnOnce(&mut DiskFaults)) {
        change(&mut self.state.lock().faults);
    }

    /// Whether a write or a sync has failed in this life.
    pub fn has_struck(&self) -> bool {
        self.state.lock().faults.has_struck
    }

    pub fn used_bytes(&self) -> u64 {
        self.state.lock().used()
    }

    /// What a power cut leaves is what there is from now on.
    pub fn crash(&self) {
        let state = &mut *self.state.lock();
        let kept = state.dice.index(state.changes.len() + 1);
        for (_, change) in state.changes.drain(..).take(kept) {
            apply(&mut state.durable_names, &change);
        }
        state.names = state.durable_names.clone();
        let named: BTreeSet<u64> = state.names.values().copied().collect();
        state.files.retain(|file, _| named.contains(file));
        for content in state.files.values_mut() {
            content.crash(&mut state.dice);
        }
        state.faults = DiskFaults::default();
    }

    /// A process that is killed leaves all it wrote, but the system has it in memory only.
    pub fn kill(&self) {
        self.state.lock().faults = DiskFaults::default();
    }

    /// Flips a bit of what was made durable some writes and syncs ago: that it counted can be told from what came later.
    pub fn rot(&self, dice: &mut Dice) -> Option<Rot> {
        let state = &mut *self.state.lock();
        let mut places = Vec::new();
        for (path, file) in &state.names {
            let Some(content) = state.files.get(file) else { continue };
            let old = content.synced.len().saturating_sub(SYNCS_BEHIND_ROT);
            let old = content.synced.iter().take(old).flatten();
            places.extend(old.map(|(offset, size)| (path.clone(), *file, *offset, *size)));
        }
        let (path, file, offset, size) = dice.pick(&places)?.clone();
        let rot = Rot { path, file, offset: offset + dice.index(size), bit: 1 << dice.below(8) };
        state.flip(&rot);
        Some(rot)
    }

    /// Takes a flipped bit back, as a repair would.
    pub fn mend(&self, rot: &Rot) {
        self.state.lock().flip(rot);
    }

    fn operation(&self, kind: u64, path: &Path, numbers: &[u64]) -> io::Result<bool> {
        let is_last = self.power.operation()?;
        let now = host::world::current().map_or(0, |world| world.now().as_micros() as u64);
        self.trace.note(&[kind, digest(path.as_os_str().as_encoded_bytes()), now]);
        self.trace.note(numbers);
        Ok(is_last)
    }

    /// For what is done whole or not at all.
    fn whole(&self, kind: u64, path: &Path) -> io::Result<()> {
        match self.operation(kind, path, &[])? {
            false => Ok(()),
            true => Err(io::Error::other("no power")),
        }
    }
}

impl State {
    fn used(&self) -> u64 {
        self.files.values().map(|content| content.bytes.len() as u64).sum()
    }

    fn flip(&mut self, rot: &Rot) {
        if let Some(content) = self.files.get_mut(&rot.file) {
            for bytes in [&mut content.bytes, &mut content.durable] {
                if let Some(byte) = bytes.get_mut(rot.offset) {
                    *byte ^= rot.bit;
                }
            }
        }
    }

    fn change(&mut self, path: &Path, change: Change) {
        apply(&mut self.names, &change);
        self.changes.push((path.parent().unwrap_or(path).to_owned(), change));
    }

    fn file_of(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Counts down to a fault.
    fn is_due(countdown: &mut Option<u64>, has_struck: &mut bool) -> bool {
        *countdown = countdown.map(|left| left.saturating_sub(1));
        let is_due = countdown.take_if(|left| *left == 0).is_some();
        *has_struck |= is_due;
        is_due
    }
}

struct Handle {
    disk: Disk,
    file: u64,
    path: PathBuf,
}

fn broken(what: &str) -> io::Error {
    io::Error::other(format!("{what}: input/output error"))
}

impl File for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state.lock();
        let content = state.files.get(&self.file).ok_or(io::ErrorKind::NotFound)?;
        let from = content.bytes.get(offset as usize..).unwrap_or_default();
        let count = from.len().min(buffer.len());
        buffer[..count].copy_from_slice(&from[..count]);
        Ok(count)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let is_last = self.disk.operation(2, &self.path, &[offset, digest(bytes)])?;
        let state = &mut *self.disk.state.lock();
        let faults = &mut state.faults;
        if State::is_due(&mut faults.write_fails_in, &mut faults.has_struck) {
            return Err(broken("write"));
        }
        let used = state.used();
        let content = state.files.get_mut(&self.file).ok_or(io::ErrorKind::NotFound)?;
        let growth = (offset as usize + bytes.len()).saturating_sub(content.bytes.len()) as u64;
        if growth > 0 && state.faults.capacity.is_some_and(|capacity| used + growth > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        put(&mut content.bytes, offset as usize, bytes);
        content.unsynced.push((offset as usize, bytes.to_vec()));
        if is_last { Err(io::Error::other("no power")) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let is_last = self.disk.operation(3, &self.path, &[])?;
        let state = &mut *self.disk.state.lock();
        let faults = &mut state.faults;
        let is_failing = State::is_due(&mut faults.sync_fails_in, &mut faults.has_struck);
        // The power may go before the sync, or behind it: then nobody hears of it.
        let is_done = !is_last || state.dice.percent(50);
        let content = state.files.get_mut(&self.file).ok_or(io::ErrorKind::NotFound)?;
        if is_failing {
            content.unsynced.clear();
            return Err(broken("sync"));
        }
        if is_done {
            content.sync();
        }
        if is_last { Err(io::Error::other("no power")) } else { Ok(()) }
    }

    fn size(&self) -> io::Result<u64> {
        let state = self.disk.state.lock();
        let content = state.files.get(&self.file).ok_or(io::ErrorKind::NotFound)?;
        Ok(content.bytes.len() as u64)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.disk.whole(4, &self.path)?;
        let state = &mut *self.disk.state.lock();
        let content = state.files.get_mut(&self.file).ok_or(io::ErrorKind::NotFound)?;
        // Sizes are told to be durable at once: nothing of ours relies on either.
        content.bytes.resize(size as usize, 0);
        content.durable.resize(size as usize, 0);
        content.unsynced.retain(|(offset, written)| (offset + written.len()) as u64 <= size);
        Ok(())
    }
}

impl Files for Disk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn File>> {
        let known = self.state.lock().names.get(path).copied();
        let file = match known {
            Some(file) => file,
            None if !create => return Err(io::ErrorKind::NotFound.into()),
            None => {
                self.whole(5, path)?;
                let state = &mut *self.state.lock();
                let file = state.next;
                state.next += 1;
                state.files.insert(file, Content::default());
                state.change(path, Change::Link(path.to_owned(), file));
                file
            }
        };
        Ok(Box::new(Handle { disk: self.clone(), file, path: path.to_owned() }))
    }

    fn exists(&self, path: &Path) -> bool {
        let state = self.state.lock();
        state.names.contains_key(path) || state.folders.contains(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        if !state.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.names.keys().chain(&state.folders).filter(|path| path.parent() == Some(folder));
        let mut names: Vec<String> =
            inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
        names.sort();
        Ok(names)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.folders.extend(folder.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.whole(6, to)?;
        let state = &mut *self.state.lock();
        state.file_of(from)?;
        state.change(to, Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.whole(7, path)?;
        let state = &mut *self.state.lock();
        state.file_of(path)?;
        state.change(path, Change::Unlink(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.whole(8, folder)?;
        let state = &mut *self.state.lock();
        let (now, later) = std::mem::take(&mut state.changes).into_iter().partition(|(of, _)| of == folder);
        state.changes = later;
        let now: Vec<(PathBuf, Change)> = now;
        now.iter().for_each(|(_, change)| apply(&mut state.durable_names, change));
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state.lock();
        let file = state.file_of(path)?;
        Ok(state.files.get(&file).map(|content| content.bytes.clone()).unwrap_or_default())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        let state = self.state.lock();
        Ok(state.faults.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }

    fn latency(&self) -> Duration {
        let state = &mut *self.state.lock();
        let (least, most) = state.faults.latency;
        state.dice.between(least, most)
    }

    fn lock(&self, _: &Path) -> io::Result<Option<FileLock>> {
        Ok(Some(FileLock::unshared()))
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let part = path.with_extension("part");
        let file = self.open(&part, true)?;
        file.set_size(0)?;
        file.write_all_at(content, 0)?;
        file.sync_data()?;
        self.rename(&part, path)?;
        path.parent().map_or(Ok(()), |folder| self.sync_folder(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(seed: u64) -> (Disk, Power) {
        let power = Power::new(Trace::default());
        (Disk::new(Dice::new(seed), power.clone(), Trace::default()), power)
    }

    fn path(name: &str) -> PathBuf {
        PathBuf::from("/node").join(name)
    }

    /// What is left of two writes of three sectors each, one of them synced, over many power cuts.
    #[test]
    fn a_power_cut_keeps_what_was_synced_and_any_sectors_of_the_rest() {
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let (disk, _) = disk(seed);
            let file = disk.open(&path("a"), true).unwrap();
            file.write_all_at(&[1; 3 * SECTOR], 0).unwrap();
            file.sync_data().unwrap();
            disk.sync_folder(Path::new("/node")).unwrap();
            file.write_all_at(&[2; 3 * SECTOR], 0).unwrap();
            disk.crash();
            let left = disk.read(&path("a")).unwrap();
            assert_eq!(left.len(), 3 * SECTOR);
            let sectors: Vec<u8> = left.chunks(SECTOR).map(|sector| sector[0]).collect();
            assert!(left.chunks(SECTOR).zip(&sectors).all(|(sector, first)| sector.iter().all(|byte| byte == first)));
            seen.insert(sectors);
        }
        assert_eq!(seen.len(), 8, "every subset is met");
    }

    #[test]
    fn names_are_durable_after_the_folders_sync() {
        let lost = (0..50).filter(|seed| {
            let (disk, _) = disk(*seed);
            disk.open(&path("kept"), true).unwrap();
            disk.sync_folder(Path::new("/node")).unwrap();
            disk.rename(&path("kept"), &path("renamed")).unwrap();
            disk.crash();
            assert!(disk.exists(&path("kept")) != disk.exists(&path("renamed")), "one of the two");
            disk.exists(&path("kept"))
        });
        assert!((1..50).contains(&lost.count()));
    }

    #[test]
    fn a_failed_sync_has_lost_what_it_was_for() {
        let (disk, _) = disk(1);
        let file = disk.open(&path("a"), true).unwrap();
        disk.sync_folder(Path::new("/node")).unwrap();
        disk.set_faults(|faults| faults.sync_fails_in = Some(1));
        file.write_all_at(b"gone", 0).unwrap();
        assert!(file.sync_data().is_err());
        assert!(file.sync_data().is_ok());
        assert_eq!(disk.read(&path("a")).unwrap(), b"gone");
        disk.crash();
        assert_eq!(disk.read(&path("a")).unwrap(), b"");
    }

    #[test]
    fn without_power_nothing_changes() {
        let (disk, power) = disk(1);
        power.restore(Some(3));
        let file = disk.open(&path("a"), true).unwrap();
        disk.sync_folder(Path::new("/node")).unwrap();
        assert!(file.write_all_at(b"x", 0).is_err() && power.is_down());
        assert!(file.sync_data().is_err() && disk.rename(&path("a"), &path("b")).is_err());
        disk.crash();
        assert!(disk.exists(&path("a")) && !disk.exists(&path("b")));
    }
}

//! Level 8. A run: lives of a node one after the other, each ended by a fault, and at the end a quiet one in which
//! everything is looked at.

use crate::client::Client;
use crate::dice::Dice;
use crate::disk::Rot;
use crate::machine::{Machine, Node, StartFailed};
use crate::trace::Trace;
use crate::workloads::{self, Workload};
use crate::world::{Step, World};
use host::bugs::Bug;
use parking_lot::Mutex;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Stack of the thread that a run has for itself: statements are planned on it.
pub(crate) const STACK_BYTES: usize = 256 << 20;
/// The longest life, and how long a start, a check or the last life may take.
const LIFE_MAX: Duration = Duration::from_secs(40);
const LIFE_MIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(600);
/// Between a client's operations, at most: a client is a quick or a slow one.
const THINK: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));
/// Of 100 lives, those before which a bit of the log flips.
const ROT_PERCENT: u64 = 8;
/// Wall clock jumps, at most.
const JUMP_MAX: Duration = Duration::from_secs(100);

#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    /// Virtual time that clients work.
    pub minutes: f64,
    /// Only this workload; None: several, drawn from the seed.
    pub scenario: Option<String>,
    /// One life that ends here, one that recovers from it and ends soon, and the last.
    pub cut: Option<Cut>,
    /// A rule to break, in a build that can.
    pub bug: Option<Bug>,
    /// Prints everything that happens.
    pub is_printed: bool,
}

/// A place in a life, counted from its beginning.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// The nth operation of disk or segments.
    Operation(u64),
    /// The nth step of a task, from one await to the next.
    Step(u64),
    /// Nowhere: tells how many there are.
    Never,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    pub findings: Vec<String>,
    pub hash: u64,
    pub events: u64,
    pub simulated: Duration,
    pub lives: u64,
    pub operations: u64,
    pub workloads: Vec<&'static str>,
    /// Operations of disk and segments, and steps of tasks, in the first life.
    pub first_life: (u64, u64),
}

/// Runs one seed, on a thread of its own. None: the thread could not be had.
pub fn run(options: &Options) -> Option<Report> {
    let options = options.clone();
    let thread = host::spawn::thread("simulation", STACK_BYTES, move || run_here(&options)).ok()?;
    thread.join().ok()
}

fn run_here(options: &Options) -> Report {
    #[cfg(feature = "bugs")]
    host::bugs::set(options.bug);
    let trace = Trace::new(options.is_printed);
    let world = World::new(options.seed, trace.clone());
    let _entered = host::world::enter(world.clone());
    let mut run = Run::new(options, trace, world);
    run.all();
    // In the world still: what is dropped may have alarms there.
    run.world.clear();
    run.report()
}

/// What ends a life, drawn from the seed.
#[derive(Debug)]
enum End {
    /// The power goes at the nth operation of the disk.
    PowerCut(u64),
    /// The power goes at the nth step of a task.
    PowerCutAtStep(u64),
    /// The power goes at a moment.
    PowerCutAt(Duration),
    /// The process is killed: the system still has what it wrote.
    Kill(Duration),
    SyncFails(u64),
    WriteFails(u64),
    /// Asked to stop: drained, flushed.
    Stop(Duration),
}

struct Run {
    cut: Option<Cut>,
    dice: Dice,
    world: Rc<World>,
    machine: Arc<Machine>,
    workloads: Vec<Arc<dyn Workload>>,
    clients: u64,
    until: Duration,
    is_set_up: Arc<Mutex<bool>>,
    lives: u64,
    operations: Arc<Mutex<u64>>,
    first_life: (u64, u64),
}

impl Run {
    fn new(options: &Options, trace: Trace, world: Rc<World>) -> Run {
        let mut dice = Dice::of(options.seed, "run");
        let chosen: Vec<&str> = match &options.scenario {
            Some(name) => vec![name],
            None => {
                let first = workloads::NAMES.get(dice.index(workloads::NAMES.len())).copied();
                let more = (0..2).filter_map(|_| dice.pick(workloads::NAMES).copied());
                let mut all: Vec<&str> = first.into_iter().chain(more).collect();
                all.sort_unstable();
                all.dedup();
                all
            }
        };
        Run {
            cut: options.cut,
            clients: 3 + dice.below(6),
            dice,
            world,
            machine: Arc::new(Machine::new(options.seed, trace)),
            workloads: chosen.into_iter().filter_map(workloads::by_name).collect(),
            until: Duration::from_secs_f64(options.minutes * 60.0),
            is_set_up: Arc::default(),
            lives: 0,
            operations: Arc::default(),
            first_life: (0, 0),
        }
    }

    fn report(&self) -> Report {
        Report {
            findings: self.machine.findings(),
            hash: self.machine.trace.hash(),
            events: self.machine.trace.events(),
            simulated: self.world.time(),
            lives: self.lives,
            operations: *self.operations.lock(),
            workloads: self.workloads.iter().map(|workload| workload.name()).collect(),
            first_life: self.first_life,
        }
    }

    fn all(&mut self) {
        if let Some(cut) = self.cut {
            return self.one_cut(cut);
        }
        while self.world.time() < self.until && self.machine.findings().is_empty() {
            let end = self.draw_end();
            self.life(&end);
        }
        if self.machine.findings().is_empty() {
            self.last_life();
        }
    }

    /// Each place of a short life in turn: who calls counts.
    fn one_cut(&mut self, cut: Cut) {
        let (first, second) = match cut {
            Cut::Operation(at) => (End::PowerCut(at), End::PowerCut(1 + at % 60)),
            Cut::Step(at) => (End::PowerCutAtStep(at), End::PowerCutAtStep(1 + at % 400)),
            Cut::Never => (End::PowerCutAt(self.until), End::PowerCut(1)),
        };
        self.life(&first);
        self.first_life = (self.machine.power.operations(), self.world.steps());
        if self.machine.findings().is_empty() {
            self.life(&second);
        }
        if self.machine.findings().is_empty() {
            self.last_life();
        }
    }

    fn draw_end(&mut self) -> End {
        let at = self.world.time() + self.dice.pause(LIFE_MAX);
        match self.dice.below(20) {
            // Soon, too: while it recovers.
            0..3 => End::PowerCut(1 + self.dice.below(30)),
            3..10 => End::PowerCut(1 + self.dice.below(3000)),
            10..13 => End::PowerCutAt(at),
            13..15 => End::Kill(at),
            15..17 => End::SyncFails(1 + self.dice.below(800)),
            17 => End::WriteFails(1 + self.dice.below(1500)),
            _ => End::Stop(at),
        }
    }

    /// One life: start, set up, look, work, and the end that was drawn.
    fn life(&mut self, end: &End) {
        self.lives += 1;
        self.machine.trace.tell(|| format!("== life {}: {end:?}", self.lives));
        let rot = self.draw_rot();
        let latency = self.draw_latency();
        self.machine.power.restore(match end {
            End::PowerCut(after) => Some(*after),
            _ => None,
        });
        self.machine.disk.set_faults(|faults| {
            faults.latency = latency;
            match end {
                End::SyncFails(after) => faults.sync_fails_in = Some(*after),
                End::WriteFails(after) => faults.write_fails_in = Some(*after),
                _ => {}
            }
        });
        let hour_glass = match end {
            End::PowerCutAt(at) | End::Kill(at) | End::Stop(at) => *at,
            _ => self.world.time() + LIFE_MAX.min(self.until.max(LIFE_MIN)),
        };
        let last_step = match end {
            End::PowerCutAtStep(after) => self.world.steps() + after,
            _ => u64::MAX,
        };
        let stop = Arc::new(Mutex::new(false));
        let started = self.start_node(stop.clone(), rot);
        let is_over =
            |run: &Run| run.world.time() >= hour_glass || run.machine.power.is_down() || run.world.steps() >= last_step;
        let node = self.go_on(is_over, &started);
        self.machine.find_stuck();
        if let (End::Stop(_), Some(node)) = (end, node) {
            self.stop_node(&stop, node);
        }
        self.machine.power.cut("end of this life");
        self.world.clear();
        drop(started);
        match end {
            End::Kill(_) | End::Stop(_) => self.machine.disk.kill(),
            _ => self.machine.disk.crash(),
        }
        host_pause(&mut self.dice, &self.machine);
    }

    /// A bit flips while the node is away.
    fn draw_rot(&mut self) -> Option<Rot> {
        if self.cut.is_some() || !self.dice.percent(ROT_PERCENT) {
            return None;
        }
        let rot = self.machine.disk.rot(&mut self.dice)?;
        self.machine.trace.tell(|| format!("-- {rot} has flipped"));
        Some(rot)
    }

    fn draw_latency(&mut self) -> (Duration, Duration) {
        let slowest = [1, 3, 3, 10, 10, 50, 300];
        let slowest = self.dice.pick(&slowest).copied().unwrap_or(3);
        (Duration::from_micros(100), Duration::from_millis(slowest))
    }

    /// Starts the node and its clients in the background; the node, as soon as it is there.
    fn start_node(&mut self, stop: Arc<Mutex<bool>>, rot: Option<Rot>) -> Arc<Mutex<Option<Node>>> {
        let started = Arc::new(Mutex::new(None));
        let here = Life {
            machine: self.machine.clone(),
            workloads: self.workloads.clone(),
            is_set_up: self.is_set_up.clone(),
            operations: self.operations.clone(),
            stop,
        };
        let (dice, clients, place) = (self.dice.split(), self.clients, started.clone());
        self.world.start(
            "life",
            Box::pin(async move {
                let node = match here.machine.start().await {
                    Ok(node) => node,
                    Err(StartFailed::Damaged(what)) if rot.is_some() => return here.refused(&what, rot),
                    Err(failed) => return here.machine.find_not_started(failed),
                };
                *place.lock() = Some(node.clone());
                here.live(node, dice, clients).await;
            }),
        );
        started
    }

    /// Steps until something ends it. The node, if it has started.
    fn go_on(&mut self, is_over: impl Fn(&Run) -> bool, started: &Mutex<Option<Node>>) -> Option<Node> {
        loop {
            if is_over(self) || !self.machine.findings().is_empty() {
                break;
            }
            match self.world.step() {
                Step::Went => {}
                Step::Panicked => {
                    let panic = self.world.take_panic().unwrap_or_default();
                    self.machine.find(format!("panic in {panic}"));
                }
                Step::Idle => {
                    self.machine.find("nothing can go on: every task waits for another".to_owned());
                    break;
                }
                Step::Spins => {
                    self.machine.find("tasks wake each other without end".to_owned());
                    break;
                }
            }
        }
        started.lock().take()
    }

    /// A clean stop: clients end, the segments are flushed.
    fn stop_node(&mut self, stop: &Mutex<bool>, node: Node) {
        *stop.lock() = true;
        let until = self.world.time() + Duration::from_secs(5);
        self.go_on(|run| run.world.time() >= until || run.machine.power.is_down(), &Mutex::new(None));
        let is_over = Arc::new(Mutex::new(false));
        let told = is_over.clone();
        self.world.start(
            "stop",
            Box::pin(async move {
                // A flush that fails loses nothing: the log has it.
                let _ = node.gateway.stop().await;
                *told.lock() = true;
            }),
        );
        let until = self.world.time() + PATIENCE;
        self.go_on(
            |run| *is_over.lock() || run.world.time() >= until || run.machine.power.is_down(),
            &Mutex::new(None),
        );
    }

    /// No fault, no client: everything must be there.
    fn last_life(&mut self) {
        self.lives += 1;
        self.machine.trace.tell(|| "== last life".to_owned());
        self.machine.power.restore(None);
        let is_over = Arc::new(Mutex::new(false));
        let (machine, workloads, told) = (self.machine.clone(), self.workloads.clone(), is_over.clone());
        let (is_set_up, dice) = (*self.is_set_up.lock(), self.dice.split());
        self.world.start(
            "last life",
            Box::pin(async move {
                let node = match machine.start().await {
                    Ok(node) => node,
                    Err(failed) => {
                        *told.lock() = true;
                        return machine.find_not_started(failed);
                    }
                };
                if is_set_up {
                    verify(&node, &machine, &workloads, dice, true).await;
                }
                *told.lock() = true;
            }),
        );
        let until = self.world.time() + PATIENCE;
        self.go_on(|run| *is_over.lock() || run.world.time() >= until, &Mutex::new(None));
        if !*is_over.lock() {
            self.machine.find("the last look at everything does not end".to_owned());
        }
    }
}

/// What lies between two lives.
fn host_pause(dice: &mut Dice, machine: &Machine) {
    if dice.percent(30) {
        let jump = dice.pause(JUMP_MAX).as_micros() as i64;
        let jump = if dice.percent(50) { -jump } else { jump };
        machine.trace.tell(|| format!("-- the wall clock jumps by {jump} us"));
        machine.jump(jump);
    }
}

/// What the tasks of one life share.
struct Life {
    machine: Arc<Machine>,
    workloads: Vec<Arc<dyn Workload>>,
    is_set_up: Arc<Mutex<bool>>,
    operations: Arc<Mutex<u64>>,
    stop: Arc<Mutex<bool>>,
}

impl Life {
    async fn live(self, node: Node, mut dice: Dice, clients: u64) {
        let was_set_up = *self.is_set_up.lock();
        if !was_set_up && !self.set_up(&node, dice.split()).await {
            return;
        }
        *self.is_set_up.lock() = true;
        if was_set_up {
            verify(&node, &self.machine, &self.workloads, dice.split(), false).await;
        }
        let life = Arc::new(self);
        for id in 0..clients {
            let client = client_task(life.clone(), node.clone(), id, dice.split());
            host::spawn::task("client", client);
        }
        faults(life, dice).await;
    }

    /// The damage was seen: somebody repairs it, and starts the node again.
    fn refused(&self, what: &str, rot: Option<Rot>) {
        if let Some(rot) = rot {
            self.machine.disk.mend(&rot);
        }
        self.machine.power.cut(&format!("the node does not start, and is right: {what}"));
    }

    /// Every workload's tables; false when the node is gone.
    async fn set_up(&self, node: &Node, dice: Dice) -> bool {
        let Ok(mut client) = Client::connect(node, self.machine.clone(), 900, dice) else { return false };
        for workload in &self.workloads {
            for text in workload.setup() {
                if client.run_in(&text, &[]).await.is_err() {
                    return false;
                }
            }
        }
        client.end().await;
        true
    }
}

async fn client_task(life: Arc<Life>, node: Node, id: u64, mut dice: Dice) {
    let mut client = match Client::connect(&node, life.machine.clone(), id, dice.split()) {
        Ok(client) => client,
        Err(error) => return life.machine.find(format!("client {id} can not connect: {}", error.message())),
    };
    let think = dice.between(THINK.0, THINK.1);
    while !*life.stop.lock() && !life.machine.power.is_down() {
        let Some(workload) = dice.pick(&life.workloads) else { return };
        workload.step(&mut client).await;
        *life.operations.lock() += 1;
        client.pause(think).await;
    }
    client.end().await;
}

/// Faults that a node lives through: a full disk, a clock that jumps, a disk that is slow for a while.
async fn faults(life: Arc<Life>, mut dice: Dice) {
    loop {
        let wait = dice.pause(Duration::from_secs(20));
        host::clock::sleep(wait).await;
        let lasts = dice.pause(Duration::from_secs(5));
        match dice.below(4) {
            0 => {
                let jump = dice.pause(JUMP_MAX).as_micros() as i64;
                life.machine.jump(if dice.percent(50) { -jump } else { jump });
            }
            1 => {
                life.machine.trace.tell(|| format!("-- the disk is full for {lasts:?}"));
                let used = life.machine.disk.used_bytes();
                life.machine.disk.set_faults(|faults| faults.capacity = Some(used));
                life.machine.stores.iter().for_each(|store| store.set_full(true));
                host::clock::sleep(lasts).await;
                life.machine.disk.set_faults(|faults| faults.capacity = None);
                life.machine.stores.iter().for_each(|store| store.set_full(false));
            }
            2 => {
                let slow = (Duration::from_millis(20), Duration::from_millis(400));
                let mut before = slow;
                life.machine.disk.set_faults(|faults| before = std::mem::replace(&mut faults.latency, slow));
                host::clock::sleep(lasts).await;
                life.machine.disk.set_faults(|faults| faults.latency = before);
            }
            _ => {}
        }
    }
}

async fn verify(node: &Node, machine: &Arc<Machine>, workloads: &[Arc<dyn Workload>], mut dice: Dice, is_last: bool) {
    for workload in workloads {
        let client = Client::connect(node, machine.clone(), 901, dice.split());
        let Ok(mut client) = client else { return machine.find("nobody can connect to look".to_owned()) };
        workload.verify(&mut client, is_last).await;
        client.end().await;
    }
}

//! Level 8. The world's time and tasks: one thread, virtual time, the next task drawn from the seed.
//!
//! I1  Nothing runs but one task at a time, from one await to the next: a step.
//! I2  Time stands still while a task can run, but for a few microseconds a step; else it jumps to the next alarm.
//! I3  A panic ends its task, and is remembered: it is a finding.

use crate::dice::Dice;
use crate::trace::Trace;
use host::spawn::Task;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

/// What a step may cost.
const STEP_MICROS: u64 = 4;
/// Steps without an alarm between them: more is a loop that does not wait.
const STEPS_WITHOUT_ALARM: u64 = 2_000_000;

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A task ran, or time went on.
    Went,
    /// Nothing can run and nothing is to come.
    Idle,
    /// Tasks wake each other for ever.
    Spins,
    /// A task panicked (`take_panic`).
    Panicked,
}

pub struct World {
    inner: RefCell<Inner>,
    ready: Arc<Mutex<Vec<usize>>>,
    trace: Trace,
}

struct Inner {
    now: Duration,
    tasks: Vec<Option<Running>>,
    free: Vec<usize>,
    alarms: BTreeMap<(Duration, u64), Waker>,
    alarm_times: BTreeMap<u64, Duration>,
    next_alarm: u64,
    dice: Dice,
    /// Ready tasks in turn, instead of any.
    is_fair: bool,
    steps: u64,
    steps_since_alarm: u64,
    panic: Option<String>,
}

struct Running {
    name: &'static str,
    task: Task,
    waker: Arc<TaskWaker>,
}

struct TaskWaker {
    id: usize,
    is_queued: Mutex<bool>,
    ready: Arc<Mutex<Vec<usize>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !std::mem::replace(&mut *self.is_queued.lock(), true) {
            self.ready.lock().push(self.id);
        }
    }
}

impl World {
    pub fn new(seed: u64, trace: Trace) -> Rc<World> {
        let mut dice = Dice::of(seed, "schedule");
        let is_fair = dice.percent(25);
        Rc::new(World {
            inner: RefCell::new(Inner {
                now: Duration::ZERO,
                tasks: Vec::new(),
                free: Vec::new(),
                alarms: BTreeMap::new(),
                alarm_times: BTreeMap::new(),
                next_alarm: 0,
                dice,
                is_fair,
                steps: 0,
                steps_since_alarm: 0,
                panic: None,
            }),
            ready: Arc::default(),
            trace,
        })
    }

    pub fn time(&self) -> Duration {
        self.inner.borrow().now
    }

    pub fn steps(&self) -> u64 {
        self.inner.borrow().steps
    }

    /// The task that panicked last, and what it said.
    pub fn take_panic(&self) -> Option<String> {
        self.inner.borrow_mut().panic.take()
    }

    pub fn start(&self, name: &'static str, task: Task) {
        let mut inner = self.inner.borrow_mut();
        let id = inner.free.pop().unwrap_or(inner.tasks.len());
        let waker = Arc::new(TaskWaker { id, is_queued: Mutex::new(true), ready: self.ready.clone() });
        let running = Some(Running { name, task, waker });
        match inner.tasks.get_mut(id) {
            Some(place) => *place = running,
            None => inner.tasks.push(running),
        }
        self.ready.lock().push(id);
    }

    /// One step.
    pub fn step(&self) -> Step {
        let Some(id) = self.draw() else { return self.next_alarm() };
        let taken = {
            let mut inner = self.inner.borrow_mut();
            inner.steps += 1;
            inner.steps_since_alarm += 1;
            let cost = inner.dice.below(STEP_MICROS);
            inner.now += Duration::from_micros(cost);
            inner.tasks.get_mut(id).and_then(Option::take)
        };
        let Some(mut running) = taken else { return Step::Went };
        self.trace.note(&[1, id as u64, self.time().as_micros() as u64]);
        *running.waker.is_queued.lock() = false;
        let waker = Waker::from(running.waker.clone());
        let polled =
            catch_unwind(AssertUnwindSafe(|| running.task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()));
        let is_over = polled.unwrap_or_else(|panic| {
            self.inner.borrow_mut().panic = Some(format!("task {}: {}", running.name, message_of(&*panic)));
            true
        });
        let has_panicked = self.inner.borrow().panic.is_some();
        if is_over {
            // Outside the borrow: what is dropped may wake, cancel or spawn.
            drop(running);
            self.inner.borrow_mut().free.push(id);
        } else if let Some(place) = self.inner.borrow_mut().tasks.get_mut(id) {
            *place = Some(running);
        }
        match self.inner.borrow().steps_since_alarm {
            _ if has_panicked => Step::Panicked,
            steps if steps > STEPS_WITHOUT_ALARM => Step::Spins,
            _ => Step::Went,
        }
    }

    /// The task that runs next.
    fn draw(&self) -> Option<usize> {
        let mut ready = self.ready.lock();
        if ready.is_empty() {
            return None;
        }
        let mut inner = self.inner.borrow_mut();
        if inner.is_fair {
            return Some(ready.remove(0));
        }
        let at = inner.dice.index(ready.len());
        Some(ready.swap_remove(at))
    }

    fn next_alarm(&self) -> Step {
        let mut inner = self.inner.borrow_mut();
        let Some(((at, number), waker)) = inner.alarms.pop_first() else { return Step::Idle };
        inner.alarm_times.remove(&number);
        inner.steps_since_alarm = 0;
        inner.now = inner.now.max(at);
        drop(inner);
        waker.wake();
        Step::Went
    }

    /// Everything that runs ends where it stands, as a process that is killed.
    pub fn clear(&self) {
        loop {
            let taken: Vec<Running> = {
                let mut inner = self.inner.borrow_mut();
                inner.free.clear();
                inner.tasks.drain(..).flatten().collect()
            };
            if taken.is_empty() {
                break;
            }
            drop(taken);
        }
        self.ready.lock().clear();
        let alarms = {
            let mut inner = self.inner.borrow_mut();
            inner.alarm_times.clear();
            std::mem::take(&mut inner.alarms)
        };
        drop(alarms);
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "panic".to_owned())
}

impl host::world::World for World {
    fn now(&self) -> Duration {
        self.time()
    }

    fn spawn(&self, name: &'static str, task: Task) {
        self.start(name, task);
    }

    fn wake_at(&self, at: Duration, waker: Waker) -> u64 {
        let mut inner = self.inner.borrow_mut();
        let number = inner.next_alarm;
        inner.next_alarm += 1;
        inner.alarms.insert((at, number), waker);
        inner.alarm_times.insert(number, at);
        number
    }

    fn cancel(&self, alarm: u64) {
        let mut inner = self.inner.borrow_mut();
        let waker = inner.alarm_times.remove(&alarm).and_then(|at| inner.alarms.remove(&(at, alarm)));
        drop(inner);
        drop(waker);
    }

    fn random(&self) -> u64 {
        self.inner.borrow_mut().dice.next()
    }
}

/// Tasks of this thread's world.
pub struct WorldSpawn;

impl host::Spawn for WorldSpawn {
    fn spawn(&self, name: &'static str, task: Task) {
        if let Some(world) = host::world::current() {
            world.spawn(name, task);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(seed: u64) -> (Vec<u64>, u64) {
        let trace = Trace::default();
        let world = World::new(seed, trace.clone());
        let _entered = host::world::enter(world.clone());
        let seen: Arc<Mutex<Vec<u64>>> = Arc::default();
        for number in 0..5 {
            let seen = seen.clone();
            world.start(
                "task",
                Box::pin(async move {
                    for round in 0..3 {
                        host::clock::sleep(Duration::from_millis(round * number)).await;
                        seen.lock().push(number);
                    }
                }),
            );
        }
        while world.step() == Step::Went {}
        let seen = seen.lock().clone();
        (seen, trace.hash())
    }

    #[test]
    fn one_seed_is_one_order() {
        assert_eq!(order(7), order(7));
        assert!((0..20).any(|seed| order(seed).0 != order(7).0), "the seed decides");
    }

    #[test]
    fn time_jumps_to_the_next_alarm_and_a_panic_is_kept() {
        let world = World::new(1, Trace::default());
        let _entered = host::world::enter(world.clone());
        world.start("long", Box::pin(host::clock::sleep(Duration::from_secs(3600))));
        world.start("bad", Box::pin(async { panic!("on purpose") }));
        let mut panics = Vec::new();
        loop {
            match world.step() {
                Step::Went => {}
                Step::Panicked => panics.extend(world.take_panic()),
                _ => break,
            }
        }
        assert!(world.time() >= Duration::from_secs(3600));
        assert_eq!(panics, ["task bad: on purpose"]);
    }
}

//! Scenes: a few statements on a slow disk, where the moment of an answer tells whether it came too early.

use crate::client::Client;
use crate::dice::Dice;
use crate::machine::Machine;
use crate::runner::STACK_BYTES;
use crate::trace::Trace;
use crate::world::{Step, World};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SLOW: Duration = Duration::from_secs(1);

/// Plays a scene on a machine of its own, to its end.
fn play<F: Future<Output = ()> + Send + 'static>(scene: fn(Arc<Machine>) -> F) {
    let play = move || {
        let trace = Trace::new(false);
        let world = World::new(1, trace.clone());
        let _entered = host::world::enter(world.clone());
        let machine = Arc::new(Machine::new(1, trace));
        machine.power.restore(None);
        let is_over = Arc::new(AtomicBool::new(false));
        let (here, over) = (machine.clone(), is_over.clone());
        world.start(
            "scene",
            Box::pin(async move {
                scene(here).await;
                over.store(true, Ordering::SeqCst);
            }),
        );
        while !is_over.load(Ordering::SeqCst) {
            assert!(matches!(world.step(), Step::Went), "{:?}", world.take_panic());
        }
        machine.power.cut("the scene is over");
        world.clear();
    };
    host::spawn::thread("scene", STACK_BYTES, play).expect("a thread").join().expect("played");
}

/// R7: what a lock has shown in flight is durable before a row of it leaves, in the client's own block, too.
#[test]
fn rows_told_in_a_block_are_durable() {
    play(tellers_in_blocks);
}

async fn tellers_in_blocks(machine: Arc<Machine>) {
    let Ok(node) = machine.start().await else { panic!("does not start") };
    let connect = |id| Client::connect(&node, machine.clone(), id, Dice::of(id, "scene")).expect("connects");
    let (mut writer, mut reader) = (connect(1), connect(2));
    for text in ["CREATE TABLE t (k int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 0)"] {
        writer.run(text).await.unwrap_or_else(|_| panic!("{text}"));
    }
    let tellers = [
        "UPDATE t SET v = v + 1 WHERE k = 1 RETURNING v",
        "SELECT v FROM t WHERE k = 1 FOR UPDATE",
        "SELECT v FROM t WHERE v >= 0 FOR UPDATE",
        "INSERT INTO t VALUES (1, 0) ON CONFLICT (k) DO UPDATE SET v = t.v + 1 RETURNING v",
    ];
    for (row, text) in tellers.into_iter().enumerate() {
        machine.disk.set_faults(|faults| faults.latency = (SLOW, SLOW));
        let began = machine.now();
        let write = async { writer.run("UPDATE t SET v = v + 10 WHERE k = 1").await.is_ok() };
        let tell = async {
            host::clock::sleep(Duration::from_millis(100)).await;
            let begun = reader.run("BEGIN").await.is_ok();
            let told = reader.run(text).await.unwrap_or_default();
            (begun, told, machine.now() - began)
        };
        let (is_written, (begun, told, after)) = tokio::join!(write, tell);
        assert!(is_written && begun && told.len() == 1, "{row}: {told:?}");
        assert!(after >= SLOW, "{text} was answered after {after:?}, before what it tells of was durable");
        machine.disk.set_faults(|faults| faults.latency = (Duration::ZERO, Duration::ZERO));
        assert!(reader.run("COMMIT").await.is_ok());
    }
}

//! The engine alone: jobs per second through `Engine::step`, on the worker's allocator. `cargo bench -p clockout-engine-cost`.

use std::cell::RefCell;

use clockout_engine_cost::{JOBS_AT_ONCE, Rig, Scenario};
use divan::Bencher;
use divan::counter::ItemsCount;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    divan::main();
}

/// [`JOBS_AT_ONCE`] jobs, again and again.
#[divan::bench(args = [Scenario::Runs, Scenario::Interleaved, Scenario::FullMemory, Scenario::Retries])]
fn jobs(bencher: Bencher<'_, '_>, scenario: Scenario) {
    let rig = RefCell::new(Rig::warm(scenario));
    bencher
        .counter(ItemsCount::new(JOBS_AT_ONCE))
        .with_inputs(|| rig.borrow().next_jobs())
        .bench_local_values(|jobs| rig.borrow_mut().settle(jobs));
}

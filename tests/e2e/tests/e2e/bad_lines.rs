//! Lines that let only part of what is sent pass, or nothing, or late: nodes find a way, and come into step.
//!
//! The long run lasts 3 minutes; `MYTISM_LONG=1`: 30; `MYTISM_BAD_LINES_SECONDS=n` says otherwise. `MYTISM_SEED=n` throws
//! the same dice again.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mytism_testkit::{PATIENCE, Project, Proxy, RunningNode, Weather, wait_until, wait_until_in_step};
use serde_json::{Value as Json, json};

use crate::trade::{assert_equal, branch, customer, head_office, order, order_numbers};

/// Lets a branch that is down reach its head office over this line alone.
pub(crate) fn behind(proxy: &Proxy, project: &Project) {
    change(project, "headOffice", &format!("127.0.0.1:{}", proxy.port()));
}

/// Gives a key that is set another value.
pub(crate) fn change(project: &Project, key: &str, value: &str) {
    let text = fs::read_to_string(project.config_file()).unwrap();
    let lines = text.lines().map(|line| match line.split_once('=').is_some_and(|(name, _)| name.trim() == key) {
        true => format!("{key} = {value}\n"),
        false => format!("{line}\n"),
    });
    fs::write(project.config_file(), lines.collect::<String>()).unwrap();
}

/// A branch whose line is a bad one.
fn branch_behind(head: &RunningNode, name: &str, seed: u64) -> (RunningNode, Proxy) {
    let proxy = Proxy::to(head.project().setting("tlsPort").parse().unwrap(), seed);
    let mut branch = branch(head, name);
    branch.stop();
    behind(&proxy, branch.project());
    (branch, proxy)
}

fn line(project: &Project) -> Json {
    project.status()["sync"][0].clone()
}

#[test]
fn where_udp_does_not_pass_the_line_goes_over_tcp() {
    let head = head_office();
    let (mut branch, proxy) = branch_behind(&head, "berlin", 1);
    proxy.set(Weather { udp: false, ..Weather::default() });
    branch.restart();
    for number in 100..110 {
        head.project().save(&order(number));
        branch.project().save(&order(1000 + number));
    }
    wait_until_in_step(head.project(), &[branch.project()]);
    assert_eq!(line(head.project())["transport"], "tls");
    assert_eq!(line(branch.project())["transport"], "tls");
    assert_eq!(order_numbers(head.project()), (100..110).chain(1100..1110).collect::<Vec<_>>());
    let told = branch.project().run(&["status"], "").success().stdout;
    assert!(told.contains("over TCP"), "{told}");

    // The line ends, and UDP passes when it comes up again.
    proxy.set(Weather { tcp: false, ..Weather::default() });
    wait_until("the line runs over UDP", 2 * PATIENCE, || {
        let line = line(branch.project());
        line["state"] == "connected" && line["transport"] == "quic"
    });
    head.project().save(&order(200));
    wait_until_in_step(head.project(), &[branch.project()]);
    assert_equal(head.project(), branch.project());
}

/// Numbers that decide about the weather.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Some weather, and how many seconds it lasts.
    fn weather(&mut self) -> (Weather, u64) {
        let fine = Weather::default;
        let short = 2 + self.below(6);
        let ms = Duration::from_millis;
        match self.below(9) {
            0 => (fine(), short),
            1 => (Weather { loss: 0.03, delay: ms(20), ..fine() }, short),
            2 => (Weather { loss: 0.2, delay: ms(40), jitter: ms(40), ..fine() }, short),
            3 => (Weather { delay: ms(300), jitter: ms(100), ..fine() }, short),
            4 => (Weather { bandwidth: Some(32 * 1024), delay: ms(50), ..fine() }, short),
            5 => (Weather { udp: false, loss: 0.02, ..fine() }, 10 + short),
            6 => (Weather { up: false, ..fine() }, 3 * short),
            7 => (Weather { down: false, ..fine() }, 3 * short),
            _ => (Weather { up: false, down: false, ..fine() }, 3 * short),
        }
    }
}

fn seconds() -> u64 {
    let told = std::env::var("MYTISM_BAD_LINES_SECONDS").ok().and_then(|text| text.parse().ok());
    told.unwrap_or(if std::env::var_os("MYTISM_LONG").is_some() { 1_800 } else { 180 })
}

fn seed() -> u64 {
    let told = std::env::var("MYTISM_SEED").ok().and_then(|text| text.parse().ok());
    told.unwrap_or_else(|| u64::from(std::process::id())) | 1
}

/// Saves orders, and now and then changes what the others change too; returns the numbers of the orders.
fn work(project: &Project, first: u64, shared: &[u64], is_over: &AtomicBool) -> Vec<u64> {
    let mut numbers = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let number = first + numbers.len() as u64;
        project.save(&order(number));
        numbers.push(number);
        let object = shared[numbers.len() % shared.len()];
        let values = json!({"City": format!("{} {number}", project.name())});
        project.save(&json!({"description": "moved", "changes": [{"id": object, "values": values}]}));
        // Not to wait for anything: people pause too, and the machine has others to serve.
        std::thread::sleep(Duration::from_millis(100));
    }
    numbers
}

#[test]
fn nodes_at_bad_lines_hold_the_same_in_the_end() {
    let seed = seed();
    eprintln!("MYTISM_SEED={seed}");
    let head = head_office();
    let shared: Vec<u64> = ["ALFKI", "BLAUS"].map(|key| customer(head.project(), key, "Bonn")).into();
    let (mut berlin, near) = branch_behind(&head, "berlin", seed);
    let (mut lisboa, far) = branch_behind(&head, "lisboa", seed + 1);
    for branch in [&mut berlin, &mut lisboa] {
        branch.restart();
    }
    let end = Instant::now() + Duration::from_secs(seconds());
    let is_over = AtomicBool::new(false);
    let mut numbers: Vec<u64> = std::thread::scope(|scope| {
        let projects = [head.project(), berlin.project(), lisboa.project()];
        let (is_over, shared) = (&is_over, &shared[..]);
        let workers = [(0, 1_000_000), (1, 2_000_000), (2, 3_000_000)]
            .map(|(place, first)| scope.spawn(move || work(projects[place], first, shared, is_over)));
        let weather = [(&near, seed), (&far, seed.rotate_left(17))].map(|(proxy, seed)| {
            scope.spawn(move || {
                let mut dice = Dice(seed);
                while Instant::now() < end {
                    let (weather, lasts) = dice.weather();
                    proxy.set(weather);
                    std::thread::sleep(Duration::from_secs(lasts).min(end.saturating_duration_since(Instant::now())));
                }
                proxy.set(Weather::default());
            })
        });
        weather.into_iter().for_each(|thread| thread.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    wait_until_in_step(head.project(), &[berlin.project(), lisboa.project()]);
    numbers.sort_unstable();
    assert_eq!(order_numbers(head.project()), numbers, "what was acknowledged is there, once");
    assert_equal(head.project(), berlin.project());
    assert_equal(head.project(), lisboa.project());
}

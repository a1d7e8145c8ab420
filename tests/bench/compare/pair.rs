//! Two configurations in one Envoy, to tell small differences: the same process, and the same machine code of the module.

use super::Bench;
use crate::bootstrap;
use crate::config::{Exchange, many, three, with};
use crate::load::Client;
use crate::mount::{Mount, Place};
use crate::proxy::Proxy;
use crate::running::ASLEEP;
use crate::sample::{Spread, differences, median};
use crate::traffic::OPERATIONS;
use anyhow::{Result, ensure};
use std::net::TcpListener;
use std::time::Duration;

/// What two configurations cost in one Envoy.
#[derive(Debug)]
pub struct Pair {
    pub name: String,
    pub to: String,
    /// One over the other, each over no filter, once per generation.
    pub ratios: Vec<f64>,
}

/// Turns of a round for each configuration.
const TURNS: usize = 5;

// === impl Pair ===

impl Pair {
    /// The ratio's median, and how it spread over the generations.
    pub fn ratio(&self) -> (f64, Spread) {
        (median(self.ratios.iter().copied()), Spread::of(self.ratios.iter().copied()))
    }
}

// === impl Bench ===

impl Bench {
    /// Ten thousand operations against three.
    ///
    /// # Errors
    /// When an Envoy does not start, or did not count every request.
    pub fn pairs(&self) -> Result<Vec<Pair>> {
        self.phase("pairs");
        let mut places = vec![("filter, exchange", Place::Filter, Exchange::On)];
        if self.logs {
            places.insert(0, ("access logger", Place::Logger, Exchange::Off));
        }
        let mut pairs = Vec::new();
        for (name, place, exchange) in places {
            let mounts = [
                Mount::none(1),
                self.ours(&format!("{name}, 3 operations"), place, with(exchange, three())),
                self.ours(
                    &format!("{name}, 10,000 operations"),
                    place,
                    with(exchange, many(OPERATIONS)),
                ),
            ];
            let mut ratios = Vec::new();
            for generation in 1..=self.effort.generations.max(5) {
                self.step(&format!("{name}: generation {generation}"));
                let [none, three, many] = self.in_one_envoy(&mounts)?;
                let over = |samples: &[f64]| median(differences(samples, &none));
                ratios.push(over(&many) / over(&three));
            }
            let [_, to, name] = mounts.map(|mount| mount.name);
            pairs.push(Pair { name, to, ratios });
        }
        Ok(pairs)
    }

    /// CPU per request in each round, of each mount.
    fn in_one_envoy<const N: usize>(&self, mounts: &[Mount; N]) -> Result<[Vec<f64>; N]> {
        let others = [(); N].map(|()| TcpListener::bind("127.0.0.1:0"));
        let mut ports = [0; N];
        for (port, listener) in ports.iter_mut().zip(others) {
            *port = listener?.local_addr()?.port();
        }
        let proxy = Proxy::start(&self.envoy, 1, &self.traffic, |port, admin| {
            ports[0] = port;
            bootstrap::side_by_side(mounts, &ports, admin)
        })?;
        let mut clients = Vec::new();
        for port in ports {
            clients.push(Client::connect(port)?);
        }
        for client in &mut clients {
            client.send(&self.traffic, self.traffic.len() as u64)?;
            client.closed_loop(&self.traffic, self.effort.warm_up)?;
            proxy.settle()?;
        }
        let mut samples = [(); N].map(|()| Vec::new());
        for round in 0..self.effort.rounds * TURNS {
            // Each comes after each other one equally often.
            let mut order: Vec<usize> = (0..N).collect();
            order.rotate_left(round % N);
            if round / N % 2 == 1 {
                order.reverse();
            }
            for lane in order {
                let before = proxy.cpu()?;
                let time: Duration = self.effort.slice / TURNS as u32;
                let requests = clients[lane].closed_loop(&self.traffic, time)?;
                std::thread::sleep(ASLEEP);
                let taken = (proxy.cpu()? - before).as_secs_f64() * 1e6;
                samples[lane].push(taken / requests as f64);
            }
        }
        let counting = clients.iter().zip(mounts).filter(|(_, mount)| mount.counts());
        let expected: u64 = counting.map(|(client, _)| client.answered).sum();
        let counted = proxy.counted()?.0;
        ensure!(counted == expected, "{counted} of {expected} were counted\n{}", proxy.log());
        Ok(samples)
    }
}

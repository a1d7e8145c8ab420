//! Where each part of the sample mesh listens.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use anyhow::{Result, bail};

use crate::args::AddressArgs;

/// The listeners of one sidecar.
#[derive(Clone, Copy, Debug)]
pub struct Sidecar {
    pub traffic: SocketAddr,
    pub stats: SocketAddr,
    pub admin: SocketAddr,
    pub health: SocketAddr,
}

/// All addresses of the sample mesh.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    pub client: Sidecar,
    pub server: Sidecar,
    pub upstream: SocketAddr,
    /// Only with a Prometheus.
    pub prometheus: Option<SocketAddr>,
    /// Only where calls go both ways.
    pub back: Option<Back>,
}

/// The listeners of calls from ratings to productpage.
#[derive(Clone, Copy, Debug)]
pub struct Back {
    /// Of the server's sidecar.
    pub outbound: SocketAddr,
    /// Of the client's sidecar.
    pub inbound: SocketAddr,
}

// === impl Places ===

impl Places {
    /// `prometheus` tells whether there is one, `shared` whether calls go both ways.
    pub fn new(args: &AddressArgs, prometheus: bool, shared: bool) -> Self {
        let client = |port| SocketAddr::new(args.client_address, port);
        let server = |port| SocketAddr::new(args.server_address, port);
        Self {
            client: Sidecar {
                traffic: client(args.client_port),
                stats: client(args.client_stats_port),
                admin: client(args.client_admin_port),
                health: client(args.client_health_port),
            },
            server: Sidecar {
                traffic: server(args.server_port),
                stats: server(args.server_stats_port),
                admin: server(args.server_admin_port),
                health: server(args.server_health_port),
            },
            upstream: server(args.upstream_port),
            prometheus: prometheus.then(|| client(args.prometheus_port)),
            back: shared.then(|| Back {
                outbound: server(args.server_outbound_port),
                inbound: client(args.client_inbound_port),
            }),
        }
    }

    /// Each address with the variable that moves it.
    fn all(&self) -> Vec<(SocketAddr, &'static str)> {
        let mut all = vec![
            (self.client.traffic, "CLIENT_PORT"),
            (self.client.stats, "CLIENT_STATS_PORT"),
            (self.client.admin, "CLIENT_ADMIN_PORT"),
            (self.client.health, "CLIENT_HEALTH_PORT"),
            (self.server.traffic, "SERVER_PORT"),
            (self.server.stats, "SERVER_STATS_PORT"),
            (self.server.admin, "SERVER_ADMIN_PORT"),
            (self.server.health, "SERVER_HEALTH_PORT"),
            (self.upstream, "UPSTREAM_PORT"),
        ];
        all.extend(self.prometheus.map(|address| (address, "PROMETHEUS_PORT")));
        all.extend(self.back.map(|back| (back.inbound, "CLIENT_INBOUND_PORT")));
        all.extend(self.back.map(|back| (back.outbound, "SERVER_OUTBOUND_PORT")));
        all
    }

    /// Fails on the first address that is given twice or that something else listens on.
    pub fn check_free(&self) -> Result<()> {
        let mut seen: Vec<(SocketAddr, &str)> = Vec::new();
        for (address, variable) in self.all() {
            if let Some((_, other)) = seen.iter().find(|(taken, _)| *taken == address) {
                bail!("{other} and {variable} are both {address}; give each a port of its own");
            }
            seen.push((address, variable));
            if let Err(error) = TcpListener::bind(address) {
                bail!("{}", refusal(address, variable, error.kind()));
            }
        }
        Ok(())
    }
}

fn refusal(address: SocketAddr, variable: &str, kind: ErrorKind) -> String {
    let (ip, port) = (address.ip(), address.port());
    let owner = variable.split('_').next().unwrap_or_default().replace("UPSTREAM", "SERVER");
    let owner = owner.replace("PROMETHEUS", "CLIENT");
    match kind {
        ErrorKind::AddrInUse => {
            format!("port {port} on {ip} is taken; move it with {variable}=...")
        }
        ErrorKind::PermissionDenied => {
            format!("port {port} on {ip} is not allowed to you; move it with {variable}=...")
        }
        _ => format!("this machine has no address {ip}; give another with {owner}_ADDRESS=..."),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpListener;

    use clap::Parser;

    use super::{Places, refusal};
    use crate::args::{Cli, Command};

    fn places(extra: &[&str]) -> Places {
        let command = ["opmeter", "run", "--envoy", "envoy"];
        match Cli::try_parse_from(command.iter().chain(extra)).unwrap().command {
            Command::Run(args) => {
                Places::new(&args.addresses, args.prometheus.is_some(), args.shared)
            }
            _ => unreachable!(),
        }
    }

    #[test]
    fn a_taken_port_is_named_with_the_variable_that_moves_it() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port().to_string();
        let error = places(&["--client-port", &port]).check_free().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("port {port} on 127.0.0.1 is taken; move it with CLIENT_PORT=...")
        );
    }

    #[test]
    fn one_address_given_twice_names_both_variables() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port().to_string();
        drop(holder);
        let same = ["--client-port", &port, "--client-stats-port", &port];
        assert_eq!(
            places(&same).check_free().unwrap_err().to_string(),
            format!(
                "CLIENT_PORT and CLIENT_STATS_PORT are both 127.0.0.1:{port}; give each a port of its own"
            )
        );
    }

    #[test]
    fn other_refusals_say_what_to_change() {
        let address = "127.0.0.2:80".parse().unwrap();
        assert_eq!(
            refusal(address, "SERVER_PORT", ErrorKind::PermissionDenied),
            "port 80 on 127.0.0.2 is not allowed to you; move it with SERVER_PORT=..."
        );
        assert_eq!(
            refusal(address, "UPSTREAM_PORT", ErrorKind::AddrNotAvailable),
            "this machine has no address 127.0.0.2; give another with SERVER_ADDRESS=..."
        );
    }
}

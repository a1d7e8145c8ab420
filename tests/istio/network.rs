//! The network of the mesh: a bridge that stands for the node, and for each pod a namespace with a link to it.

use crate::process::run;
use anyhow::Result;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::time::Duration;

/// Address of the node: what runs outside of pods listens here.
pub const NODE: &str = "10.244.0.1";

const BRIDGE: &str = "mesh";
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// A pod's network namespace; dropping it removes it.
#[derive(Debug)]
pub struct Network {
    name: String,
    /// The pod's address.
    pub address: String,
}

/// Makes the bridge.
///
/// # Errors
/// What `ip` says.
pub fn make_node() -> Result<()> {
    ip(&["link", "add", "name", BRIDGE, "type", "bridge"])?;
    ip(&["addr", "add", &format!("{NODE}/16"), "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])
}

// === impl Network ===

impl Network {
    /// Makes the namespace of the pod with this number.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn make(number: u8) -> Result<Self> {
        let network = Self { name: format!("pod{number}"), address: format!("10.244.1.{number}") };
        let (name, link) = (&network.name, &format!("link{number}"));
        ip(&["netns", "add", name])?;
        ip(&["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name])?;
        ip(&["link", "set", link, "master", BRIDGE, "up"])?;
        ip(&["-n", name, "addr", "add", &format!("{}/16", network.address), "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        ip(&["-n", name, "route", "add", "default", "via", NODE])?;
        Ok(network)
    }

    /// The file that stands for it.
    pub fn path(&self) -> String {
        format!("/run/netns/{}", self.name)
    }

    /// Connects from the pod.
    ///
    /// # Errors
    /// What the connection ends with.
    pub fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        self.inside(move || TcpStream::connect_timeout(&to, CONNECT))
    }

    /// Listens in the pod, on all its addresses.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn listen(&self, port: u16) -> io::Result<TcpListener> {
        self.inside(move || TcpListener::bind(("0.0.0.0", port)))
    }

    /// Does something on a thread that is in the namespace; a socket made there stays in it.
    fn inside<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let namespace = File::open(self.path())?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), kind)?;
                work()
            });
            thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The namespace of the whole mesh takes away what stays.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments), "").map(drop)
}

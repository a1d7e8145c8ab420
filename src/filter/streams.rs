//! The streams of this worker, by context id.

use crate::abi;
use crate::host::Proxy;
use crate::mounts::Mounts;
use crate::root::Fallback;
use hashbrown::HashMap;
use opmeter_core::{Hashing, Recorder, Stream};
use std::cell::RefCell;
use std::rc::Rc;

/// A stream and the plugin it belongs to.
struct Context {
    root: u32,
    recorder: SharedRecorder,
    stream: Stream,
}

/// Shared by all streams of one plugin; `None` until a configuration was accepted.
type SharedRecorder = Rc<RefCell<Option<Recorder>>>;

#[derive(Default)]
struct Contexts {
    /// Few, so they are looked through.
    roots: Vec<(u32, SharedRecorder)>,
    streams: HashMap<u32, Context, Hashing>,
    mounts: Mounts,
    siblings: Siblings,
    /// Plugins whose own configuration cannot be read.
    fallbacks: Vec<(u32, Fallback)>,
}

/// Whether several plugins of this VM do the same for requests.
#[derive(Clone, Copy, Default)]
struct Siblings {
    counting: bool,
    exchanging: bool,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

/// A plugin was created.
pub fn add_root(root: u32) {
    with(|contexts| contexts.roots.push((root, SharedRecorder::default())));
}

/// A plugin records by a new configuration from now on.
pub fn configure(root: u32, recorder: Recorder) {
    if let Some(shared) = with(|contexts| contexts.root(root)).flatten()
        && let Ok(mut place) = shared.try_borrow_mut()
    {
        *place = Some(recorder);
    }
    with(Contexts::on_mounts_changed);
}

/// A plugin whose own configuration cannot be read.
pub fn set_fallback(root: u32, fallback: Fallback) {
    with(|contexts| contexts.fallbacks.push((root, fallback)));
}

/// Looks for a configuration that could be read since.
fn refresh(root: u32, stream: Option<u32>) {
    let fallback = with(|contexts| {
        let place = contexts.fallbacks.iter().position(|(known, _)| *known == root)?;
        Some(contexts.fallbacks.remove(place).1)
    });
    let Some(mut fallback) = fallback.flatten() else { return };
    let _ = abi::set_effective_context(root);
    fallback.refresh(root);
    set_fallback(root, fallback);
    if let Some(stream) = stream {
        let _ = abi::set_effective_context(stream);
    }
}

/// A stream begins. One of a plugin nobody knows is let pass without metrics.
pub fn add(id: u32, root: u32) {
    refresh(root, Some(id));
    with(|contexts| {
        if let Some(recorder) = contexts.root(root) {
            let context = Context { root, recorder, stream: Stream::default() };
            contexts.streams.insert(id, context);
        }
    });
}

/// A stream or a plugin is no more.
pub fn remove(id: u32) {
    with(|contexts| {
        let Contexts { streams, mounts, .. } = contexts;
        if let Some(Context { recorder, mut stream, .. }) = streams.remove(&id) {
            lend(&recorder, |recorder| {
                if recorder.is_unlogged(&stream, &mut Proxy) {
                    stream.set_share(mounts.share_of_http3(recorder));
                    recorder.on_log(&mut stream, &mut Proxy, &mut Proxy);
                }
            });
            mounts.on_delete();
        } else {
            contexts.roots.retain(|(root, _)| *root != id);
            contexts.fallbacks.retain(|(root, _)| *root != id);
            contexts.on_mounts_changed();
        }
    });
}

/// A configuration is in force.
pub fn on_configured() {
    with(|contexts| contexts.mounts.on_configured());
}

/// Configurations in force, of all VMs, are counted by `counter`.
pub fn set_counter(counter: Option<u32>) {
    with(|contexts| contexts.mounts.set_counter(counter));
}

/// The request headers of a stream pass.
pub fn on_request(id: u32) {
    with(|contexts| {
        let Contexts { streams, mounts, siblings, .. } = contexts;
        if let Some(Context { recorder, stream, .. }) = streams.get_mut(&id) {
            lend(recorder, |recorder| {
                let contested = siblings.exchanging || recorder.exchanges() && mounts.has_others();
                recorder.set_contested(siblings.counting || contested, contested);
                recorder.on_request(stream, &mut Proxy, &mut Proxy);
            });
        }
    });
}

/// The response headers of a stream pass.
pub fn on_response(id: u32) {
    act(id, |recorder, stream| recorder.on_response(stream, &mut Proxy, &mut Proxy));
}

/// The response trailers of a stream pass.
pub fn on_response_trailers(id: u32) {
    act(id, |recorder, stream| recorder.on_response_trailers(stream, &mut Proxy));
}

/// A stream turns out to be a connection.
pub fn on_connection(id: u32) {
    act(id, |_, stream| *stream = Stream::connection());
}

/// A stream is over; or, when the context is a plugin's, an access log gets an entry.
pub fn on_log(id: u32) {
    // Only a plugin's own context has a fallback: an entry of an access log.
    refresh(id, None);
    with(|contexts| {
        let Contexts { streams, mounts, .. } = contexts;
        if let Some(Context { recorder, stream, .. }) = streams.get_mut(&id) {
            lend(recorder, |recorder| {
                if !stream.is_connection() {
                    stream.set_share(mounts.share(recorder));
                }
                recorder.on_log(stream, &mut Proxy, &mut Proxy);
            });
        } else if let Some(recorder) = contexts.root(id) {
            lend(&recorder, |recorder| contexts.mounts.on_entry(recorder));
        }
    });
}

/// Time has passed for all streams of a plugin.
pub fn on_tick(root: u32) {
    with(|contexts| {
        let mut lasting = false;
        let others = contexts.mounts.has_others();
        let Siblings { counting, exchanging } = contexts.siblings;
        if let Some(recorder) = contexts.root(root) {
            lend(&recorder, |recorder| {
                recorder.forget();
                recorder.set_contested(counting || others, exchanging || others);
                lasting = recorder.plan().reporting_interval() > 0;
            });
        }
        let streams = contexts.streams.iter_mut().filter(|_| lasting);
        for (id, context) in streams {
            if context.root == root && abi::set_effective_context(*id).is_ok() {
                let Context { recorder, stream, .. } = context;
                lend(recorder, |recorder| recorder.on_tick(stream, &mut Proxy, &mut Proxy));
            }
        }
    });
    let _ = abi::set_effective_context(root);
}

fn act(id: u32, act: impl FnOnce(&mut Recorder, &mut Stream)) {
    with(|contexts| {
        if let Some(Context { recorder, stream, .. }) = contexts.streams.get_mut(&id) {
            lend(recorder, |recorder| act(recorder, stream));
        }
    });
}

fn lend(recorder: &SharedRecorder, act: impl FnOnce(&mut Recorder)) {
    if let Ok(mut recorder) = recorder.try_borrow_mut()
        && let Some(recorder) = recorder.as_mut()
    {
        act(recorder);
    }
}

/// No callback re-enters another, so the contexts are always free; if they were not, to do nothing is safe.
fn with<T>(act: impl FnOnce(&mut Contexts) -> T) -> Option<T> {
    CONTEXTS.with(|contexts| contexts.try_borrow_mut().ok().map(|mut contexts| act(&mut contexts)))
}

// === impl Contexts ===

impl Contexts {
    /// A plugin has come, gone, or got another configuration.
    fn on_mounts_changed(&mut self) {
        let (mut counting, mut exchanging) = (0_usize, 0_usize);
        for (_, recorder) in &self.roots {
            lend(recorder, |recorder| {
                counting = counting.saturating_add(usize::from(recorder.counts_requests()));
                exchanging = exchanging.saturating_add(usize::from(recorder.exchanges()));
            });
        }
        self.siblings = Siblings { counting: counting > 1, exchanging: exchanging > 1 };
        self.mounts.set_several(self.siblings.counting);
    }

    fn root(&self, id: u32) -> Option<SharedRecorder> {
        let (_, recorder) = self.roots.iter().find(|(root, _)| *root == id)?;
        Some(Rc::clone(recorder))
    }
}

//! What is asserted. Each test applies documents as a user does, sends requests from productpage to ratings, and reads what
//! both proxies count.

mod broken;
pub mod counted;
mod examples;
mod missing;
mod one_plugin;
mod operated;
mod refused;
mod rewritten;
mod routed;
mod two_plugins;

use crate::Shared;
use libtest_mimic::Trial;

/// All tests, in the order in which they run.
pub fn trials(shared: &Shared) -> Vec<Trial> {
    let mut trials = examples::trials(shared);
    trials.extend(broken::trials(shared));
    trials.push(shared.trial("one_plugin::exchanges_metadata", one_plugin::exchanges_metadata));
    trials.push(shared.trial("two_plugins::count_once", two_plugins::count_once));
    trials.push(shared.trial("refused::by_policy", refused::by_policy));
    trials.push(shared.trial("refused::by_rate_limit", refused::by_rate_limit));
    trials.push(shared.trial("rewritten::path_as_received", rewritten::path_as_received));
    trials.push(shared.trial("missing::image", missing::image));
    trials.push(shared.trial("missing::file", missing::file));
    trials.extend(routed::trials(shared));
    trials.extend(operated::trials(shared));
    trials
}

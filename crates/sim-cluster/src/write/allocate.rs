//! Addresses of pods and Services.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{json, store::Tx};

/// Addresses are given away in turn, pods and Services from one counter; at its end it begins again.
const ADDRESSES: u32 = 60_000;

/// The highest number of an address in use.
pub(crate) fn last_used<'a>(objects: impl Iterator<Item = &'a Arc<Value>>) -> u32 {
    let number = |ip: &str| -> Option<u32> {
        let mut parts = ip.rsplit('.').map(str::parse::<u32>);
        let (low, high) = (parts.next()?.ok()?, parts.next()?.ok()?);
        Some(high << 8 | low)
    };
    let addresses = |o: &'a Arc<Value>| [json::text(o, "/status/podIP"), json::text(o, "/spec/clusterIP")];
    objects.flat_map(addresses).filter_map(number).max().unwrap_or(0)
}

impl Tx<'_> {
    fn next_address(&mut self) -> u32 {
        self.state.addresses += 1;
        self.state.addresses % ADDRESSES
    }

    /// An address that no pod has.
    pub(crate) fn allocate_pod_ip(&mut self) -> String {
        loop {
            let n = self.next_address();
            let ip = format!("10.244.{}.{}", n >> 8, n & 255);
            // Before the counter has come round every address is new.
            let fresh = self.state.addresses < ADDRESSES;
            if fresh || !self.list("pods", "").iter().any(|p| json::text(p, "/status/podIP") == ip) {
                return ip;
            }
        }
    }

    /// Gives a Service its cluster address and node ports, or lets it keep those that it has.
    pub(crate) fn allocate_addresses(&mut self, live: Option<&Value>, service: &mut Value) {
        let kind = match json::text(service, "/spec/type") {
            "" => "ClusterIP",
            given => given,
        }
        .to_owned();
        if kind == "ExternalName" {
            return;
        }
        let kept = live.map(|l| json::text(l, "/spec/clusterIP").to_owned()).filter(|ip| !ip.is_empty());
        if json::text(service, "/spec/clusterIP").is_empty() {
            let ip = kept.unwrap_or_else(|| {
                let n = self.next_address();
                format!("10.96.{}.{}", n >> 8, n & 255)
            });
            json::set(service, "/spec/clusterIP", ip);
        }
        let ip = json::text(service, "/spec/clusterIP").to_owned();
        json::set_default(service, "/spec/clusterIPs", json!([ip]));
        if kind == "ClusterIP" {
            return;
        }
        let old_ports: Vec<Value> = live.map(|l| json::items(l, "/spec/ports").to_vec()).unwrap_or_default();
        for index in 0..json::items(service, "/spec/ports").len() {
            let port = &service["spec"]["ports"][index];
            if json::int(port, "/nodePort").is_some() {
                continue;
            }
            let old =
                old_ports.iter().find(|o| o["port"] == port["port"]).and_then(|o| json::int(o, "/nodePort"));
            let number = old.unwrap_or_else(|| 30_000 + i64::from(self.next_address() % 2768));
            if let Some(port) = json::items_mut(service, "/spec/ports").get_mut(index) {
                json::set(port, "/nodePort", number);
            }
        }
    }
}

//! HTTP to addresses that pipelines name, kept away from what only this machine or its cloud should reach (SSRF, X11).
//!
//! A URL is checked twice: its shape when the pipeline is saved, and the addresses of its host at each call. The
//! connection then goes to the addresses that were checked, whatever the name means a moment later; redirects are
//! never followed, and proxies of the environment are not used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Which addresses a call to the outside may reach. Addresses of metadata services, link-local, multicast and
/// unspecified ones are never reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboundPolicy {
    /// Addresses of private networks (`10.0.0.0/8` and the like): where the services of a VPC are.
    pub allow_private: bool,
    /// This machine itself: for tests and for an installation on one machine.
    pub allow_loopback: bool,
}

impl Default for OutboundPolicy {
    /// Private networks, but not this machine.
    fn default() -> Self {
        Self { allow_private: true, allow_loopback: false }
    }
}

/// Why a call to the outside was not made.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The text is no URL that may be called.
    #[error("{0}")]
    Url(String),
    /// The host is, or means, an address that may not be reached.
    #[error("{host} is {what}, which this installation does not call")]
    Forbidden {
        /// The host in the URL, and its address if it is a name: `web.dev (127.0.0.1)`.
        host: String,
        /// What kind of address that is.
        what: &'static str,
    },
    /// The host's name has no address just now.
    #[error("call {host}: the name cannot be resolved: {source}; check the host and the network's DNS")]
    Unresolved {
        /// The host in the URL.
        host: String,
        /// What the resolver said.
        #[source]
        source: std::io::Error,
    },
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

impl OutboundError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unresolved { .. })
    }
}

/// How long a name may take to be resolved.
const RESOLVE: Duration = Duration::from_secs(5);
/// How long a connection may take to be made, TLS included.
const CONNECT: Duration = Duration::from_secs(5);

/// Reads a URL and checks what can be known without a network: `http` or `https`, a host, no credentials, and no address
/// that is never reached.
///
/// # Errors
/// [`OutboundError::Url`] or [`OutboundError::Forbidden`]; credentials are not repeated.
pub fn check_url(text: &str) -> Result<Url, OutboundError> {
    let refuse = |why: &str| Err(OutboundError::Url(why.to_owned()));
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            return refuse(&format!("this is not a URL ({error}): write for example `https://host/path`"));
        }
    };
    if !matches!(url.scheme(), "http" | "https") {
        return refuse(&format!("the scheme `{}` is not called: use http or https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("the URL holds credentials: put them into a header with `secretRef`");
    }
    let Some(host) = url.host_str() else { return refuse("the URL has no host") };
    if let Some(Reach::Never(what)) = literal(host).map(reach) {
        return Err(OutboundError::Forbidden { host: host.to_owned(), what });
    }
    Ok(url)
}

impl OutboundPolicy {
    /// A client for calls to the host of this URL only, bound to the addresses that the host has now.
    ///
    /// # Errors
    /// [`OutboundError`]: the host has no address, or one that may not be reached.
    pub async fn client(&self, url: &Url) -> Result<reqwest::Client, OutboundError> {
        let addresses = self.addresses(url).await?;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another thread may have installed it meanwhile, and that is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        reqwest::Client::builder()
            .dns_resolver(Pinned(Arc::from(addresses)))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("pilothouse/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(OutboundError::Client)
    }

    /// The addresses of the URL's host. One that may not be reached among them is enough to refuse all.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, OutboundError> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(443);
        let addresses = match literal(host) {
            Some(address) => vec![SocketAddr::new(address, port)],
            None => resolve(host, port)
                .await
                .map_err(|source| OutboundError::Unresolved { host: host.to_owned(), source })?,
        };
        for address in addresses.iter().map(SocketAddr::ip) {
            if let Some(what) = self.forbids(address) {
                let host = literal(host).map_or_else(|| format!("{host} ({address})"), |_| host.to_owned());
                return Err(OutboundError::Forbidden { host, what });
            }
        }
        Ok(addresses)
    }

    /// What kind of address this is, if it may not be reached.
    fn forbids(&self, address: IpAddr) -> Option<&'static str> {
        match reach(address) {
            Reach::Never(what) => Some(what),
            Reach::Loopback if !self.allow_loopback => Some("this machine itself"),
            Reach::Private if !self.allow_private => Some("an address of a private network"),
            Reach::Loopback | Reach::Private | Reach::Public => None,
        }
    }
}

async fn resolve(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let found = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((host, port))).await;
    let found: Vec<SocketAddr> =
        found.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??.collect();
    if found.is_empty() {
        return Err(std::io::Error::new(std::io::ErrorKind::NotFound, "it has no address"));
    }
    Ok(found)
}

/// Answers every name with the addresses that were checked.
struct Pinned(Arc<[SocketAddr]>);

impl Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Vec<SocketAddr> = self.0.to_vec();
        Box::pin(async { Ok(Box::new(addresses.into_iter()) as Addrs) })
    }
}

/// The address that a URL's host is, if it is no name. The URL's parser has normalised `0x7f.1` and its like.
fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// From where an address can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Public,
    Private,
    Loopback,
    Never(&'static str),
}

const METADATA: Reach = Reach::Never("the metadata service of a cloud");
const LINK_LOCAL: Reach = Reach::Never("a link-local address, where clouds keep a machine's credentials");
const NOBODY: Reach = Reach::Never("no address of a host");

fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => reach_v6(v6),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        // Alibaba Cloud, Azure, Oracle Cloud: the metadata services outside 169.254.0.0/16.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => METADATA,
        [127, ..] => Reach::Loopback,
        [169, 254, ..] => LINK_LOCAL,
        [0, ..] | [224..=255, ..] => NOBODY,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Reach::Private,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let within = |high: u16, low: u16| {
        let [a, b, c, d] = [high.to_be_bytes(), low.to_be_bytes()].concat()[..] else { return NOBODY };
        reach_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] => NOBODY,
        // Addresses that carry an IPv4 address: mapped, compatible, NAT64, 6to4. Those of Teredo carry it disguised.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => within(high, low),
        [0x2002, high, low, ..] => within(high, low),
        [0x64, 0xff9b, ..] | [0x2001, 0, ..] => NOBODY,
        // AWS (fd00:ec2::254, fd00:ec2::23) and Google Cloud.
        [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, ..] => METADATA,
        [0xfe80..=0xfebf, ..] => LINK_LOCAL,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Reach::Private,
        _ => Reach::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(address: &str) -> Reach {
        reach(address.parse().unwrap())
    }

    #[test]
    fn addresses_of_metadata_services_are_never_reached_in_any_disguise() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fe80::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "2001:0:1::1",
        ] {
            assert!(matches!(kind(address), Reach::Never(_)), "{address}: {:?}", kind(address));
        }
    }

    #[test]
    fn private_loopback_and_public_addresses_are_told_apart() {
        for address in ["10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "fd12::1", "::ffff:10.0.0.1"] {
            assert_eq!(kind(address), Reach::Private, "{address}");
        }
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
            assert_eq!(kind(address), Reach::Loopback, "{address}");
        }
        for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"] {
            assert_eq!(kind(address), Reach::Public, "{address}");
        }
    }

    #[test]
    fn the_shape_of_a_url_is_checked_without_a_network() {
        let texts = [
            "web.dev/health",
            "ftp://web/x",
            "file:///etc/passwd",
            "http://",
            "https://ann:hunter2@web/",
            "http://169.254.169.254/latest/meta-data/",
            "http://0xa9.254.43518/",
            "http://[fd00:ec2::254]/",
        ];
        let shown: Vec<String> = texts.iter().map(|text| check_url(text).unwrap_err().to_string()).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        this is not a URL (relative URL without a base): write for example `https://host/path`
        the scheme `ftp` is not called: use http or https
        the scheme `file` is not called: use http or https
        this is not a URL (empty host): write for example `https://host/path`
        the URL holds credentials: put them into a header with `secretRef`
        169.254.169.254 is a link-local address, where clouds keep a machine's credentials, which this installation does not call
        169.254.169.254 is a link-local address, where clouds keep a machine's credentials, which this installation does not call
        [fd00:ec2::254] is the metadata service of a cloud, which this installation does not call
        "#);
        assert_eq!(check_url("http://web.dev:8080/health?a=1").unwrap().host_str(), Some("web.dev"));
    }

    #[tokio::test]
    async fn this_machine_is_reached_only_where_it_is_allowed() {
        let strict = OutboundPolicy::default();
        let lenient = OutboundPolicy { allow_loopback: true, ..strict };
        for text in ["http://127.0.0.1:1/", "http://2130706433/", "http://[::1]/", "http://localhost/"] {
            let url = check_url(text).unwrap();
            let refused = strict.client(&url).await.unwrap_err();
            assert!(refused.to_string().contains(" is this machine itself, which"), "{text}: {refused}");
            assert!(!refused.is_retryable());
            lenient.client(&url).await.unwrap();
        }
    }

    #[tokio::test]
    async fn private_networks_can_be_closed() {
        let url = check_url("http://10.0.0.7/").unwrap();
        OutboundPolicy::default().client(&url).await.unwrap();
        let closed = OutboundPolicy { allow_private: false, allow_loopback: false };
        assert_eq!(
            closed.client(&url).await.unwrap_err().to_string(),
            "10.0.0.7 is an address of a private network, which this installation does not call"
        );
    }
}

//! Image references: `[host[:port]/]repository[:tag][@digest]`.

/// Registry that references without a host mean.
const DEFAULT_HOST: &str = "docker.io";

/// The parts of an image reference that say which repository it is of.
#[derive(Debug, PartialEq, Eq)]
struct Repository<'a> {
    /// `None` when the reference does not say it.
    host: Option<&'a str>,
    path: &'a str,
}

/// The reference without tag and digest.
pub(crate) fn without_version(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(before, _)| before);
    // A colon before the last slash belongs to the port of the host.
    let start_of_last = image.rfind('/').map_or(0, |slash| slash + 1);
    match image[start_of_last..].find(':') {
        Some(colon) => &image[..start_of_last + colon],
        None => image,
    }
}

fn repository(image: &str) -> Repository<'_> {
    let image = without_version(image);
    match image.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
            let host =
                if host == "index.docker.io" || host == "registry-1.docker.io" { DEFAULT_HOST } else { host };
            Repository { host: Some(host), path: canonical_path(host, path) }
        }
        _ => Repository { host: None, path: canonical_path(DEFAULT_HOST, image) },
    }
}

/// `library/nginx` on Docker Hub is what `nginx` means.
fn canonical_path<'a>(host: &str, path: &'a str) -> &'a str {
    if host == DEFAULT_HOST { path.strip_prefix("library/").unwrap_or(path) } else { path }
}

/// Whether both are the same repository of the same registry.
pub(crate) fn same_repository(a: &str, b: &str) -> bool {
    let (a, b) = (repository(a), repository(b));
    a.path == b.path && a.host.unwrap_or(DEFAULT_HOST) == b.host.unwrap_or(DEFAULT_HOST)
}

/// Whether both have the same repository path and at least one does not say its registry.
pub(crate) fn same_path(a: &str, b: &str) -> bool {
    let (a, b) = (repository(a), repository(b));
    a.path == b.path && (a.host.is_none() || b.host.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_and_digest_are_taken_off_but_not_the_port() {
        assert_eq!(without_version("localhost:5000/shop/web:1.0@sha256:00"), "localhost:5000/shop/web");
        assert_eq!(without_version("localhost:5000/shop/web"), "localhost:5000/shop/web");
        assert_eq!(without_version("nginx:1"), "nginx");
    }

    #[test]
    fn docker_hub_has_many_names() {
        assert!(same_repository("nginx:1", "docker.io/library/nginx"));
        assert!(same_repository("shop/web", "index.docker.io/shop/web:2"));
        assert!(!same_repository("shop/web", "registry.local/shop/web"));
    }

    #[test]
    fn a_path_matches_only_where_a_host_is_left_open() {
        assert!(same_path("shop/web", "registry.local/shop/web"));
        assert!(!same_path("a.example/shop/web", "b.example/shop/web"));
    }
}

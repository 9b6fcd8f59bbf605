//! A simulated Kubernetes cluster: API server behaviour and the controllers a release needs.

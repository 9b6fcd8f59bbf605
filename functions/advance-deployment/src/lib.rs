//! The steps of deployment.asl.json.

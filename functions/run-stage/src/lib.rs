//! The steps of stage.asl.json.

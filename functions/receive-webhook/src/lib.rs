//! Registry, git and generic webhooks: authenticate, match, admit, start.

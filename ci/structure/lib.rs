//! Holds the test of the structure of the workspace; nothing else.

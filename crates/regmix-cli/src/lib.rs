//! The regmix command: find the best data mixture for a language model

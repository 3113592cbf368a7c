// Package model holds the mirror to its promise by a test and has no code of
// its own: whatever happens to an account at Zendesk, in whatever order the
// mirror hears of it, no answer is older than it says, and in the end the
// mirror is what Zendesk is.
//
// The test keeps a history of the truth beside the simulator: each person and
// each ticket as they were, with the moment of every change. Against it each
// answer of a lookup is held while edits, webhooks, exports, faults, late
// answers and crashes go on; and after the last sync the whole mirror.
//
// Where the promise has an end, because Zendesk tells of something late or not
// at all, history.go says so: an object that changes again within the minute
// that exports leave out, numbers that are identities, and people who vanish
// without a trace.
package model

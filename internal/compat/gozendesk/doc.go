// Package gozendesk holds public clients of Zendesk's API, unmodified, against
// aniproxy's /api/v2, and Cisco's call flow template byte for byte.
//
// It is tests alone. Each of them has a made-up account on a real socket
// (world_test.go) and runs against one of two faces: the account itself, where
// a client must work for the test to mean anything, and a daemon that was
// built from this tree and mirrors the account (daemon_test.go). What holds
// for both is asked of both; what aniproxy does otherwise than Zendesk, by its
// contract, is asked of the daemon only (face_test.go).
//
//	gozendesk_test.go  github.com/nukosuke/go-zendesk
//	node_test.go       node-zendesk, by ../nodezendesk/suite.mjs
//	template_test.go   the three requests of the call flow template
//	sent_test.go       what both clients send, written down
//	face_test.go       errors, pages, updates, and who may see what
//	form_test.go       each answer beside Zendesk's own
//
// ../run.sh runs them. Where a test fails on the account, the test or the
// client is at fault; where only on the daemon, the face is.
package gozendesk

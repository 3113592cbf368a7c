package sync

import (
	"testing"
	"time"

	"aniproxy/internal/caller"
)

// fullQueue is a queue with no room left.
func fullQueue() (*queue, time.Time) {
	q, now := newQueue(), time.Now()
	for id := int64(1); id <= noticesMost; id++ {
		q.told([]caller.Object{{Stream: caller.Tickets, ID: id}}, now)
	}
	return q, now
}

// BenchmarkNotice is what a webhook waits for: three objects, into a full queue.
func BenchmarkNotice(b *testing.B) {
	q, now := fullQueue()
	objects := []caller.Object{{Stream: caller.Tickets, ID: 5}, {Stream: caller.Users, ID: 5}, {Stream: caller.Tickets, ID: 9_999}}
	for b.Loop() {
		q.told(objects, now)
	}
}

// BenchmarkTake is what a webhook may have to wait behind: the taking of a
// hundred out of a full queue.
func BenchmarkTake(b *testing.B) {
	q, now := fullQueue()
	for b.Loop() {
		ns := q.take(caller.Tickets, now, time.Time{})
		q.failed(ns, true, now)
	}
}

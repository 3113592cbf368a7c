package store

import (
	"sync"
	"time"

	"aniproxy/internal/caller"
)

const (
	// paceTarget is how long a transaction of a large batch should take while
	// serving. It may take 50 ms; less than half of that leaves room for a slow disk and
	// for records that cost more than the last ones did.
	paceTarget = 20 * time.Millisecond
	// paceLeast records make a transaction in any case: below that, the two
	// syncs of a commit are most of its cost.
	paceLeast = 50
	// paceMost is a whole page of an export.
	paceMost = 1000
	// paceGuess is what a record is taken to cost before one was written:
	// changed users with new numbers, on a slow disk.
	paceGuess = 200 * time.Microsecond
)

// pace cuts large batches into transactions that stay short. It learns from
// those that were written what a record costs here: that depends on the disk,
// on the size of the file and on how much of a record has changed.
type pace struct {
	mu   sync.Mutex
	cost time.Duration // of one record; 0 where none was written
}

// note takes over what a transaction has cost. Small ones say little of what a
// record costs, for most of it is the commit.
func (p *pace) note(records int, took time.Duration) {
	if records < paceLeast || took <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	cost := took / time.Duration(records)
	if p.cost == 0 || cost > p.cost {
		p.cost = cost // dearer: believed at once
		return
	}
	p.cost += (cost - p.cost) / 4 // cheaper: bit by bit
}

func (p *pace) records() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	cost := p.cost
	if cost == 0 {
		cost = paceGuess
	}
	return min(max(int(paceTarget/cost), paceLeast), paceMost)
}

// cut takes from the batch what one transaction may hold, and tells whether
// something is left. The position, and all that depends on the records before
// it, is in the last cut.
func (p *pace) cut(b *caller.Batch) (cut caller.Batch, rest bool) {
	room := p.records()
	if len(b.Users)+len(b.Tickets) <= room {
		cut = *b
		*b = caller.Batch{}
		return cut, false
	}
	cut = caller.Batch{Reread: b.Reread}
	n := min(room, len(b.Users))
	cut.Users, b.Users = b.Users[:n], b.Users[n:]
	n = min(room-n, len(b.Tickets))
	cut.Tickets, b.Tickets = b.Tickets[:n], b.Tickets[n:]
	return cut, true
}
